"""Settings of the training stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge_autotuner.config.base import FrozenConfig, Seconds

TrainableLayers = Literal["auto", "box", "top", "all"]


class AugmentationConfig(FrozenConfig):
    """Random changes of the training pictures; all are off at 0."""

    flip: float = Field(0.5, ge=0, le=1, description="Probability of a mirror image.")
    scale: float = Field(0.3, ge=0, lt=1, description="Size varies by a factor between 1-scale and 1+scale.")
    translate: float = Field(0.1, ge=0, le=0.5, description="Shift, as a share of the picture.")
    brightness: float = Field(0.2, ge=0, lt=1, description="Brightness factor varies by this much.")
    contrast: float = Field(0.2, ge=0, lt=1, description="Contrast factor varies by this much.")
    saturation: float = Field(0.2, ge=0, lt=1, description="Saturation factor varies by this much.")
    noise: float = Field(0.0, ge=0, le=50, description="Standard deviation of added noise, grey levels.")


class TrainingConfig(FrozenConfig):
    """How the edge model is fine-tuned."""

    layers: TrainableLayers = Field(
        "auto", description="box: detection head; top: head and the pyramid's last layers; all; auto: by label count."
    )
    auto_all_from_boxes: int = Field(
        500, ge=0, description="With auto, all layers are trained from this many labelled boxes on, else box."
    )
    n_epochs: int = Field(8, ge=1, description="Passes over the training pictures.")
    max_steps_per_epoch: int = Field(75, ge=1, description="An epoch ends after this many batches.")
    min_steps_per_epoch: int = Field(25, ge=1, description="Few pictures are shown repeatedly until this many batches.")
    batch_size: int = Field(8, ge=1, description="Pictures per step.")
    max_lr: float = Field(1e-3, gt=0, description="Peak of the one-cycle learning rate (AdamW).")
    weight_decay: float = Field(5e-4, ge=0, description="Decoupled weight decay of the convolutions.")
    ema_decay: float = Field(0.99, ge=0, lt=1, description="Decay of the averaged weights that are evaluated and kept.")
    val_fraction: float = Field(
        0.15, gt=0, lt=0.9, description="Last share of the TRAINING period that chooses the checkpoint."
    )
    max_val_images: int = Field(60, ge=1, description="Most validation frames, evenly spread.")
    patience_epochs: int = Field(
        5, ge=1, description="Stop when validation has not improved for this many epochs after the warm-up."
    )
    distill_weight: float = Field(
        0.0,
        ge=0,
        description="Pull towards the starting model where the labels say nothing (learning without forgetting).",
    )
    augmentation: AugmentationConfig = AugmentationConfig()
    deadline_s: Seconds | None = Field(None, gt=0, description="Stop at the end of the step that passes this time.")
    n_threads: int | None = Field(None, ge=1, description="CPU threads; null: all cores.")
    seed: int = Field(0, ge=0, description="Seed of the order and of the augmentation.")
