"""Settings of the capture stage: sources, background model, motion gate and frame selection."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from edge_autotuner.config.base import FrameRange, FrozenConfig, Seconds
from edge_autotuner.core.plugins import BACKGROUNDS

BackgroundMethod = Annotated[str, AfterValidator(BACKGROUNDS.require)]
Sensitivity = Literal["low", "medium", "high"]
ScoreName = Literal["uniform", "random", "motion-area", "confident", "unsure", "near-threshold", "disagreement"]
Point = tuple[float, float]


class StreamConfig(FrozenConfig):
    """Connection to a live source: a camera, a stream, or a recording played as if live."""

    duration_s: Seconds = Field(
        3600.0, gt=0, description="Time to watch a live source, including the test part at the end."
    )
    realtime: bool = Field(False, description="Play a recording at its own pace, as if it were live.")
    transport: Literal["tcp", "udp"] = Field("tcp", description="RTSP transport.")
    open_timeout_s: Seconds = Field(10.0, gt=0, description="Connection timeout.")
    read_timeout_s: Seconds = Field(
        10.0, gt=0, description="Time without a new frame after which the stream counts as stalled."
    )
    first_retry_s: Seconds = Field(1.0, gt=0, description="Delay before the first reconnect; doubles each time.")
    longest_retry_s: Seconds = Field(60.0, gt=0, description="Maximum delay between reconnects.")
    give_up_after_s: Seconds | None = Field(
        None, gt=0, description="Fail after this long without a frame; null: keep trying."
    )
    frozen_after_s: Seconds | None = Field(
        60.0, gt=0, description="Reconnect after this long with bit-identical frames; null: never."
    )
    undecodable_after_s: Seconds = Field(
        30.0,
        gt=0,
        description="Reconnect after this long with data but no decodable frame. Some cameras send a key frame, "
        "where decoding can start, only every 20 s.",
    )
    webcam_size: str | None = Field(
        None, pattern=r"^[1-9]\d{0,4}x[1-9]\d{0,4}$", description="Frame size to request from a webcam, e.g. 1280x720."
    )
    webcam_rate_hz: float | None = Field(
        None, gt=0, le=1000, description="Frame rate to request from a webcam, frames per second."
    )


class BackgroundConfig(FrozenConfig):
    """How the empty scene is estimated (paper, section 4.2.1), and when it is reset or recalled."""

    method: BackgroundMethod = Field(
        "median",
        description="median: per-pixel median of sampled frames, then a moving median of those medians; percentile: "
        "the same with another rank; running: move each pixel one level towards each frame; first: keep the first "
        "frame; mog2, knn: OpenCV background subtractors.",
    )
    n_frames: int = Field(15, ge=1, le=255, description="N: frames per median.")
    every_k_frames: int = Field(5, ge=1, le=100_000, description="k: sample every k-th frame.")
    n_backgrounds: int = Field(3, ge=1, le=63, description="M: medians in the moving median.")
    percentile: float = Field(
        40.0,
        ge=0,
        le=100,
        description="Rank for the percentile method; use less than 50 if objects are brighter than the scene.",
    )
    reset_every_s: Seconds | None = Field(
        None, gt=0, description="Reset the background after this much video; null: never."
    )
    freeze_after_s: Seconds | None = Field(
        None,
        gt=0,
        description="Stop updating the background this long after it is first known, and again after each reset or "
        "scene change; null: never.",
    )
    scene_change_fraction: float | None = Field(
        0.7,
        gt=0,
        le=1,
        description="Rebuild the background when at least this fraction of the frame, or of its structure, changes and "
        "stays changed for two seconds (lights switched, infrared mode), or when the camera was moved; null: never.",
    )
    n_remembered: int = Field(
        2,
        ge=0,
        le=8,
        description="Earlier backgrounds (night, lights on) to remember and reuse when they match again.",
    )


def _is_inside_and_has_area(polygon: tuple[Point, ...]) -> tuple[Point, ...]:
    outside = [point for point in polygon if not all(0 <= value <= 1 for value in point)]
    if outside:
        x, y = outside[0]
        raise ValueError(
            f"the point ({x:g}, {y:g}) is outside the frame; use fractions of width and height, 0 to 1 "
            "(pixels divided by the frame size)"
        )
    doubled_area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True))
    if len(polygon) < 3 or abs(doubled_area) < 1e-9:
        raise ValueError("a polygon needs at least three points that are not on one line")
    return polygon


Polygon = Annotated[tuple[Point, ...], AfterValidator(_is_inside_and_has_area)]
"""Corners as fractions of the frame's width and height, 0..1; closed automatically."""


class MotionConfig(FrozenConfig):
    """How differences from the background become motion regions."""

    sensitivity: Sensitivity = Field("medium", description="Preset for threshold and minimum area.")
    working_width_px: int = Field(
        480, ge=64, le=4096, description="Shrink wider frames to this width, for motion detection only."
    )
    blur_px: int = Field(
        5, ge=1, le=99, description="Side of the box blur before comparing, working pixels; odd; 1: no blur."
    )
    threshold: int | None = Field(
        None, ge=1, le=254, description="Minimum brightness difference, 0 to 255; null: from sensitivity."
    )
    shake_px: int = Field(
        2,
        ge=0,
        le=20,
        description="Treat a pixel as unchanged if it matches the background anywhere within this distance, working "
        "pixels; tolerates shaking edges and leaves. 0: compare each pixel with its own background only.",
    )
    noise_factor: float = Field(
        20.0,
        ge=0,
        le=200,
        description="Require the difference to exceed this multiple of the pixel's constant flicker (trees, water, "
        "sensor noise), grey levels; 0: off.",
    )
    persistence_frames: int = Field(
        2,
        ge=1,
        le=25,
        description="Count a change only after this many consecutive frames; 1: at once. Does not apply to frames "
        "more than half a second apart.",
    )
    dilate_px: int = Field(
        7,
        ge=0,
        le=99,
        description="Grow each changed pixel to a square of this side, working pixels, so that nearby changes merge "
        "into one area; 0: off.",
    )
    min_area_px: float | None = Field(
        None, gt=0, le=1e9, description="Minimum changed area, source pixels; null: from sensitivity and frame size."
    )
    min_region_px: int | None = Field(
        None,
        ge=1,
        le=1_000_000_000,
        description="Pad regions to at least this width and height, source pixels; null: 1/12 of the frame width.",
    )
    padding_fraction: float = Field(
        0.1, ge=0, le=2, description="Margin on each side of a region, fraction of its width and height."
    )
    merge: Literal["overlapping", "all", "none"] = Field(
        "overlapping",
        description="overlapping: join regions that touch, unless the result is much larger than its parts; all: one "
        "box around everything; none: never join.",
    )
    ignore: tuple[Polygon, ...] = Field(
        (),
        description="Polygons in which motion is ignored; corners as fractions of width and height, [[x, y], ...].",
    )
    watch: tuple[Polygon, ...] = Field((), description="Polygons outside which motion is ignored; empty: whole frame.")

    @field_validator("blur_px")
    @classmethod
    def _is_odd(cls, side: int) -> int:
        if side % 2 == 0:
            raise ValueError("must be odd")
        return side


class SelectionConfig(FrozenConfig):
    """Which frames with motion are sent to the teacher."""

    score: ScoreName = Field(
        "uniform",
        description="How to choose the frame of each time slot. uniform: the first; random; motion-area: the most "
        "motion; confident, unsure: highest or lowest student score; near-threshold: scores closest to "
        "score_threshold; disagreement: the student sees different objects in the motion regions and in the whole "
        "frame.",
    )
    score_threshold: float = Field(
        0.3,
        gt=0,
        lt=1,
        description="Target score for near-threshold; minimum score of the objects that disagreement counts.",
    )
    min_gap_s: float = Field(
        0.0,
        ge=0,
        le=1e9,
        description="Minimum time between selected frames, seconds; 0: spread them over the video.",
    )
    max_per_hour: int | None = Field(
        None, ge=1, le=1_000_000, description="Maximum frames in any 60 minutes; null: no limit."
    )
    max_per_day: int | None = Field(
        None, ge=1, le=10_000_000, description="Maximum frames in any 24 hours; null: no limit."
    )
    min_change_fraction: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Treat a region as new if at least this fraction of its changed pixels differs from what was "
        "last sent of that place.",
    )
    regions: Literal["new", "all"] = Field(
        "new", description="Regions of a selected frame to send to the teacher; new: only those not sent before."
    )
    diversity: Literal["none", "hash", "embedding"] = Field(
        "none",
        description="Skip frames that resemble a selected one. hash: perceptual hash; embedding: appearance.",
    )
    min_distance: float = Field(
        0.1, ge=0, le=1, description="Minimum difference between selected frames under `diversity`."
    )
    empty_fraction: float = Field(
        0.05, ge=0, le=0.5, description="Maximum fraction of empty frames among those selected, as negatives."
    )

    @property
    def asks_student(self) -> bool:
        """Whether the score needs the edge model's detections on each candidate."""
        return self.score in {"confident", "unsure", "near-threshold", "disagreement"}


class CaptureConfig(FrozenConfig):
    """Which frames are collected for training, and which are held out for evaluation."""

    stream: StreamConfig = StreamConfig()
    background: BackgroundConfig = BackgroundConfig()
    motion: MotionConfig = MotionConfig()
    selection: SelectionConfig = SelectionConfig()
    max_images: int = Field(1000, ge=1, le=1_000_000, description="Maximum training frames (paper, section 5.3).")
    deadline_s: Seconds | None = Field(None, gt=0, description="Time limit for collecting.")
    test_fraction: float = Field(
        0.2, gt=0, lt=1, description="Fraction at the end to hold out for evaluation; never trained on."
    )
    max_test_images: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Maximum held-out frames, evenly spread; up to as many again that have human boxes.",
    )
    train_frames: FrameRange | None = Field(None, description="Train only on these frames, START:STOP.")
    test_frames: FrameRange | None = Field(None, description="Evaluate only on these frames, START:STOP.")
    test_every: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Evaluate every n-th frame of the held-out part; null: evenly spread, up to max_test_images.",
    )
    picture_format: Literal["jpg", "png"] = Field(
        "jpg",
        description="Format of stored video frames; pictures from a folder are copied as they are, without metadata.",
    )

    @model_validator(mode="after")
    def _ranges_are_apart(self) -> CaptureConfig:
        if self.train_frames and self.test_frames:
            (a, b), (c, d) = self.train_frames, self.test_frames
            if (b is None or c < b) and (d is None or a < d):
                raise ValueError("train_frames and test_frames overlap; a test frame must never be trained on")
        return self
