"""Settings of the evaluation stage and of the promotion rule."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from edge_autotuner.config.base import FrozenConfig


class EvaluationConfig(FrozenConfig):
    """What is scored, against what, and when a candidate replaces the deployed model."""

    ground_truth: Path | None = Field(
        None, description="COCO JSON with human boxes, which score the frames that it lists."
    )
    test_source: Path | None = Field(None, description="Another video or folder of the same camera to evaluate on.")
    map_classes: dict[str, str] = Field(
        default_factory=dict, description="Scored as one class: for example {bus: car, truck: car}."
    )
    max_detections: int = Field(300, ge=1, le=10_000, description="Most boxes per frame that are scored.")
    min_score: float = Field(0.05, ge=0, lt=1, description="Boxes below this score are not scored.")
    promotion_max_iou: float = Field(
        0.75,
        ge=0.5,
        le=0.95,
        description="Largest overlap threshold of the AP that decides about the promotion. Overlaps above say more "
        "about how the teacher draws its boxes than about the objects.",
    )
    n_bootstrap: int = Field(1000, ge=100, le=1_000_000, description="Resamples of the frames for the promotion rule.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence that the promotion rule asks for.")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Seed of the resampling.")
