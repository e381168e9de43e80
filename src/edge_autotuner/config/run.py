"""Settings of the whole job."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from edge_autotuner.config.annotation import AnnotationConfig
from edge_autotuner.config.base import FrozenConfig, InputSize, Seconds
from edge_autotuner.config.capture import CaptureConfig
from edge_autotuner.config.evaluation import EvaluationConfig
from edge_autotuner.config.privacy import PrivacyConfig
from edge_autotuner.config.training import TrainingConfig


class RunConfig(FrozenConfig):
    """All stages of `edge-autotuner run`."""

    edge_model: str = Field(
        "street-nano",
        description="The model to improve: a known model's name, a bundle, a weights file, or the folder of a detector "
        "of the transformers library.",
    )
    architecture: str | None = Field(
        None,
        description="Architecture of a weights file: yolox-nano, yolox-tiny, yolox-s or ssdlite-mobilenet-v2; "
        "null: found out.",
    )
    input_size: InputSize = Field(
        (416, 416),
        description="Input of the edge model, WIDTHxHEIGHT: multiples of 32 for yolox, any for ssdlite (made for 300).",
    )
    models_dir: Path | None = Field(None, description="Local mirror folder of model files.")
    deadline_s: Seconds | None = Field(None, gt=0, description="Time for capture, annotation and training together.")
    capture: CaptureConfig = CaptureConfig()
    annotation: AnnotationConfig = AnnotationConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    privacy: PrivacyConfig = PrivacyConfig()

    @model_validator(mode="after")
    def _privacy_can_be_kept(self) -> RunConfig:
        privacy, annotation = self.privacy, self.annotation
        if privacy.send == "crops" and annotation.remote_models and annotation.look != "crops":
            raise ValueError("privacy.send crops forbids whole frames and tiles: also set annotation.look to crops")
        if privacy.hide_classes and annotation.classes is None:
            raise ValueError("privacy.hide_classes needs annotation.classes: which classes are learned instead")
        both = sorted(set(privacy.hide_classes) & set(annotation.classes or ()))
        if both:
            raise ValueError(
                f"{', '.join(both)} cannot be learned and hidden: leave annotation.classes or hide_classes"
            )
        return self
