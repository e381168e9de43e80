"""A pinhole camera over a ground plane.

Metres on the ground: X to the right, Y away from the camera at yaw 0, Z up. Pixels: x to the right, y down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import ConfigError
from edge_autotuner.simulation.world.exact import cosine, sine, turns_of, turns_of_many

Float64Array = npt.NDArray[np.float64]

_MIN_SIDE_PX, _MAX_SIDE_PX = 96, 3840
BLOCK_PX = 8  # sides are multiples of it
SIDES = f"a simulated picture has sides of {_MIN_SIDE_PX} to {_MAX_SIDE_PX} pixels, multiples of {BLOCK_PX}"
NEAREST_M = 1.0  # what is nearer than this is not drawn


@dataclass(frozen=True)
class PinholeCamera:
    """Where the camera stands and looks.

    Attributes:
        size_wh: of its pictures, pixels.
        height_m: above the ground; it stands over X = Y = 0.
        tilt_deg: how far it looks down from the horizon.
        yaw_deg: how far it is turned to the right.
        focal_widths: focal length in widths of the picture; 0.9 sees 58 degrees.
    """

    size_wh: SizeWH
    height_m: float
    tilt_deg: float
    yaw_deg: float = 0.0
    focal_widths: float = 0.9

    def turned(self, yaw_deg: float, tilt_deg: float) -> PinholeCamera:
        """Return the camera after somebody turned it."""
        return replace(self, yaw_deg=self.yaw_deg + yaw_deg, tilt_deg=self.tilt_deg + tilt_deg)

    def with_margin(self, margin_px: int) -> PinholeCamera:
        """Return a camera with this many more pixels on every side, at the same scale."""
        width, height = self.size_wh
        wide = width + 2 * margin_px
        return replace(self, size_wh=(wide, height + 2 * margin_px), focal_widths=self.focal_px / wide)

    @cached_property
    def focal_px(self) -> float:
        """Focal length, pixels."""
        return self.focal_widths * self.size_wh[0]

    @cached_property
    def _angles(self) -> tuple[float, float, float, float]:
        tilt, yaw = self.tilt_deg / 360, self.yaw_deg / 360
        return sine(tilt), cosine(tilt), sine(yaw), cosine(yaw)

    def aligned(self, x_m: float, y_m: float) -> tuple[float, float]:
        """Return a ground point as (right, away) of the camera's own direction, metres."""
        _, _, sin_yaw, cos_yaw = self._angles
        return x_m * cos_yaw - y_m * sin_yaw, x_m * sin_yaw + y_m * cos_yaw

    def depth_of(self, x_m: float, y_m: float, z_m: float = 0.0) -> float:
        """Return the distance of a point along the line of sight, metres."""
        sin_tilt, cos_tilt, _, _ = self._angles
        return self.aligned(x_m, y_m)[1] * cos_tilt + (self.height_m - z_m) * sin_tilt

    def project(self, x_m: float, y_m: float, z_m: float = 0.0) -> tuple[float, float]:
        """Return the pixel of a point that is not nearer than `NEAREST_M`."""
        sin_tilt, cos_tilt, _, _ = self._angles
        right, away = self.aligned(x_m, y_m)
        depth = max(NEAREST_M, away * cos_tilt + (self.height_m - z_m) * sin_tilt)
        up = away * sin_tilt - (self.height_m - z_m) * cos_tilt
        scale = self.focal_px / depth
        return self.size_wh[0] / 2 + scale * right, self.size_wh[1] / 2 - scale * up

    def project_ground(self, xs: Float64Array, ys: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return columns and rows of many places on the ground."""
        sin_tilt, cos_tilt, sin_yaw, cos_yaw = self._angles
        right, away = xs * cos_yaw - ys * sin_yaw, xs * sin_yaw + ys * cos_yaw
        scale = self.focal_px / np.maximum(NEAREST_M, away * cos_tilt + self.height_m * sin_tilt)
        up = away * sin_tilt - self.height_m * cos_tilt
        return self.size_wh[0] / 2 + scale * right, self.size_wh[1] / 2 - scale * up

    def ground_depth(self, xs: Float64Array, ys: Float64Array) -> Float64Array:
        """Return the distances of many places on the ground along the line of sight, metres."""
        sin_tilt, cos_tilt, sin_yaw, cos_yaw = self._angles
        return (xs * sin_yaw + ys * cos_yaw) * cos_tilt + self.height_m * sin_tilt

    def ground_angles(self, xs: Float64Array, ys: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return under which azimuths and depressions the camera sees many places on the ground, turns."""
        _, _, sin_yaw, cos_yaw = self._angles
        right, away = xs * cos_yaw - ys * sin_yaw, xs * sin_yaw + ys * cos_yaw
        distance = np.sqrt(right * right + away * away)
        return turns_of_many(right, away), turns_of_many(np.full_like(distance, self.height_m), distance)

    def view_angles(self, x_m: float, y_m: float) -> tuple[float, float]:
        """Return under which azimuth and depression the camera sees a ground point, turns."""
        distance = math.sqrt(x_m * x_m + y_m * y_m)
        return turns_of(x_m, y_m), turns_of(self.height_m, distance)

    def ground_points(self) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return X and Y of the ground, and its depth, at every pixel, each (H, W); above the horizon depth is inf."""
        width, height = self.size_wh
        sin_tilt, cos_tilt, sin_yaw, cos_yaw = self._angles
        columns = (np.arange(width) + 0.5 - width / 2) / self.focal_px
        rows = (height / 2 - np.arange(height) - 0.5) / self.focal_px
        down = sin_tilt - rows * cos_tilt  # (H,) how steeply the ray falls
        depth = np.where(down > 1e-4, self.height_m / np.where(down > 1e-4, down, 1.0), np.inf)[:, None]
        depth = np.broadcast_to(depth, (height, width))
        flat = np.where(np.isfinite(depth), depth, 0.0)
        away = flat * (cos_tilt + rows * sin_tilt)[:, None]
        right = flat * columns[None, :]
        return right * cos_yaw + away * sin_yaw, away * cos_yaw - right * sin_yaw, depth


def clipped_polygon(
    camera: PinholeCamera, points: list[tuple[float, float, float]]
) -> list[tuple[float, float, float]]:
    """Return the part of a polygon that lies before the camera; empty if none does."""
    kept: list[tuple[float, float, float]] = []
    for number, point in enumerate(points):
        before = points[number - 1]
        near, near_before = camera.depth_of(*point) - NEAREST_M, camera.depth_of(*before) - NEAREST_M
        if (near > 0) != (near_before > 0):
            share = near_before / (near_before - near)
            kept.append((
                before[0] + share * (point[0] - before[0]),
                before[1] + share * (point[1] - before[1]),
                before[2] + share * (point[2] - before[2]),
            ))  # fmt: skip
        if near > 0:
            kept.append(point)
    return kept


def can_be_drawn(size_wh: SizeWH) -> bool:
    """Whether both sides are as `SIDES` says."""
    return all(side % BLOCK_PX == 0 and _MIN_SIDE_PX <= side <= _MAX_SIDE_PX for side in size_wh)


def check_picture(size_wh: SizeWH, n_frames: int, rate_hz: float) -> None:
    """Refuse numbers that no camera has.

    Raises:
        ConfigError: a number is out of range.
    """
    if not can_be_drawn(size_wh):
        raise ConfigError(f"{SIDES}; got {size_wh[0]}x{size_wh[1]}")
    if n_frames < 1 or not 0 < rate_hz <= 1000:
        raise ConfigError(f"expected at least one frame and a rate of up to 1000 Hz, got {n_frames} and {rate_hz}")
