"""What the lamps of vehicles do to a picture at night: light on the road, and glare.

Sums, products and quotients of whole numbers only, as everywhere in the simulated world.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from edge_autotuner.core.types import ImageArray
from edge_autotuner.simulation.world.camera import BLOCK_PX, Float64Array, PinholeCamera
from edge_autotuner.simulation.world.exact import dimmed, direction_of
from edge_autotuner.simulation.world.sprite import Colour, View
from edge_autotuner.simulation.world.traffic import Thing
from edge_autotuner.simulation.world.truth import Placed
from edge_autotuner.simulation.world.vehicles import VehicleModel

_HEAD: Colour = (205, 232, 240)
_TAIL: Colour = (22, 18, 190)
_HEAD_GLARE_M, _TAIL_GLARE_M, _MAX_GLARE_PX = 0.8, 0.42, 60
_BEAMS = (  # metres ahead and to each side, light out of 128: from weak and wide to strong and narrow
    ((0.5, 0.8), (17.0, 2.9), 14),
    ((0.5, 0.7), (11.0, 2.0), 30),
    ((0.8, 0.6), (6.5, 1.3), 52),
)


def has_lamps(thing: Thing | None) -> bool:
    """Whether something drives with its lamps on at night; bicycles of this world have none."""
    return thing is not None and thing.model is not None and thing.model.kind != "bicycle" and not thing.is_parked


def beams_of(things: list[Thing], camera: PinholeCamera, shake: tuple[int, int], strength: int) -> ImageArray | None:
    """Return the light of headlamps on the road, out of 128, at every eighth pixel; None if nothing drives here.

    Args:
        things: what is in the picture.
        camera: that sees it.
        shake: offset of the picture, pixels.
        strength: of the lamps, 0 to 128.
    """
    driving = [thing for thing in things if has_lamps(thing)]
    if not driving:
        return None
    width, height = camera.size_wh
    light = np.zeros((height // BLOCK_PX, width // BLOCK_PX), np.uint8)
    columns, rows = camera.project_ground(*_beam_corners(driving))
    fixed = np.stack([(columns + shake[0]) * (16 / BLOCK_PX), (rows + shake[1]) * (16 / BLOCK_PX)], axis=-1)
    fixed = np.clip(np.floor(fixed), -(1 << 20), 1 << 20).astype(np.int32)
    for (_, _, bright), outlines in zip(_BEAMS, fixed, strict=True):
        for outline in outlines:
            cv2.fillConvexPoly(light, outline, bright * strength // 128, cv2.LINE_8, 4)
    return light


def _beam_corners(driving: list[Thing]) -> tuple[Float64Array, Float64Array]:
    """Return X and Y of the corners of all beams on the ground, each (beams, things, 4)."""
    fronts = np.array([thing.model.size.length / 2 for thing in driving if thing.model is not None])[:, None]
    x, y = np.array([thing.place for thing in driving]).T[..., None]
    c, s = np.array([direction_of(thing.heading) for thing in driving]).T[..., None]
    shape = np.array([[near, far, far, near] for near, far, _ in _BEAMS])  # ahead and aside
    ahead, aside = fronts + shape[:, None, :, 0], (shape[..., 1] * np.array((-1, -1, 1, 1)))[:, None]
    return x + ahead * c - aside * s, y + ahead * s + aside * c


def add_beams_in_place(image: ImageArray, day_bgr: ImageArray, light: ImageArray) -> None:
    """Light the ground up.

    Args:
        image: (H, W, 3) uint8, the picture so far.
        day_bgr: (H, W, 3) uint8, the same by day.
        light: (H // 8, W // 8) uint8, out of 128.
    """
    height, width = image.shape[:2]
    smooth = cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
    cv2.add(image, dimmed(day_bgr, cv2.merge([smooth, smooth, smooth])), dst=image)


def add_lamps_in_place(image: ImageArray, one: Placed) -> None:
    """Draw the lamps of a vehicle that look to the camera, with their glare."""
    thing, view = one.thing, one.view
    assert thing is not None, "only vehicles have lamps"
    assert thing.model is not None, "only vehicles have lamps"
    assert view is not None, "things have a view"
    radius, colour, places = _lamps_of(thing.model, view)
    for dx, dy in places:
        _add_glare_in_place(image, int(one.xy[0] + dx), int(one.xy[1] + dy), radius, colour)


@lru_cache(maxsize=4096)
def _lamps_of(model: VehicleModel, view: View) -> tuple[int, Colour, tuple[tuple[float, float], ...]]:
    """Return radius and colour of the glare of the lamps that look to the camera, and their offsets, pixels."""
    size, cos_yaw = model.size, view.angles[1]
    end, colour, glare_m = (1, _HEAD, _HEAD_GLARE_M) if cos_yaw < 0.1 else (-1, _TAIL, _TAIL_GLARE_M)
    radius = min(_MAX_GLARE_PX, max(2, int(glare_m * view.px_per_m)))
    sides = (0.0,) if model.kind == "motorcycle" else (-0.36, 0.36)
    high = 0.45 * min(1.5, size.height)
    return radius, colour, tuple(view.flat([(end * size.length / 2, side * size.width, high) for side in sides]))


def _add_glare_in_place(image: ImageArray, x: int, y: int, radius: int, colour: Colour) -> None:
    height, width = image.shape[:2]
    x1, y1, x2, y2 = max(0, x - radius), max(0, y - radius), min(width, x + radius + 1), min(height, y + radius + 1)
    if x1 < x2 and y1 < y2:
        part = image[y1:y2, x1:x2]
        cv2.add(part, _glare(radius, colour)[y1 - y + radius :, x1 - x + radius :][: y2 - y1, : x2 - x1], dst=part)


@lru_cache(maxsize=2 * _MAX_GLARE_PX)
def _glare(radius: int, colour: Colour) -> ImageArray:
    """Return a lamp that dazzles, (2 * radius + 1, 2 * radius + 1, 3): white within, falling off to nothing."""
    offsets = np.arange(-radius, radius + 1, dtype=np.int64)
    square = offsets[:, None] ** 2 + offsets[None, :] ** 2
    left = np.maximum(0, 256 - square * 256 // (radius * radius + 1))  # of 256, 0 at the rim
    light = left**4 // (1 << 23)  # 512 in the middle
    coloured = light[..., None] * np.array(colour) // 512
    core = np.maximum(0, light - 300)[..., None]  # the sensor is full there: white
    return np.asarray(np.minimum(255, coloured + core), np.uint8)
