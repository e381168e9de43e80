"""Settings of the annotation stage: what a teacher sees, and which of its boxes become labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, field_validator, model_validator

from edge_autotuner.config.base import FrozenConfig, InputSize, parse_size
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core.fingerprints import fingerprint_values
from edge_autotuner.errors import ConfigError

ZOOM = "zoom"
"""The teacher that is the edge model itself, on magnified views."""

REMOTE = "remote:"
"""Prefix of a teacher that is a model at the service."""


MIN_AUTO_GRID = 2
AUTO: Literal["auto"] = "auto"
"""The grid of tiles that the sizes of moving objects ask for."""

_MAX_TILES_PER_SIDE = 8


_GRID_HINT = f"expected auto, or 1 to {_MAX_TILES_PER_SIDE} tiles per side, e.g. 3 or 4x3 (columns x rows)"


def _to_grid(value: object) -> int | tuple[int, int] | Literal["auto"]:
    if value == AUTO:
        return AUTO
    if isinstance(value, str):
        try:
            value = parse_size(value)
        except ConfigError:
            raise ValueError(_GRID_HINT) from None
    sides = (value, value) if isinstance(value, int) else value
    if not isinstance(sides, tuple | list) or len(sides) != 2:
        raise ValueError(_GRID_HINT)
    columns, rows = sides
    if not all(type(n) is int and 1 <= n <= _MAX_TILES_PER_SIDE for n in sides):
        raise ValueError(_GRID_HINT)
    return columns if columns == rows else (columns, rows)  # one form for one grid, so that its labels are recognised


def _plain(grid: int | tuple[int, int] | Literal["auto"]) -> int | list[int] | str:
    return list(grid) if isinstance(grid, tuple) else grid


TileGrid = Annotated[Literal["auto"] | int | tuple[int, int], PlainValidator(_to_grid), PlainSerializer(_plain)]
"""Tiles per side, or columns and rows; also accepts text such as "4x3"."""


def _join_names(value: object) -> object:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(str(name) for name in value)
    return value


TeacherNames = Annotated[str, BeforeValidator(_join_names)]
"""Names separated by commas; a list of names is also accepted."""


class RefinementConfig(FrozenConfig):
    """Rules that correct a teacher's boxes by looking at all frames together, without asking the teacher again.

    Rules about time need frames close enough to track objects; otherwise they change nothing.
    """

    static_objects: Literal["keep", "ignore", "background"] = Field(
        "ignore",
        description=(
            "What to do with boxes that stay in one place all the time with a low mean score. keep: nothing; ignore: "
            "make them uncertain; background: drop them, so that the student learns that nothing is there."
        ),
    )
    static_presence: float = Field(
        0.6,
        gt=0,
        le=1,
        description="Minimum fraction of frames with a box in such a place, uncertain boxes included.",
    )
    static_max_score: float = Field(
        0.6,
        ge=0,
        le=1,
        description="Maximum mean score of such a place; above it, boxes are real objects, e.g. parked cars.",
    )
    static_min_s: float = Field(
        30.0,
        ge=0,
        le=1e9,
        description="Minimum time span of the frames, seconds; over less time, a waiting car looks the same.",
    )
    smooth_boxes_s: float = Field(
        0.8,
        ge=0,
        le=3600,
        description="Smooth each object's boxes over this time (standard deviation, seconds); 0: off.",
    )
    smooth_scores_s: float = Field(
        0.3,
        ge=0,
        le=3600,
        description="Smooth each object's scores over this time (standard deviation, seconds); 0: off.",
    )
    one_class_per_object: bool = Field(
        True, description="Give each tracked object the class with the largest sum of scores."
    )
    fill_gaps: Literal["keep", "ignore", "label"] = Field(
        "ignore",
        description=(
            "What to do where an object is missing between two frames that show it. keep: leave it as background; "
            "ignore: add an uncertain box; label: add a label."
        ),
    )
    flicker_max_score: float = Field(
        0.6,
        ge=0,
        le=1,
        description=(
            "Make labels up to this score uncertain if neither the previous nor the next frame shows them; 0: off."
        ),
    )
    spurious_classes: Literal["keep", "ignore"] = Field(
        "ignore",
        description=(
            "What to do with the labels of a class that is rare, never sure and never followed, or of people who never "
            "move. keep: train on them; ignore: make them uncertain, or drop them inside a label of another class. "
            "Applied where another rule of refinement is on."
        ),
    )

    def fingerprint(self) -> str:
        """Return a short hash; a setting that came later counts only where it is not the default, so that runs stay."""
        later = {"spurious_classes"} if self.spurious_classes == "ignore" else set()
        return fingerprint_values(self.model_dump(mode="json", exclude=later))

    @property
    def follows_objects(self) -> bool:
        """Whether any rule needs objects tracked across frames."""
        smooths = self.smooth_boxes_s > 0 or self.smooth_scores_s > 0
        return smooths or self.one_class_per_object or self.fill_gaps != "keep" or self.flicker_max_score > 0

    @property
    def is_on(self) -> bool:
        """Whether any rule may change a box; spurious classes are only looked for beside another rule."""
        return self.static_objects != "keep" or self.follows_objects


NO_REFINEMENT = RefinementConfig(
    static_objects="keep",
    smooth_boxes_s=0.0,
    smooth_scores_s=0.0,
    one_class_per_object=False,
    fill_gaps="keep",
    flicker_max_score=0.0,
    spurious_classes="keep",
)
"""Leaves every label unchanged."""


class JudgingConfig(FrozenConfig):
    """How the test frames, which judge the models, are labelled: with more looks than training frames."""

    teachers: TeacherNames | None = Field(
        None,
        description="Further models of this machine that label test frames, separated by commas: best such that no "
        "candidate was made from. zoom then labels none of them, because it shares its weights with the start model.",
    )
    mirrored: bool = Field(False, description="Also look at each test frame turned left to right; doubles the calls.")
    finer_tiles: bool = Field(False, description="Also look at each test frame with one more tile per side.")

    @property
    def is_on(self) -> bool:
        """Whether test frames are looked at in other ways than training frames."""
        return self.mirrored or self.finer_tiles or self.teachers is not None

    @property
    def names(self) -> tuple[str, ...]:
        """The further models, in order."""
        return () if self.teachers is None else tuple(name.strip() for name in self.teachers.split(","))

    @field_validator("teachers")
    @classmethod
    def _are_models_of_this_machine(cls, teachers: str | None) -> str | None:
        names = [] if teachers is None else [name.strip() for name in teachers.split(",")]
        wrong = [name for name in names if name in {"", ZOOM} or name.startswith(REMOTE)]
        if wrong or len(set(names)) < len(names):
            raise ValueError(
                f"expected different models of this machine, got '{teachers}'; {ZOOM} and {REMOTE}NAME can only be "
                "annotation.teacher"
            )
        return teachers


class AnnotationConfig(FrozenConfig):
    """How a teacher labels frames."""

    teacher: TeacherNames = Field(
        "zoom",
        description=(
            "zoom (the edge model on magnified views), a known model's name, an ONNX file, the folder of a "
            "transformers detector, or remote:NAME, a model at the service. Separate several by commas to fuse their "
            "boxes."
        ),
    )
    teacher_weights: tuple[float, ...] | None = Field(
        None, description="Weight of each teacher, in order; null: equal weights."
    )
    fusion_iou: float = Field(
        0.55, gt=0, le=1, description="Minimum IoU to fuse boxes of several teachers (weighted boxes fusion)."
    )
    adapter: str | None = Field(None, description="Adapter for an unknown ONNX file: deim, picodet or yolox.")
    zoom_input: InputSize = Field(
        (416, 416), description="Input size of the edge model when it acts as the zoom teacher."
    )
    look: Literal["tiles", "crops", "full"] = Field(
        "tiles",
        description=(
            "Views that the teacher sees. tiles: the full frame and overlapping tiles; crops: motion regions; full: "
            "the full frame only."
        ),
    )
    tile_grid: TileGrid = Field(
        AUTO,
        description="Grid of tiles: N per side, COLUMNSxROWS, or auto: by the size of what moves, at least 2 per side "
        "and at most `max_views` views.",
    )
    max_views: int = Field(
        17, ge=5, le=65, description="With `tile_grid: auto`, most views per frame: the full frame and its tiles."
    )
    tile_overlap: float = Field(0.25, ge=0, lt=0.9, description="Overlap of neighbouring tiles, fraction of a tile.")
    crop_margin: float = Field(0.25, ge=0, le=2, description="Margin around a motion region, fraction of its size.")
    min_crop_px: int = Field(192, ge=16, le=16384, description="Minimum side of a crop, frame pixels (paper, Fig. 5).")
    cut_border_px: float = Field(
        3.0, ge=0, le=1000, description="Drop boxes this close to an inner crop border, where objects are cut off."
    )
    merge_iou: float = Field(0.5, gt=0, le=1, description="Minimum IoU to merge boxes of one class from several views.")
    same_object_iou: float | None = Field(
        0.7, gt=0, le=1, description="Minimum IoU to treat boxes of different classes as one object; null: keep all."
    )
    min_score: float = Field(0.3, gt=0, lt=1, description="Minimum score of a label (paper: 0.3).")
    uncertain_score: float = Field(
        0.1,
        gt=0,
        lt=1,
        description=(
            "Minimum score of an uncertain box. Between this and min_score, a box is neither object nor background "
            "in training."
        ),
    )
    classes: tuple[str, ...] | None = Field(
        None, description="Classes to learn; null: the edge model's own, or the six street classes for a COCO model."
    )
    max_detections: int = Field(300, ge=1, le=10_000, description="Maximum boxes per frame.")
    check_teacher_frames: int = Field(
        20,
        ge=0,
        le=10_000,
        description=(
            "Compare teacher and start model on this many training frames, without human labels, and warn where the "
            "teacher may be worse; each costs the calls of one more look. Teachers of this machine only. 0: off."
        ),
    )
    refine: RefinementConfig = RefinementConfig()
    test_labels: JudgingConfig = JudgingConfig()
    service: ServiceConfig = ServiceConfig()

    @property
    def grid_wh(self) -> tuple[int, int]:
        """Columns and rows of tiles; of `auto`, the smallest that it may choose."""
        if self.tile_grid == AUTO:
            return MIN_AUTO_GRID, MIN_AUTO_GRID
        return (self.tile_grid, self.tile_grid) if isinstance(self.tile_grid, int) else self.tile_grid

    @property
    def teachers(self) -> tuple[str, ...]:
        """The teachers that `teacher` names, in order."""
        return tuple(name.strip() for name in self.teacher.split(","))

    @property
    def judges(self) -> tuple[str, ...]:
        """The teachers and further models that label test frames; `zoom` only where there is no further one."""
        further = self.test_labels.names
        return (*(name for name in self.teachers if name != ZOOM or not further), *further)

    @property
    def remote_models(self) -> tuple[str, ...]:
        """The models of the service among the teachers, without `remote:`."""
        return tuple(name.removeprefix(REMOTE) for name in self.teachers if name.startswith(REMOTE))

    def teacher_fingerprint(self) -> str:
        """Return a short hash of the settings that require asking the teacher again when they change."""
        plain = self.model_copy(update={"refine": NO_REFINEMENT}).model_dump(
            mode="json", exclude={"service", "test_labels", "check_teacher_frames", "max_views"}
        )
        del plain["refine"]["spurious_classes"]  # as in versions that did not have it
        service = self.service.shaping_labels() if self.remote_models else None
        return fingerprint_values(plain if service is None else {**plain, "service": service})

    @model_validator(mode="after")
    def _judges_are_others(self) -> AnnotationConfig:
        both = sorted(set(self.teachers) & set(self.test_labels.names))
        if both:
            raise ValueError(f"{both[0]} is the teacher and one of test_labels.teachers; name other models there")
        return self

    @model_validator(mode="after")
    def _band_is_ordered(self) -> AnnotationConfig:
        if self.uncertain_score > self.min_score:
            raise ValueError(
                f"uncertain_score must not exceed min_score, got {self.uncertain_score} and {self.min_score}"
            )
        return self

    @model_validator(mode="after")
    def _teachers_are_told_apart(self) -> AnnotationConfig:
        names, weights = self.teachers, self.teacher_weights
        if not all(names) or len(set(names)) < len(names):
            raise ValueError(f"teacher must be one name or several different names, got '{self.teacher}'")
        if "" in self.remote_models or (self.remote_models and self.service.url is None):
            raise ValueError("a remote:NAME teacher needs a model name and annotation.service.url")
        if weights is not None and (len(weights) != len(names) or not all(0 < w < math.inf for w in weights)):
            raise ValueError(f"teacher_weights must have one positive number for each of {', '.join(names)}")
        return self
