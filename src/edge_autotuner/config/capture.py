"""Settings of the capture stage: background, motion, and which frames are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from edge_autotuner.config.base import FrameRange, FrozenConfig, Seconds

Sensitivity = Literal["low", "medium", "high"]


class BackgroundConfig(FrozenConfig):
    """How the empty scene is estimated (paper, section 4.2.1)."""

    method: Literal["median", "first", "mog2", "knn"] = Field(
        "median", description="median: pixel-wise median of sampled frames, then the moving median of those."
    )
    n_frames: int = Field(15, ge=1, le=255, description="N: frames in one median.")
    every_k_frames: int = Field(5, ge=1, description="k: one frame out of k enters the median.")
    n_backgrounds: int = Field(3, ge=1, le=63, description="M: medians of which the moving median is the background.")
    reset_every_s: Seconds | None = Field(
        None, gt=0, description="Forget the background after this many seconds of video; null: never."
    )


class MotionConfig(FrozenConfig):
    """How changes against the background become regions."""

    sensitivity: Sensitivity = Field("medium", description="Sets threshold and minimum area together.")
    working_width_px: int = Field(
        480, ge=64, description="Frames wider than this are shrunk for motion detection only."
    )
    blur_px: int = Field(5, ge=1, le=99, description="Side of the Gaussian blur, working pixels; odd.")
    threshold: int | None = Field(
        None, ge=1, le=254, description="Smallest brightness difference (0-255); null: by sensitivity."
    )
    dilate_px: int = Field(
        7, ge=0, le=99, description="Side of the round spot that a changed pixel grows to, working pixels; 0: none."
    )
    min_area_px: float | None = Field(
        None, gt=0, description="Smallest changed area, source pixels; null: by sensitivity, relative to the frame."
    )
    min_region_px: int = Field(
        64, ge=1, description="Regions are padded to at least this width and height, source pixels."
    )
    padding_fraction: float = Field(
        0.1, ge=0, le=2, description="Margin added on each side, as a share of the region's width and height."
    )
    merge: Literal["overlapping", "all", "none"] = Field(
        "overlapping", description="overlapping: join regions that touch; all: one box around everything."
    )

    @field_validator("blur_px")
    @classmethod
    def _is_odd(cls, side: int) -> int:
        if side % 2 == 0:
            raise ValueError("must be odd")
        return side


class CaptureConfig(FrozenConfig):
    """Which frames are collected for training and which are kept for the evaluation."""

    background: BackgroundConfig = BackgroundConfig()
    motion: MotionConfig = MotionConfig()
    max_images: int = Field(1000, ge=1, description="Stop after this many training frames (paper, section 5.3).")
    min_gap_s: float = Field(
        0.0, ge=0, description="Shortest time between two selected frames, seconds; 0: spread over the video."
    )
    min_change_fraction: float = Field(
        0.25,
        ge=0,
        le=1,
        description="A frame is new when at least this share of its motion area differs from the last selected frame.",
    )
    deadline_s: Seconds | None = Field(None, gt=0, description="Stop collecting after this long.")
    test_fraction: float = Field(0.2, gt=0, lt=1, description="Share at the end that is never trained on.")
    max_test_images: int = Field(200, ge=1, description="Frames of the kept part that are evaluated, evenly spread.")
    train_frames: FrameRange | None = Field(None, description="Train on these frames only, START:STOP.")
    test_frames: FrameRange | None = Field(None, description="Evaluate on these frames only, START:STOP.")
    test_every: int | None = Field(None, ge=1, description="Evaluate every n-th frame of the kept part instead.")
    picture_format: Literal["jpg", "png"] = Field(
        "jpg", description="How frames of a video are stored; pictures of a folder are copied as they are."
    )

    @model_validator(mode="after")
    def _ranges_are_apart(self) -> CaptureConfig:
        if self.train_frames and self.test_frames:
            (a, b), (c, d) = self.train_frames, self.test_frames
            if (b is None or c < b) and (d is None or a < d):
                raise ValueError("train_frames and test_frames overlap: a test frame may never be trained on")
        return self
