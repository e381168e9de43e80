"""The still part of the simulated street: sky, houses, pavements and a road, all textured."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.core.types import FloatArray, ImageArray, SizeWH

ROAD_TOP, ROAD_BOTTOM = 0.56, 0.84
"""Top and bottom of the road, shares of the height."""

_HOUSE_BOTTOM = 0.44
_TREES, _TREE_BASE = (0.13, 0.88), 0.47
_HOUSE_COLOURS = ((105, 125, 160), (150, 165, 175), (95, 110, 125), (130, 150, 150), (120, 130, 170))


@dataclass(frozen=True, eq=False)
class Street:
    """An empty street, and what is behind the leaves of its trees.

    Attributes:
        image_bgr: (H, W, 3) uint8.
        bare_bgr: (H, W, 3) uint8: the same without leaves.
        leaves: (H, W) uint8: 255 where leaves are, else 0.
        crown_radius_px: about half of the width of a tree's crown.
    """

    image_bgr: ImageArray
    bare_bgr: ImageArray
    leaves: ImageArray
    crown_radius_px: int


def draw_street(size_wh: SizeWH, rng: np.random.Generator) -> Street:
    """Return the empty street."""
    width, height = size_wh
    image = np.zeros((height, width, 3), np.float32)
    _fill_rows(image, 0.0, _HOUSE_BOTTOM, (235, 215, 190), (240, 230, 220))
    _draw_houses(image, rng)
    _fill_rows(image, _HOUSE_BOTTOM, ROAD_TOP, (150, 155, 160), (165, 170, 172))
    _fill_rows(image, ROAD_TOP, ROAD_BOTTOM, (92, 92, 92), (108, 108, 108))
    _fill_rows(image, ROAD_BOTTOM, 1.0, (165, 172, 176), (140, 148, 152))
    _draw_pavement_joints(image)
    _draw_road_marks(image)
    radius = max(3, height // 11)
    _draw_trunks(image, radius)
    bare = image.copy()
    leaves = _draw_crowns(image, radius, rng)
    texture = 1 + 0.07 * smooth_noise(size_wh, cells=24, rng=rng)[..., None]
    grain = 1 + 0.05 * rng.standard_normal((height, width, 1), dtype=np.float32)
    image_bgr, bare_bgr = (np.clip(layer * texture * grain, 0, 255).astype(np.uint8) for layer in (image, bare))
    return Street(image_bgr, bare_bgr, leaves, radius)


def _fill_rows(image: FloatArray, top: float, bottom: float, top_bgr: object, bottom_bgr: object) -> None:
    first, last = round(top * len(image)), round(bottom * len(image))
    image[first:last] = np.linspace(np.array(top_bgr), np.array(bottom_bgr), last - first)[:, None]


def _draw_houses(image: FloatArray, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    left = 0
    while left < width:
        right = left + int(width * rng.uniform(0.16, 0.28))
        top = int(height * rng.uniform(0.02, 0.14))
        base = int(height * _HOUSE_BOTTOM)
        colour = _HOUSE_COLOURS[int(rng.integers(len(_HOUSE_COLOURS)))]
        cv2.rectangle(image, (left, top), (right, base), colour, -1)
        cv2.rectangle(image, (left, top), (right, top + max(2, height // 60)), [c * 0.7 for c in colour], -1)
        _draw_windows(image, (left, top, right, base), rng)
        left = right


def _draw_windows(image: FloatArray, house_xyxy: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    left, top, right, base = house_xyxy
    step = max(8, image.shape[0] // 9)
    pane_w, pane_h = step * 2 // 5, step // 2
    for y in range(top + step // 2, base - step // 2, step):
        for x in range(left + step // 3, right - pane_w, step):
            shade = float(rng.uniform(50, 110))
            cv2.rectangle(image, (x - 1, y - 1), (x + pane_w + 1, y + pane_h + 1), (200, 205, 205), -1)
            cv2.rectangle(image, (x, y), (x + pane_w, y + pane_h), (shade * 1.15, shade, shade * 0.85), -1)


def _draw_pavement_joints(image: FloatArray) -> None:
    height, width = image.shape[:2]
    for top, bottom in ((_HOUSE_BOTTOM, ROAD_TOP), (ROAD_BOTTOM, 1.0)):
        y1, y2 = round(top * height), round(bottom * height)
        for x in range(0, width, max(6, width // 16)):
            cv2.line(image, (x, y1), (x - (y2 - y1) // 3, y2 - 1), (128, 132, 136), 1)
        cv2.line(image, (0, (y1 + y2) // 2), (width, (y1 + y2) // 2), (128, 132, 136), 1)
    for share in (ROAD_TOP, ROAD_BOTTOM):  # kerbs
        y = round(share * height)
        cv2.rectangle(image, (0, y - max(1, height // 120)), (width, y), (185, 188, 190), -1)
        cv2.line(image, (0, y + 1), (width, y + 1), (70, 70, 70), 1)


def _draw_road_marks(image: FloatArray) -> None:
    height, width = image.shape[:2]
    y, thickness = round((ROAD_TOP + ROAD_BOTTOM) / 2 * height), max(1, height // 90)
    for x in range(0, width, max(10, width // 10)):
        cv2.rectangle(image, (x, y), (x + width // 20, y + thickness), (215, 220, 222), -1)


def _draw_trunks(image: FloatArray, radius: int) -> None:
    base = int(_TREE_BASE * image.shape[0])
    for x in _tree_columns(image):
        cv2.rectangle(image, (x - radius // 7, base - 3 * radius), (x + radius // 7, base), (45, 65, 85), -1)


def _draw_crowns(image: FloatArray, radius: int, rng: np.random.Generator) -> ImageArray:
    """Draw the leaves and return (H, W) uint8, 255 where they are."""
    leaves = np.zeros(image.shape[:2], np.uint8)
    base = int(_TREE_BASE * image.shape[0])
    for x in _tree_columns(image):
        for _ in range(60):
            dx, dy = rng.normal(0, 0.55 * radius, 2)
            green = float(rng.uniform(60, 130))
            spot = int(x + dx), int(base - 3 * radius + dy)
            cv2.circle(image, spot, max(2, radius // 4), (green * 0.45, green, green * 0.55), -1)
            cv2.circle(leaves, spot, max(2, radius // 4), 255, -1)
    return leaves


def _tree_columns(image: FloatArray) -> list[int]:
    return [int(share * image.shape[1]) for share in _TREES]


def smooth_noise(size_wh: SizeWH, *, cells: int, rng: np.random.Generator) -> FloatArray:
    """Return (H, W) float32 noise of about unit variance that changes over about a `cells`-th of each side."""
    coarse = rng.standard_normal((cells, cells), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC), np.float32)
