"""Settings of a whole run, with its evaluation and its privacy rules."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from edge_autotuner.config.annotation import AnnotationConfig
from edge_autotuner.config.base import FrozenConfig, InputSize, Seconds
from edge_autotuner.config.capture import CaptureConfig
from edge_autotuner.config.training import TrainingConfig
from edge_autotuner.core.fingerprints import fingerprint_values


class EvaluationConfig(FrozenConfig):
    """How models are scored, and when a candidate replaces the deployed model."""

    ground_truth: Path | None = Field(
        None, description="COCO JSON file with human boxes; the frames it lists are scored against it."
    )
    test_source: Path | None = Field(None, description="Another video or folder of the same camera to evaluate on.")
    map_classes: dict[str, str] = Field(
        default_factory=dict, description="Classes to score as another class, e.g. {bus: car, truck: car}."
    )
    max_detections: int = Field(300, ge=1, le=10_000, description="Maximum scored boxes per frame.")
    min_score: float = Field(0.05, ge=0, lt=1, description="Minimum score of a scored box.")
    max_false_alarms_per_hour: float | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Choose the operating point, the scores from which boxes are shown, with at most this many false "
        "alarms per hour of video on the validation frames; null: with the best F1. A standing false box is one alarm. "
        "A short recording cannot show that alarms are rare.",
    )
    promotion_max_iou: float = Field(
        0.75,
        ge=0.5,
        le=0.95,
        description="Largest IoU threshold in the AP that decides on promotion. Stricter thresholds measure how the "
        "teacher draws its boxes more than which objects are found.",
    )
    n_bootstrap: int = Field(1000, ge=100, le=1_000_000, description="Bootstrap resamples for the promotion rule.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence required for promotion.")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Seed of the bootstrap.")

    def fingerprint(self) -> str:
        """Return a short hash of all settings; without a limit of false alarms, that of versions that had none."""
        without = {"max_false_alarms_per_hour"} if self.max_false_alarms_per_hour is None else set()
        return fingerprint_values(self.model_dump(mode="json", exclude=without))


class PrivacyConfig(FrozenConfig):
    """Which pictures may leave the machine, and what is hidden in them.

    Areas with motion are shown: motion regions grown by `annotation.crop_margin` and `annotation.min_crop_px`.
    Hidden areas get no labels, and training treats them neither as an object nor as background.
    """

    send: Literal["all", "crops"] = Field(
        "all",
        description="What to send to a teacher at the service: all views that `annotation.look` uses, or only crops of "
        "motion regions. With crops, whole frames leave for training elsewhere only if `outside` hides the rest.",
    )
    outside: Literal["keep", "blur", "background"] = Field(
        "keep",
        description="What to do with the frame outside motion regions. keep: nothing; blur: blur beyond recognition; "
        "background: show the brightness of the camera's background with blurred colours (blur if there is no "
        "background yet).",
    )
    hide_classes: tuple[str, ...] = Field(
        (),
        description="Classes to blur beyond recognition wherever `hide_with` finds them; it misses some. They cannot "
        "be in `annotation.classes`.",
    )
    hide_with: str | None = Field(
        None,
        description="Edge model that finds `hide_classes`: a known model's name, a bundle or a weights file; null: "
        "`edge_model` as given in these settings.",
    )
    hide_min_score: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Minimum score of a hidden box. A lower value hides more, including false detections.",
    )
    hide_margin: float = Field(
        0.2, ge=0, le=2, description="Margin on each side of a hidden box, fraction of its size."
    )
    apply: Literal["outgoing", "at_rest"] = Field(
        "outgoing",
        description="outgoing: change pictures before they are sent; at_rest: also apply `outside` and `hide_classes` "
        "before pictures are stored, so that the original is kept nowhere, not even on this machine.",
    )

    @property
    def shows_regions_only(self) -> bool:
        """Whether only motion regions may be seen."""
        return self.send == "crops" or self.outside != "keep"

    @property
    def changes_pictures(self) -> bool:
        """Whether anything is hidden in frames."""
        return self.outside != "keep" or bool(self.hide_classes)

    @property
    def is_on(self) -> bool:
        """Whether any rule limits what is sent."""
        return self.shows_regions_only or self.changes_pictures

    @property
    def treats_stored_pictures(self) -> bool:
        """Whether frames are changed before they are stored."""
        return self.apply == "at_rest" and self.changes_pictures


class RunConfig(FrozenConfig):
    """All stages of `edge-autotuner run`."""

    edge_model: str = Field(
        "street-nano",
        description="Model to improve: a known model's name, a bundle, a weights file, or the folder of a transformers "
        "detector.",
    )
    architecture: str | None = Field(
        None,
        description="Architecture of a weights file: yolox-nano, yolox-tiny, yolox-s or ssdlite-mobilenet-v2; null: "
        "detect.",
    )
    input_size: InputSize = Field(
        (416, 416),
        description="Input size of the edge model, WIDTHxHEIGHT; multiples of 32 for yolox, any size for ssdlite "
        "(designed for 300).",
    )
    models_dir: Path | None = Field(None, description="Local mirror of model files.")
    deadline_s: Seconds | None = Field(
        None, gt=0, description="Time limit for capture, annotation and training together."
    )
    capture: CaptureConfig = CaptureConfig()
    annotation: AnnotationConfig = AnnotationConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    privacy: PrivacyConfig = PrivacyConfig()

    @model_validator(mode="after")
    def _privacy_can_be_kept(self) -> RunConfig:
        privacy, annotation = self.privacy, self.annotation
        if privacy.send == "crops" and annotation.remote_models and annotation.look != "crops":
            raise ValueError("privacy.send: crops forbids whole frames and tiles; also set annotation.look to crops")
        if privacy.hide_classes and annotation.classes is None:
            raise ValueError("privacy.hide_classes needs annotation.classes, the classes to learn instead")
        both = sorted(set(privacy.hide_classes) & set(annotation.classes or ()))
        if both:
            raise ValueError(
                f"{', '.join(both)} cannot be both learned and hidden; change annotation.classes or hide_classes"
            )
        return self
