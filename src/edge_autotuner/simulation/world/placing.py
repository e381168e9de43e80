"""Which pictures are where in a frame: all things of a moment are projected at once, and their pictures kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edge_autotuner.core.types import SizeWH
from edge_autotuner.simulation.world.camera import PinholeCamera
from edge_autotuner.simulation.world.companions import N_STEPS, draw_companion
from edge_autotuner.simulation.world.people import draw_person
from edge_autotuner.simulation.world.sprite import (
    DEPRESSION_BINS,
    SCALES,
    YAW_BINS,
    Sprite,
    SpriteCache,
    View,
)
from edge_autotuner.simulation.world.structures import Prop
from edge_autotuner.simulation.world.traffic import Thing
from edge_autotuner.simulation.world.truth import Placed, phase_of
from edge_autotuner.simulation.world.vehicles import draw_vehicle

MARGIN_PX = 16
"""Pixels of the backdrop beyond every border of the picture."""
_NEAREST_M = 3.0
_SCALES = np.array(SCALES)
_VEHICLE_STEPS = ((18.0, 1, 1), (7.0, 2, 2), (0.0, 2, 4))  # from so many pixels per metre on: steps of yaw and scale
_PERSON_STEPS = ((8.0, 2, 2), (0.0, 2, 4))  # people move their limbs, which hides coarser steps
_view = lru_cache(maxsize=8192)(View)


@dataclass(frozen=True, eq=False)
class _Seen:
    """Things that may be in the picture, and how the camera sees them, each (N,)."""

    things: list[Thing]
    columns: npt.NDArray[np.float64]
    rows: npt.NDArray[np.float64]
    depths: npt.NDArray[np.float64]
    yaws: npt.NDArray[np.float64]
    depressions: npt.NDArray[np.float64]
    px_per_m: npt.NDArray[np.float64]


class Placer:
    """Places the things of a moment in the picture of a camera.

    Args:
        size_wh: of the picture.
        sprites: where pictures of things are kept.
    """

    def __init__(self, size_wh: SizeWH, sprites: SpriteCache) -> None:
        self._size_wh, self._sprites = size_wh, sprites

    def place(
        self, things: list[Thing], camera: PinholeCamera, props: Sequence[Prop], shake: tuple[int, int]
    ) -> list[Placed]:
        """Return what is visible, far to near, with the trees and posts that cover something.

        Args:
            things: of this moment, in any order.
            camera: that sees them.
            props: trees and posts as the camera sees them, with a margin around the picture.
            shake: offset of the picture, pixels.
        """
        seen = self._seen(things, camera)
        columns = np.floor(seen.columns).astype(np.int64) + shake[0]
        rows = np.floor(seen.rows).astype(np.int64) + shake[1]
        places = zip(seen.things, columns.tolist(), rows.tolist(), seen.depths.tolist(), self._views(seen), strict=True)
        all_placed = (Placed(self._picture(thing, view), (x, y), depth, thing, view)
                      for thing, x, y, depth, view in places)  # fmt: skip
        placed = sorted((one for one in all_placed if self._is_inside(one)), key=_paint_order)
        covering = _covering(placed, props, shake)
        return sorted([*placed, *covering], key=_paint_order) if covering else placed

    def _seen(self, things: list[Thing], camera: PinholeCamera) -> _Seen:
        places = np.array([thing.place for thing in things]).reshape(-1, 2)
        headings = np.array([thing.heading for thing in things])
        reach = np.array([1.0 if thing.model is None else thing.model.size.length / 2 + 0.5 for thing in things])
        width, height = self._size_wh
        x, y = places[:, 0], places[:, 1]
        columns, rows = camera.project_ground(x, y)
        depths = camera.ground_depth(x, y)
        px_per_m = camera.focal_px / np.maximum(depths, _NEAREST_M)
        wide, high = reach * px_per_m, (reach + 4.0) * px_per_m
        is_near = (depths >= _NEAREST_M) & (columns > -wide) & (columns < width + wide)
        kept = np.flatnonzero(is_near & (rows > -wide) & (rows < height + high))
        azimuths, depressions = camera.ground_angles(x[kept], y[kept])
        # headings are counted from X to Y, yaw from the line of sight to the right
        yaws = 0.25 - headings[kept] + camera.yaw_deg / -360 - azimuths
        return _Seen(
            [things[n] for n in kept], columns[kept], rows[kept], depths[kept], yaws, depressions, px_per_m[kept]
        )

    def _views(self, seen: _Seen) -> list[View]:
        """Return from where things are seen, in steps that are the coarser the smaller they are."""
        is_vehicle = np.array([thing.model is not None for thing in seen.things], np.bool_)
        yaw_step, scale_step = _steps(seen.px_per_m, _PERSON_STEPS)
        for steps, of_vehicles in zip((yaw_step, scale_step), _steps(seen.px_per_m, _VEHICLE_STEPS), strict=True):
            np.copyto(steps, of_vehicles, where=is_vehicle)
        yaws = np.floor(seen.yaws * YAW_BINS / yaw_step + 0.5).astype(np.int64) * yaw_step % YAW_BINS
        downs = np.floor(seen.depressions * DEPRESSION_BINS + 0.5).astype(np.int64)
        numbers = np.maximum(0, np.searchsorted(_SCALES, seen.px_per_m, side="right") - 1)
        numbers = np.minimum((numbers + scale_step // 2) // scale_step * scale_step, len(SCALES) - 1)
        return [_view(*one) for one in zip(yaws.tolist(), downs.tolist(), numbers.tolist(), strict=True)]

    def _picture(self, thing: Thing, view: View) -> Sprite:
        model, body, companion = thing.model, thing.body, thing.companion
        if companion is not None:
            step = (
                int(thing.stride * N_STEPS // 1) % N_STEPS if companion.kind == "dog" and thing.gait != "stand" else 0
            )
            return self._sprites.get((companion, step, view), lambda: draw_companion(companion, step, view))
        if model is not None:
            return self._sprites.get((model, view), lambda: draw_vehicle(model, view))
        assert body is not None, "a thing is a vehicle or a person"
        gait, phase = thing.gait, phase_of(thing)
        return self._sprites.get((body, gait, phase, view), lambda: draw_person(body, gait, phase, view))

    def _is_inside(self, one: Placed) -> bool:
        x1, y1, x2, y2 = one.rectangle
        return x1 < self._size_wh[0] and y1 < self._size_wh[1] and x2 > 0 and y2 > 0


def _steps(
    px_per_m: npt.NDArray[np.float64], table: tuple[tuple[float, int, int], ...]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the steps of yaw and of scale for these sizes."""
    row = (px_per_m[:, None] < np.array([low for low, _, _ in table])).sum(1)
    yaw, scale = np.array([[yaw, scale] for _, yaw, scale in table], np.int64)[row].T
    return yaw.copy(), scale.copy()


def _covering(placed: list[Placed], props: Sequence[Prop], shake: tuple[int, int]) -> list[Placed]:
    """Return the trees and posts before something."""
    if not placed or not props:
        return []
    x1, y1, x2, y2 = np.array([one.rectangle for one in placed]).T
    depths = np.array([one.depth_m for one in placed])
    at_picture = [
        Placed(prop.sprite, (prop.xy[0] - MARGIN_PX + shake[0], prop.xy[1] - MARGIN_PX + shake[1]), prop.depth_m)
        for prop in props
    ]
    a1, b1, a2, b2 = np.array([one.rectangle for one in at_picture]).T[..., None]  # each (P, 1)
    is_behind = depths > np.array([prop.depth_m for prop in props])[:, None]
    covers = (is_behind & (x1 < a2) & (a1 < x2) & (y1 < b2) & (b1 < y2)).any(1)
    return [at_picture[n] for n in np.flatnonzero(covers)]


def _paint_order(one: Placed) -> tuple[float, int]:
    """Far to near; a rider comes after the bicycle."""
    return -one.depth_m, 0 if one.thing is None or one.thing.body is None else 1
