"""What moves while the shutter is open is blurred.

Sums, products and quotients of whole numbers only, as everywhere in the simulated world.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edge_autotuner.simulation.world.camera import PinholeCamera
from edge_autotuner.simulation.world.sprite import Sprite
from edge_autotuner.simulation.world.truth import Placed

_MAX_COPIES, _MAX_BLUR_PX = 10, 40


def blur_step(moved_px: float) -> int:
    """Return a movement during the exposure in the steps in which blurred pictures are kept, pixels."""
    whole = max(-_MAX_BLUR_PX, min(_MAX_BLUR_PX, int(moved_px // 1)))
    return whole if abs(whole) < 4 else whole // 2 * 2


def blur_steps(
    placed: list[Placed], before: Mapping[int, tuple[float, float]], camera: PinholeCamera
) -> dict[int, tuple[int, int]]:
    """Return how far things moved in the picture while the shutter was open, by track; those that did.

    Args:
        placed: what is in the picture.
        before: place on the ground when the shutter opened, by track.
        camera: that sees it.
    """
    things = [one.thing for one in placed if one.thing is not None and one.thing.track_id in before]
    if not things:
        return {}
    places = np.array([(before[thing.track_id], thing.place) for thing in things])
    columns, rows = camera.project_ground(places[..., 0], places[..., 1])
    steps = zip((columns[:, 1] - columns[:, 0]).tolist(), (rows[:, 1] - rows[:, 0]).tolist(), strict=True)
    found = {thing.track_id: (blur_step(x), blur_step(y)) for thing, (x, y) in zip(things, steps, strict=True)}
    return {track_id: step for track_id, step in found.items() if step != (0, 0)}


def blurred_sprite(sprite: Sprite, moved_xy: tuple[int, int]) -> Sprite:
    """Return the picture of something that moves while the shutter is open, halfway at its place."""
    dx, dy = moved_xy
    high, wide = sprite.clear.shape[:2]
    n = min(_MAX_COPIES, max(abs(dx), abs(dy)) + 1)
    shape = high + abs(dy), wide + abs(dx), 3
    colour, opaque = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
    left, top = max(0, -dx), max(0, -dy)
    for number in range(n):
        x, y = left + number * dx // (n - 1), top + number * dy // (n - 1)
        colour[y : y + high, x : x + wide] += sprite.image_bgr
        opaque[y : y + high, x : x + wide] += 128 - sprite.clear
    anchor = sprite.anchor[0] + left + dx // 2, sprite.anchor[1] + top + dy // 2
    return Sprite((colour // n).astype(np.uint8), (128 - opaque // n).astype(np.uint8), anchor)
