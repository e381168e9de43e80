"""Settings of the training stage."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from edge_autotuner.config.base import FrozenConfig, Seconds

TrainableLayers = Literal["auto", "box", "top", "all"]
TrainingDevice = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]


class AugmentationConfig(FrozenConfig):
    """Random changes to training pictures; 0 turns each one off."""

    flip: float = Field(0.5, ge=0, le=1, description="Probability of a horizontal flip.")
    scale: float = Field(0.3, ge=0, lt=1, description="Resize by a random factor between 1-scale and 1+scale.")
    translate: float = Field(0.1, ge=0, le=0.5, description="Maximum shift, fraction of the picture.")
    brightness: float = Field(0.2, ge=0, lt=1, description="Maximum relative change of brightness.")
    contrast: float = Field(0.2, ge=0, lt=1, description="Maximum relative change of contrast.")
    saturation: float = Field(0.2, ge=0, lt=1, description="Maximum relative change of saturation.")
    noise: float = Field(0.0, ge=0, le=50, description="Standard deviation of added noise, grey levels.")
    paste: float = Field(
        2.0,
        ge=0,
        le=50,
        description="Mean number of moving objects to paste into each picture, cut from other pictures of the camera "
        "and scaled to fit the place; needs at least 8 pictures.",
    )
    mosaic: float = Field(0.0, ge=0, le=1, description="Probability of joining parts of four pictures into one.")
    mosaic_until: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Fraction of the epochs with mosaics; the last ones use whole pictures, as in YOLOX.",
    )


class FeatureCacheConfig(FrozenConfig):
    """Disk cache for the output of frozen layers, computed once per view of a picture."""

    enabled: bool = Field(
        True, description="Cache the frozen layers' output on disk; false: compute it again in each step."
    )
    n_views: int = Field(
        4, ge=1, le=1000, description="Augmented views of each picture; they take turns from epoch to epoch."
    )
    max_gb: float = Field(
        4.0,
        gt=0,
        le=1_000_000,
        description="Maximum disk space, 10^9 bytes. Fewer views are cached if they do not fit, none if not even one "
        "fits.",
    )
    min_free_gb: float = Field(1.0, ge=0, le=1_000_000, description="Disk space to leave free, 10^9 bytes.")


class ReplayConfig(FrozenConfig):
    """A reservoir of earlier pictures that later trainings see again."""

    folder: Path | None = Field(
        None, description="Folder of the reservoir; created if missing. null: no replay, and nothing is kept."
    )
    share: float = Field(0.25, ge=0, lt=1, description="Fraction of an epoch's pictures taken from the reservoir.")
    generic_share: float = Field(0.4, ge=0, le=1, description="Fraction of the replayed pictures from other scenes.")
    max_pictures: int | None = Field(
        None, ge=1, le=1_000_000, description="Maximum pictures in the reservoir; null: unchanged, 500 in a new one."
    )
    max_mb: float | None = Field(
        None,
        gt=0,
        le=10_000_000,
        description="Maximum size of the reservoir, MB of 10^6 bytes; null: unchanged, 200 in a new one.",
    )


class SecondLookConfig(FrozenConfig):
    """Whether and when the student relabels the training frames."""

    enabled: bool = Field(
        True,
        description="Partway through training, fuse the teacher's boxes with those that the student finds on magnified "
        "views, and continue with these labels. Test labels remain the teacher's.",
    )
    after: float = Field(
        0.4, gt=0, lt=1, description="Fraction of the epochs, and of any deadline, before the second look."
    )


class TrainingConfig(FrozenConfig):
    """How the edge model is fine-tuned."""

    layers: TrainableLayers = Field(
        "auto",
        description="Layers to train. box: detection head; top: head and last layers of the pyramid; all; auto: by "
        "number of labels.",
    )
    auto_all_from_boxes: int = Field(
        500,
        ge=0,
        le=1_000_000_000,
        description="With auto, train all layers from this many labelled boxes on; below, only box.",
    )
    n_epochs: int = Field(8, ge=1, le=10_000, description="Maximum passes over the training pictures.")
    fewer_epochs_above: float = Field(
        0.5,
        ge=0,
        le=1,
        description="AP50:95 of the start model on the validation frames above which there are fewer epochs, in "
        "proportion to what it lacks (at .75: half as many); at least 3. 1: never fewer.",
    )
    max_steps_per_epoch: int = Field(75, ge=1, le=1_000_000, description="Maximum batches per epoch.")
    min_steps_per_epoch: int = Field(
        25, ge=1, le=1_000_000, description="Minimum batches per epoch; a small dataset is repeated."
    )
    batch_size: int = Field(8, ge=1, le=4096, description="Pictures per step.")
    max_lr: float = Field(1e-3, gt=0, le=10, description="Peak of the one-cycle learning rate (AdamW).")
    weight_decay: float = Field(5e-4, ge=0, le=10, description="Decoupled weight decay of the convolutions.")
    ema_decay: float = Field(
        0.99, ge=0, lt=1, description="Decay of the weight average (EMA) that is evaluated and kept."
    )
    val_fraction: float = Field(
        0.15, gt=0, lt=0.9, description="Last fraction of the TRAINING period, used to choose the checkpoint."
    )
    max_val_images: int = Field(60, ge=1, le=100_000, description="Maximum validation frames, evenly spread.")
    patience_epochs: int = Field(
        5, ge=1, le=10_000, description="Stop after this many epochs without improvement, not counting the warm-up."
    )
    distill_weight: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="Strength of distillation from the starting model where there are no labels (learning without "
        "forgetting).",
    )
    keep_start: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Interpolate the result with the starting weights; fraction of the starting weights.",
    )
    augmentation: AugmentationConfig = AugmentationConfig()
    features: FeatureCacheConfig = FeatureCacheConfig()
    replay: ReplayConfig = ReplayConfig()
    second_look: SecondLookConfig = SecondLookConfig()
    score_weight: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Weight labels by the teacher's score: each counts 1 - score_weight * (1 - score).",
    )
    repeat_rare: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Show pictures of rare classes more often: a class in a fraction f of the pictures, below this "
        "threshold, by a factor of sqrt(threshold / f); 0: off.",
    )
    device: TrainingDevice = Field("auto", description="Device; auto: cuda if available, else cpu.")
    precision: Precision = Field(
        "auto",
        description="Precision of the convolutions; auto: bfloat16 where the device has it in hardware (CUDA; on a CPU "
        "with AVX512_BF16 or AMX for YOLOX models), else float32.",
    )
    deadline_s: Seconds | None = Field(
        None, gt=0, description="Time limit for the whole training stage; the best weights so far are kept."
    )
    n_threads: int | None = Field(None, ge=1, le=256, description="CPU threads; null: all cores.")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Seed of the sample order and the augmentation.")
