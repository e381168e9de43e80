"""Settings of the motion gate."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from edge_autotuner.config.base import FrozenConfig

Sensitivity = Literal["low", "medium", "high"]
Point = tuple[float, float]


def _is_inside_and_has_area(polygon: tuple[Point, ...]) -> tuple[Point, ...]:
    outside = [point for point in polygon if not all(0 <= value <= 1 for value in point)]
    if outside:
        x, y = outside[0]
        raise ValueError(
            f"the point ({x:g}, {y:g}) lies outside of the picture; give shares of width and height, 0 to 1 "
            "(pixels divided by the size of the frame)"
        )
    doubled_area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True))
    if len(polygon) < 3 or abs(doubled_area) < 1e-9:
        raise ValueError("a polygon needs at least three points that are not on one line")
    return polygon


Polygon = Annotated[tuple[Point, ...], AfterValidator(_is_inside_and_has_area)]
"""Corners as shares of the frame's width and height, 0..1; the last is joined to the first."""


class MotionConfig(FrozenConfig):
    """How changes against the background become regions."""

    sensitivity: Sensitivity = Field("medium", description="Sets threshold and minimum area together.")
    working_width_px: int = Field(
        480, ge=64, le=4096, description="Frames wider than this are shrunk for motion detection only."
    )
    blur_px: int = Field(
        5,
        ge=1,
        le=99,
        description="Side of the square over which brightness is averaged, working pixels; odd; 1: none.",
    )
    threshold: int | None = Field(
        None, ge=1, le=254, description="Smallest brightness difference (0-255); null: by sensitivity."
    )
    shake_px: int = Field(
        2,
        ge=0,
        le=20,
        description="A pixel that is as bright as some background at most so far away has not changed, working "
        "pixels: edges shake, leaves tremble. 0: compared with its own background only.",
    )
    noise_factor: float = Field(
        20.0,
        ge=0,
        le=200,
        description="The difference must also reach this many times the flicker that its place never loses "
        "(trees, water, sensor noise), grey levels; 0: not asked.",
    )
    persistence_frames: int = Field(
        2,
        ge=1,
        le=25,
        description="A change counts when it is seen in this many frames in a row; 1: at once. Not asked of frames "
        "that are more than half a second apart.",
    )
    dilate_px: int = Field(
        7,
        ge=0,
        le=99,
        description="Side of the square that a changed pixel grows to; changes that touch then are one area. "
        "Working pixels; 0: none.",
    )
    min_area_px: float | None = Field(
        None,
        gt=0,
        le=1e9,
        description="Smallest changed area, source pixels; null: by sensitivity, relative to the frame.",
    )
    min_region_px: int | None = Field(
        None,
        ge=1,
        le=1_000_000_000,
        description="Regions are padded to at least this width and height, source pixels; null: 1/12 of the width.",
    )
    padding_fraction: float = Field(
        0.1, ge=0, le=2, description="Margin added on each side, as a share of the region's width and height."
    )
    merge: Literal["overlapping", "all", "none"] = Field(
        "overlapping",
        description="overlapping: join regions that touch, unless the joined one is much larger than they are; "
        "all: one box around everything; none: never.",
    )
    ignore: tuple[Polygon, ...] = Field(
        (), description="Polygons in which nothing counts; corners as shares of width and height, [[x, y], ...]."
    )
    watch: tuple[Polygon, ...] = Field((), description="Polygons outside of which nothing counts; none: everywhere.")

    @field_validator("blur_px")
    @classmethod
    def _is_odd(cls, side: int) -> int:
        if side % 2 == 0:
            raise ValueError("must be odd")
        return side
