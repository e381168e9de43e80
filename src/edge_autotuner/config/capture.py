"""Settings of the capture stage: source, background, motion, and which frames are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edge_autotuner.config.background import BackgroundConfig
from edge_autotuner.config.base import FrameRange, FrozenConfig, Seconds
from edge_autotuner.config.motion import MotionConfig
from edge_autotuner.config.selection import SelectionConfig
from edge_autotuner.config.stream import StreamConfig


class CaptureConfig(FrozenConfig):
    """Which frames are collected for training and which are kept for the evaluation."""

    stream: StreamConfig = StreamConfig()
    background: BackgroundConfig = BackgroundConfig()
    motion: MotionConfig = MotionConfig()
    selection: SelectionConfig = SelectionConfig()
    max_images: int = Field(
        1000, ge=1, le=1_000_000, description="Stop after this many training frames (paper, section 5.3)."
    )
    deadline_s: Seconds | None = Field(None, gt=0, description="Stop collecting after this long.")
    test_fraction: float = Field(0.2, gt=0, lt=1, description="Share at the end that is never trained on.")
    max_test_images: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Most held-out frames to evaluate on, evenly spread; up to as many again with human boxes.",
    )
    train_frames: FrameRange | None = Field(None, description="Train on these frames only, START:STOP.")
    test_frames: FrameRange | None = Field(None, description="Evaluate on these frames only, START:STOP.")
    test_every: int | None = Field(
        None, ge=1, le=1_000_000, description="Evaluate every n-th frame of the kept part instead."
    )
    picture_format: Literal["jpg", "png"] = Field(
        "jpg", description="How frames of a video are stored; pictures of a folder are copied, without metadata."
    )

    @model_validator(mode="after")
    def _ranges_are_apart(self) -> CaptureConfig:
        if self.train_frames and self.test_frames:
            (a, b), (c, d) = self.train_frames, self.test_frames
            if (b is None or c < b) and (d is None or a < d):
                raise ValueError("train_frames and test_frames overlap: a test frame may never be trained on")
        return self
