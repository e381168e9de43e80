"""The shadows of people and vehicles on the ground."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge_autotuner.core.types import ImageArray
from edge_autotuner.simulation.world.camera import PinholeCamera
from edge_autotuner.simulation.world.exact import dimmed, direction_of
from edge_autotuner.simulation.world.traffic import Thing

_UNDER = 78  # light right under a thing, of 128
_BODY_M = 0.14, 0.2  # half of how long and wide somebody's feet stand


def paint_shadows_in_place(
    image: ImageArray,
    things: list[Thing],
    camera: PinholeCamera,
    *,
    shadow: int,
    sun: tuple[float, float],
    shake: tuple[int, int],
) -> None:
    """Darken the ground under and beside things.

    Args:
        image: (H, W, 3) uint8.
        things: what is in it.
        camera: that sees it.
        shadow: how much light the shadow takes away, of 128.
        sun: where a point 1 m high throws its shadow, metres to the right and away.
        shake: offset of the picture, pixels.
    """
    if not things:
        return
    light = np.full(image.shape[:2], 128, np.uint8)
    feet, tips = _outlines(things, camera, sun, shake)
    for foot, tip in zip(feet, tips, strict=True):
        if shadow:
            outline = cv2.convexHull(np.concatenate([foot, tip]))
            cv2.fillConvexPoly(light, outline, 128 - shadow, cv2.LINE_8, 4)
        cv2.fillConvexPoly(light, foot, min(_UNDER, 128 - shadow), cv2.LINE_8, 4)
    rows, columns = _touched(np.concatenate([feet, tips]) if shadow else feet, image.shape)
    part = image[rows, columns]
    shade = light[rows, columns]
    if not shade.size:  # all of them stand outside the picture
        return
    part[:] = dimmed(part, cv2.merge([shade, shade, shade]))


def _touched(fixed: npt.NDArray[np.int32], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns that points in fixed point span."""
    low, high = fixed.reshape(-1, 2).min(0) // 16 - 1, fixed.reshape(-1, 2).max(0) // 16 + 3
    x1, y1, x2, y2 = (
        min(max(int(v), 0), side) for v, side in zip((*low, *high), (shape[1], shape[0]) * 2, strict=True)
    )
    return slice(y1, max(y1, y2)), slice(x1, max(x1, x2))


def _measures(thing: Thing) -> tuple[float, float, float]:
    """Return half the length, half the width and the height of a thing, metres."""
    if thing.companion is not None:
        return thing.companion.measures
    if thing.model is None:
        assert thing.body is not None, "a thing is a vehicle or a person"
        return *_BODY_M, thing.body.height_m
    size = thing.model.size
    return size.length / 2, 0.12 if thing.model.kind == "bicycle" else size.width / 2, size.height


def _outlines(
    things: list[Thing], camera: PinholeCamera, sun: tuple[float, float], shake: tuple[int, int]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the feet of things and where the sun throws their tops, each (N, 4, 2), fixed point with 4 bits."""
    measures = np.array([_measures(thing) for thing in things])
    turns = np.array([direction_of(thing.heading) for thing in things])
    places = np.array([thing.place for thing in things])
    c, s = turns[:, 0], turns[:, 1]
    ac, as_, bc, bs = measures[:, 0] * c, measures[:, 0] * s, measures[:, 1] * c, measures[:, 1] * s
    xs = places[:, :1] + np.stack([ac - bs, ac + bs, bs - ac, -ac - bs], axis=1)
    ys = places[:, 1:] + np.stack([as_ + bc, as_ - bc, -as_ - bc, bc - as_], axis=1)
    high = measures[:, 2:]
    columns, rows = camera.project_ground(np.stack([xs, xs + sun[0] * high]), np.stack([ys, ys + sun[1] * high]))
    fixed = np.stack([(columns + shake[0]) * 16, (rows + shake[1]) * 16], axis=-1)
    fixed = np.clip(np.floor(fixed), -(1 << 24), 1 << 24).astype(np.int32)
    return fixed[0], fixed[1]
