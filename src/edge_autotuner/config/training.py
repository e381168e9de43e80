"""Settings of the training stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge_autotuner.config.augmentation import AugmentationConfig
from edge_autotuner.config.base import FrozenConfig, Seconds
from edge_autotuner.config.feature_cache import FeatureCacheConfig
from edge_autotuner.config.replay import ReplayConfig
from edge_autotuner.config.second_look import SecondLookConfig

TrainableLayers = Literal["auto", "box", "top", "all"]
TrainingDevice = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]


class TrainingConfig(FrozenConfig):
    """How the edge model is fine-tuned."""

    layers: TrainableLayers = Field(
        "auto", description="box: detection head; top: head and the pyramid's last layers; all; auto: by label count."
    )
    auto_all_from_boxes: int = Field(
        500,
        ge=0,
        le=1_000_000_000,
        description="With auto, all layers are trained from this many labelled boxes on, else box.",
    )
    n_epochs: int = Field(8, ge=1, le=10_000, description="Passes over the training pictures.")
    max_steps_per_epoch: int = Field(75, ge=1, le=1_000_000, description="An epoch ends after this many batches.")
    min_steps_per_epoch: int = Field(
        25, ge=1, le=1_000_000, description="Few pictures are shown repeatedly until this many batches."
    )
    batch_size: int = Field(8, ge=1, le=4096, description="Pictures per step.")
    max_lr: float = Field(1e-3, gt=0, le=10, description="Peak of the one-cycle learning rate (AdamW).")
    weight_decay: float = Field(5e-4, ge=0, le=10, description="Decoupled weight decay of the convolutions.")
    ema_decay: float = Field(0.99, ge=0, lt=1, description="Decay of the averaged weights that are evaluated and kept.")
    val_fraction: float = Field(
        0.15, gt=0, lt=0.9, description="Last share of the TRAINING period that chooses the checkpoint."
    )
    max_val_images: int = Field(60, ge=1, le=100_000, description="Most validation frames, evenly spread.")
    patience_epochs: int = Field(
        5, ge=1, le=10_000, description="Stop when validation has not improved for this many epochs after the warm-up."
    )
    distill_weight: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="Pull towards the starting model where the labels say nothing (learning without forgetting).",
    )
    keep_start: float = Field(
        0.0, ge=0, lt=1, description="Share of the starting weights in the result: weights between old and new."
    )
    augmentation: AugmentationConfig = AugmentationConfig()
    features: FeatureCacheConfig = FeatureCacheConfig()
    replay: ReplayConfig = ReplayConfig()
    second_look: SecondLookConfig = SecondLookConfig()
    score_weight: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How much a label's weight depends on the teacher's score: it is 1 - score_weight * (1 - score).",
    )
    device: TrainingDevice = Field("auto", description="Where to compute; auto: cuda where there is one, else cpu.")
    precision: Precision = Field(
        "auto", description="Of the convolutions; auto: bfloat16 on a CUDA device that has it, else float32."
    )
    deadline_s: Seconds | None = Field(
        None, gt=0, description="Time for the whole training stage; it ends before, with the best weights so far."
    )
    n_threads: int | None = Field(None, ge=1, le=256, description="CPU threads; null: all cores.")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Seed of the order and of the augmentation.")
