"""Mosaics: a canvas of four random sections of different pictures.

Source: YOLOv4 (Bochkovskiy et al., arXiv 2004.10934) and YOLOX (Ge et al., arXiv 2107.08430), which leaves them out in
the last epochs. Differs: every section is filled by its picture, because grey teaches nothing, and the objects of a
fixed camera keep about the sizes that they have in the whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.core.types import SizeWH
from edge_autotuner.models.detector_spec import Resize
from edge_autotuner.training.patches import placement
from edge_autotuner.training.samples import Scene, Tile, fit_ratios

N_TILES = 4
_CENTRE = 0.3, 0.7  # where the four parts meet, shares of the canvas
_MIN_ZOOM = 0.6  # of the size at run time


def mosaic_tiles(
    scenes: Sequence[Scene],
    canvas_wh: SizeWH,
    input_size_wh: SizeWH,
    resize: Resize,
    augmentation: AugmentationConfig,
    rng: np.random.Generator,
) -> list[Tile]:
    """Divide the canvas among four scenes, each with a random scale and section.

    Raises:
        ValueError: there are not four scenes.
    """
    x, y = (round(side * rng.uniform(*_CENTRE)) for side in canvas_wh)
    width, height = canvas_wh
    areas = (0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)
    return [
        _tile(scene, area, fit_ratios(scene.sample.size_wh, input_size_wh, resize), augmentation, rng)
        for scene, area in zip(scenes, areas, strict=True)
    ]


def _tile(
    scene: Scene,
    area_xyxy: tuple[int, int, int, int],
    ratios: tuple[float, float],
    augmentation: AugmentationConfig,
    rng: np.random.Generator,
) -> Tile:
    """Return a random section of a scene that fills an area."""
    area = np.array(area_xyxy, np.float32)
    full = np.array(scene.sample.size_wh, np.float32) * ratios  # at run time, canvas pixels
    to_fill = float(((area[2:] - area[:2]) / full).max())
    zoom = max(to_fill, rng.uniform(_MIN_ZOOM, 1 + augmentation.scale))
    size = full * zoom
    x, y = area[:2] - rng.uniform(0, 1, 2) * np.maximum(size - (area[2:] - area[:2]), 0)
    scale = ratios[0] * zoom, ratios[1] * zoom
    to_canvas = placement(scale, (x, y), size[0], is_mirrored=rng.random() < augmentation.flip)
    return Tile(scene, to_canvas, area_xyxy)
