"""The scene without objects: ground, buildings, trees and sky, by day, and lit for any hour and weather."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_autotuner.core.types import ImageArray
from edge_autotuner.simulation.world.camera import PinholeCamera, clipped_polygon
from edge_autotuner.simulation.world.conditions import STEPS, Foliage, Season, WorldConditions
from edge_autotuner.simulation.world.exact import dimmed, halved, random_bytes, toned
from edge_autotuner.simulation.world.layouts import MATERIALS, Ground, Layout, Material, Region
from edge_autotuner.simulation.world.sprite import Colour, Sprite
from edge_autotuner.simulation.world.structures import (
    Prop,
    distance_to,
    fixed_points,
    middle_of,
    paint_building_in_place,
    post_prop,
    tree_prop,
)

_COLOURS: dict[Material, Colour] = {
    "grass": (72, 128, 104), "asphalt": (112, 110, 108), "pavement": (152, 158, 162), "marking": (212, 216, 216),
    "brick": (104, 124, 160), "soil": (82, 106, 134), "path": (150, 164, 172), "kerb": (172, 176, 178),
}  # fmt: skip
_ROUGHNESS: dict[Material, int] = {
    "grass": 26, "asphalt": 15, "pavement": 14, "marking": 12, "brick": 16, "soil": 34, "path": 18, "kerb": 10,
}  # fmt: skip
_GRASS: dict[Season, Colour] = {
    "spring": (62, 146, 104), "summer": (72, 128, 104), "autumn": (74, 124, 138), "winter": (92, 118, 124),
}  # fmt: skip
_SNOW = np.array((240, 236, 232), np.int32)
_LAMP_LIGHT = (70, 104, 122)  # added to the light right under a lamp at night, blue, green, red
_FOG: Colour = (196, 192, 188)


@dataclass(frozen=True, eq=False)
class Backdrop:
    """The scene by day, seen by one camera, with a margin.

    Attributes:
        day_bgr: (H, W, 3) uint8.
        depth_m: (H, W) float32; inf in the sky.
        lamps: (H, W) uint8, light of street lamps at night, 0 to 128.
        glow_bgr: (H, W, 3) uint8, light sources at night.
        props: what may cover objects.
    """

    day_bgr: ImageArray
    depth_m: npt.NDArray[np.float32]
    lamps: ImageArray
    glow_bgr: ImageArray
    props: tuple[Prop, ...]


@dataclass(frozen=True, eq=False)
class LitScene:
    """The backdrop in one light and weather, and the light that falls on objects.

    Attributes:
        image_bgr: (H, W, 3) uint8.
        light: (h, w, 3) uint8 at every eighth pixel, 128 for noon.
    """

    image_bgr: ImageArray
    light: ImageArray


def paint_backdrop(layout: Layout, camera: PinholeCamera, *, foliage: Foliage, snow: int, has_works: bool) -> Backdrop:
    """Draw the scene by day; some tenths of a second."""
    xs, ys, depth = camera.ground_points()
    noise = _ground_noise(xs, ys, depth, camera.focal_px, layout.seed)
    regions = (*layout.regions, *(layout.works_regions if has_works else ()))
    image, kinds = _paint_ground(camera, regions, foliage)
    rough = np.array([_ROUGHNESS[material] for material in MATERIALS], np.int32)[kinds]  # (H, W)
    ground = image.astype(np.int32) + (noise * rough // 128)[..., None]
    if snow:
        ground = _snowed(ground, kinds, noise, snow)
    image = np.clip(ground, 0, 255).astype(np.uint8)
    distance = depth.astype(np.float32)
    _paint_sky_in_place(image, depth, layout.seed)
    glow = np.zeros_like(image)
    for building in sorted(layout.buildings, key=lambda one: -distance_to(middle_of(one.corners))):
        paint_building_in_place(image, distance, glow, camera, building, snow)
    posts = (*layout.posts, *(layout.works_posts if has_works else ()))
    props = [tree_prop(camera, tree, foliage, snow) for tree in layout.trees if _is_before(camera, tree.place)]
    props += [post_prop(camera, post) for post in posts if _is_before(camera, post.place)]
    props.sort(key=lambda prop: -prop.depth_m)
    for prop in props:
        paint_sprite_in_place(image, prop.sprite, prop.xy)
    _paint_lamp_glow_in_place(glow, camera, layout)
    return Backdrop(image, distance, _lamp_map(xs, ys, depth, layout), glow, tuple(props))


def light_scene(backdrop: Backdrop, conditions: WorldConditions) -> LitScene:
    """Return the backdrop in this light and weather; some hundredths of a second."""
    light = _light_map(backdrop, conditions)
    image = dimmed(backdrop.day_bgr, light)
    if conditions.lamp_strength and not conditions.is_infrared:
        cv2.add(image, toned(backdrop.glow_bgr, (conditions.lamp_strength,) * 3), dst=image)
    if conditions.fog or conditions.rain:
        x = backdrop.depth_m.astype(np.float64) / conditions.sight_m
        with np.errstate(over="ignore"):
            clear = np.asarray(128 / (1 + x + x * x / 2) + 0.5, np.uint8)[..., None].repeat(3, axis=2)
        image = cv2.add(dimmed(image, clear), toned(128 - clear, fog_colour(conditions)))
    return LitScene(image, np.ascontiguousarray(light[::8, ::8]))


def fog_colour(conditions: WorldConditions) -> Colour:
    """Return the colour of the fog in this light."""
    blue, green, red = (f * max(a, 30) // 128 for f, a in zip(_FOG, conditions.ambient, strict=True))
    return blue, green, red


def paint_sprite_in_place(
    image: ImageArray,
    sprite: Sprite,
    xy: tuple[int, int],
    light: tuple[int, int, int] | None = None,
    fog: tuple[int, Colour] | None = None,
) -> None:
    """Draw a sprite whose anchor is at `xy`.

    Args:
        image: (H, W, 3) uint8.
        sprite: what to draw.
        xy: column and row.
        light: blue, green, red of the light, 128 for noon; None: noon.
        fog: how much light comes through it, of 128, and its colour; None: no fog.
    """  # fmt: skip
    left, top = xy[0] - sprite.anchor[0], xy[1] - sprite.anchor[1]
    high, wide = sprite.clear.shape[:2]
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + wide, image.shape[1]), min(top + high, image.shape[0])
    if x1 >= x2 or y1 >= y2:
        return
    part = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
    own, clear = sprite.image_bgr[part], sprite.clear[part]
    through = 128 if fog is None else fog[0]
    if light is not None or through < 128:
        blue, green, red = light or (128, 128, 128)
        own = toned(own, (blue * through >> 7, green * through >> 7, red * through >> 7))
    if fog is not None and through < 128:
        blue, green, red = (value * (128 - through) >> 7 for value in fog[1])
        own = own + toned(128 - clear, (blue, green, red))
    roi = image[y1:y2, x1:x2]
    np.add(dimmed(roi, clear), own, out=roi)


def _light_map(backdrop: Backdrop, conditions: WorldConditions) -> ImageArray:
    height, width = backdrop.lamps.shape
    if conditions.is_infrared:
        rows, columns = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        corner = np.clip((rows * rows + columns * columns) * 0.5, 0, 1)  # a lamp at the camera lights the middle
        near = np.where(np.isfinite(backdrop.depth_m), backdrop.depth_m, 1e4).astype(np.float64) / 40
        lamp = np.minimum(128, 150 * (1 - 0.65 * corner) / (1 + near * near) + 10)
        return np.repeat(lamp.astype(np.uint8)[..., None], 3, axis=2)
    light = np.empty((height, width, 3), np.uint8)
    light[:] = conditions.ambient
    if conditions.lamp_strength:
        blue, green, red = (value * conditions.lamp_strength // 128 for value in _LAMP_LIGHT)
        lamps = np.repeat(backdrop.lamps[..., None], 3, axis=2)
        light = np.minimum(cv2.add(light, toned(lamps, (blue, green, red))), 128)
    return light


def _ground_noise(
    xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64], depth: npt.NDArray[np.float64], focal_px: float, seed: int
) -> npt.NDArray[np.int32]:
    """Return (H, W) noise in about -128..128 that sticks to the ground, of the sizes that can be seen there."""
    table = random_bytes((256, 256), seed, 5).astype(np.int32) - 128
    total = np.zeros(xs.shape, np.int32)
    for cell_m, weight in ((0.06, 40), (0.25, 32), (1.1, 36), (6.0, 44)):
        u, v = xs / cell_m + 1000.0, ys / cell_m + 1000.0
        column, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
        # whole numbers from here on: shares of 1/64
        fu, fv = ((u - column) * 64).astype(np.int32), ((v - row) * 64).astype(np.int32)
        c0, c1, r0, r1 = column & 255, (column + 1) & 255, row & 255, (row + 1) & 255
        above = table[r0, c0] * (64 - fu) + table[r0, c1] * fu
        below = table[r1, c0] * (64 - fu) + table[r1, c1] * fu
        value = (above * (64 - fv) + below * fv) >> 12
        seen = np.clip(cell_m * focal_px / np.where(np.isfinite(depth), depth, 1e6), 0, 1)  # below a pixel it averages
        total += value * (weight * seen).astype(np.int32) >> 6
    return total


def _paint_ground(
    camera: PinholeCamera, regions: tuple[Region, ...], foliage: Foliage
) -> tuple[ImageArray, npt.NDArray[np.uint8]]:
    width, height = camera.size_wh
    fine = np.empty((2 * height, 2 * width, 3), np.uint8)
    fine[:] = foliage.colour(_GRASS)
    kinds = np.zeros((height, width), np.uint8)  # MATERIALS[0] is grass
    for region in regions:
        points = clipped_polygon(camera, [(x, y, 0.0) for x, y in region.points])
        if len(points) < 3:
            continue
        material: Material = region.material
        cv2.fillConvexPoly(fine, fixed_points(camera, points, 2), _COLOURS[material], cv2.LINE_8, 4)
        cv2.fillConvexPoly(kinds, fixed_points(camera, points, 1), MATERIALS.index(material), cv2.LINE_8, 4)
    return halved(fine), kinds


def _snowed(
    ground: npt.NDArray[np.int32], kinds: npt.NDArray[np.uint8], noise: npt.NDArray[np.int32], snow: int
) -> npt.NDArray[np.int32]:
    """Return the ground under snow: roads are cleared last and show it least."""
    keeps = np.array([56 if material == "asphalt" else 24 if material in ("path", "pavement") else 0
                      for material in MATERIALS], np.int32)[kinds]  # fmt: skip
    cover = np.clip(snow * 160 // STEPS + noise // 2 - keeps - 32 + 2 * snow, 0, 128)[..., None]  # of 128
    white: npt.NDArray[np.int32] = _SNOW + (noise // 16)[..., None]
    return np.asarray((ground * (128 - cover) + white * cover) // 128)


def _paint_sky_in_place(image: ImageArray, depth: npt.NDArray[np.float64], seed: int) -> None:
    rows = np.flatnonzero(~np.isfinite(depth[:, 0]))
    if not len(rows):
        return
    n, width = len(rows), image.shape[1]
    coarse = random_bytes((6, 16), seed, 6)
    clouds = cv2.resize(coarse, (width, 6 * 32), interpolation=cv2.INTER_LINEAR_EXACT)
    cut = cv2.resize(clouds, (width, max(n, 2)), interpolation=cv2.INTER_LINEAR_EXACT)[:n].astype(np.int32)
    share = (np.arange(n) * 128 // max(1, n))[:, None, None]
    sky = (np.array((226, 196, 160)) * (128 - share) + np.array((226, 220, 212)) * share) // 128
    image[rows] = np.clip(sky + (cut[..., None] - 128) // 3, 0, 255).astype(np.uint8)


def _is_before(camera: PinholeCamera, place: Ground) -> bool:
    return camera.depth_of(*place) > 4.0


def _lamp_map(
    xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64], depth: npt.NDArray[np.float64], layout: Layout
) -> ImageArray:
    total = np.zeros(xs.shape)
    for post in layout.posts:
        if post.is_lamp:
            dx, dy = xs - post.place[0], ys - post.place[1]
            near = 1 / (1 + (dx * dx + dy * dy) * (0.9 / (post.height_m * post.height_m)))
            total += near * near  # a pool under the lamp, and little between two of them
    return np.asarray(np.where(np.isfinite(depth), np.minimum(total, 1.0) * 128, 0), np.uint8)


def _paint_lamp_glow_in_place(glow: ImageArray, camera: PinholeCamera, layout: Layout) -> None:
    for post in layout.posts:
        if post.is_lamp and _is_before(camera, post.place):
            x, y = camera.project(*post.place, post.height_m)
            radius = max(1, int(0.35 * camera.focal_px / camera.depth_of(*post.place)))
            for part, colour in ((2, (50, 90, 110)), (1, (190, 230, 250))):
                cv2.circle(glow, (int(x), int(y)), part * radius, colour, -1, cv2.LINE_8)
