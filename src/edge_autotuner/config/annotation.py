"""Settings of the annotation stage: where a teacher looks and which of its boxes count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from edge_autotuner.config.base import FrozenConfig, InputSize, fingerprint_values
from edge_autotuner.config.service import ServiceConfig

ZOOM = "zoom"
"""The teacher that is the edge model itself, looking at magnified views."""

REMOTE = "remote:"
"""What the name of a teacher begins with that is a model of the service."""


def _join_names(value: object) -> object:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(str(name) for name in value)
    return value


TeacherNames = Annotated[str, BeforeValidator(_join_names)]
"""One name, or several separated by commas; a list of names is understood."""


class RefinementConfig(FrozenConfig):
    """What becomes of a teacher's boxes in the light of all other frames; the teacher is not asked again.

    The rules about time need frames so close to each other that objects can be followed; elsewhere they change nothing.
    """

    static_objects: Literal["keep", "ignore", "background"] = Field(
        "ignore",
        description="Boxes that stand in one place all the time with a low mean score: keep; ignore: make uncertain; "
        "background: drop, so that the student learns that nothing is there.",
    )
    static_presence: float = Field(
        0.6,
        gt=0,
        le=1,
        description="Share of the frames in which such a place must hold a box, uncertain ones included.",
    )
    static_max_score: float = Field(
        0.6, ge=0, le=1, description="Places with a higher mean score are real objects, such as parked cars."
    )
    static_min_s: float = Field(
        30.0,
        ge=0,
        le=1e9,
        description="Only frames that span this time, seconds, tell such places from a car that waits.",
    )
    smooth_boxes_s: float = Field(
        0.8,
        ge=0,
        le=3600,
        description="Boxes of one object are smoothed over this time (standard deviation, seconds); 0: not.",
    )
    smooth_scores_s: float = Field(0.3, ge=0, le=3600, description="The same for their scores; 0: not.")
    one_class_per_object: bool = Field(
        True, description="An object that is followed gets the class that has the largest sum of scores."
    )
    fill_gaps: Literal["keep", "ignore", "label"] = Field(
        "ignore",
        description="Places where an object was missed between two frames that show it: keep: background; ignore: add "
        "an uncertain box; label: add a label.",
    )
    flicker_max_score: float = Field(
        0.6,
        ge=0,
        le=1,
        description="Labels up to this score that neither the frame before nor the one after shows become uncertain; "
        "0: none.",
    )

    @property
    def follows_objects(self) -> bool:
        """Whether any rule needs to know which boxes of different frames are one object."""
        smooths = self.smooth_boxes_s > 0 or self.smooth_scores_s > 0
        return smooths or self.one_class_per_object or self.fill_gaps != "keep" or self.flicker_max_score > 0

    @property
    def is_on(self) -> bool:
        """Whether any rule may change a box."""
        return self.static_objects != "keep" or self.follows_objects


NO_REFINEMENT = RefinementConfig(
    static_objects="keep",
    smooth_boxes_s=0.0,
    smooth_scores_s=0.0,
    one_class_per_object=False,
    fill_gaps="keep",
    flicker_max_score=0.0,
)
"""Every label stays as the teacher gave it."""


class AnnotationConfig(FrozenConfig):
    """How a teacher looks at frames and what becomes of its boxes."""

    teacher: TeacherNames = Field(
        "zoom",
        description="zoom (the edge model itself on magnified views), a known model's name, an ONNX file, the "
        "folder of a detector of the transformers library, or remote:NAME, a model of the service; several, separated "
        "by commas, are asked all, and their boxes fused.",
    )
    teacher_weights: tuple[float, ...] | None = Field(
        None, description="How much each of several teachers counts, in their order; null: all the same."
    )
    fusion_iou: float = Field(
        0.55, gt=0, le=1, description="Boxes of several teachers above this overlap are one (weighted boxes fusion)."
    )
    adapter: str | None = Field(None, description="How to read an unknown ONNX file: deim, picodet or yolox.")
    zoom_input: InputSize = Field(
        (416, 416), description="Input of the edge model when it looks at magnified views as the zoom teacher."
    )
    look: Literal["tiles", "crops", "full"] = Field(
        "tiles", description="tiles: full frame and overlapping tiles; crops: motion regions; full: the frame alone."
    )
    tile_grid: int = Field(2, ge=1, le=8, description="Tiles per side.")
    tile_overlap: float = Field(0.25, ge=0, lt=0.9, description="Share of a tile that its neighbour covers too.")
    crop_margin: float = Field(0.25, ge=0, le=2, description="Margin around a motion region, share of its size.")
    min_crop_px: int = Field(192, ge=16, le=16384, description="Smallest side of a crop, frame pixels (paper, Fig. 5).")
    cut_border_px: float = Field(
        3.0, ge=0, le=1000, description="Boxes this close to an inner crop border are cut: dropped."
    )
    merge_iou: float = Field(
        0.5, gt=0, le=1, description="Same-class boxes of several views above this overlap are one."
    )
    same_object_iou: float | None = Field(
        0.7, gt=0, le=1, description="Boxes of different classes above this overlap are one object; null: keep all."
    )
    min_score: float = Field(0.3, gt=0, lt=1, description="Boxes from this score on are labels (paper: 0.3).")
    uncertain_score: float = Field(
        0.1, gt=0, lt=1, description="Boxes from here to min_score are neither object nor background in training."
    )
    classes: tuple[str, ...] | None = Field(
        None, description="Classes to learn; null: the edge model's own, or the six street classes of a COCO model."
    )
    max_detections: int = Field(300, ge=1, le=10_000, description="Most boxes kept per frame.")
    refine: RefinementConfig = RefinementConfig()
    service: ServiceConfig = ServiceConfig()

    @property
    def teachers(self) -> tuple[str, ...]:
        """The teachers that `teacher` names, in order."""
        return tuple(name.strip() for name in self.teacher.split(","))

    @property
    def remote_models(self) -> tuple[str, ...]:
        """The models of the service among the teachers, without `remote:`."""
        return tuple(name.removeprefix(REMOTE) for name in self.teachers if name.startswith(REMOTE))

    def teacher_fingerprint(self) -> str:
        """Return a short hash that changes when a setting does that the teacher must be asked again for."""
        plain = self.model_copy(update={"refine": NO_REFINEMENT}).model_dump(mode="json", exclude={"service"})
        service = self.service.shaping_labels() if self.remote_models else None
        return fingerprint_values(plain if service is None else {**plain, "service": service})

    @model_validator(mode="after")
    def _band_is_ordered(self) -> AnnotationConfig:
        if self.uncertain_score > self.min_score:
            raise ValueError(f"uncertain_score {self.uncertain_score} is above min_score {self.min_score}")
        return self

    @model_validator(mode="after")
    def _teachers_are_told_apart(self) -> AnnotationConfig:
        names, weights = self.teachers, self.teacher_weights
        if not all(names) or len(set(names)) < len(names):
            raise ValueError(f"teacher must name one teacher, or several different ones, got '{self.teacher}'")
        if "" in self.remote_models or (self.remote_models and self.service.url is None):
            raise ValueError("a teacher remote:NAME needs the name of a model, and annotation.service.url")
        if weights is not None and (len(weights) != len(names) or not all(0 < w < math.inf for w in weights)):
            raise ValueError(f"teacher_weights must be one positive number for each of {', '.join(names)}")
        return self
