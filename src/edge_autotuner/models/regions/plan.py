"""Plans the canvas: crops around what moves, each magnified as much as it needs and as they all fit.

Far objects are small in the picture and near ones are large; a model finds both best at a size that it knows. So every
crop has a scale of its own, at which its objects have about `object_px` pixels; when the crops do not fit, all objects
become smaller alike.

Source: Edge AutoTuner's authors look at crops of motion regions (Rivas et al., Towards Unsupervised Fine-Tuning for
Edge Video Analytics, arXiv 2104.06826), and consolidate crops of several frames and cameras in one input. Differs: the
scale of each crop follows from its objects, and packing finds how large they all can be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edge_autotuner.config.feeding import FeedingConfig
from edge_autotuner.core.boxes import box_areas
from edge_autotuner.core.types import FloatArray, SizeWH
from edge_autotuner.models.regions.cells import CellMap, no_cells
from edge_autotuner.models.regions.packing import pack_on_shelves
from edge_autotuner.models.regions.things import MovingThings

_MIN_MARGIN_PX = 3.0  # of the picture: the outline of a change is not exact
_MIN_CROP_PX = 8.0
_GAP_PX = 2  # between cells
_STEP = 0.92  # factor from one try to the next smaller one
_MOST_FILLED = 0.95  # of the canvas; shelves never fill more
_WORTH_IT = 1.25  # magnification that shows more than the whole picture does
_MAX_CROPS = 256


def plan_cells(
    moving: Sequence[MovingThings], sizes_wh: Sequence[SizeWH], canvas_wh: SizeWH, feeding: FeedingConfig
) -> CellMap | None:
    """Return where crops of one or several pictures go on one canvas; each moving area is whole in one of them.

    Args:
        moving: what moves in each picture.
        sizes_wh: size of each picture, pixels.
        canvas_wh: the model's input size.
        feeding: size of the objects on the canvas, margin and limit of the magnification.

    Returns:
        None if whole pictures in that input show as much: the crops do not fit, or are hardly magnified.
    """
    parts = [_crops(things, size, feeding.margin) for things, size in zip(moving, sizes_wh, strict=True)]
    crops, objects = (np.concatenate(values) for values in zip(*parts, strict=True))
    if len(crops) == 0:
        return no_cells(canvas_wh, sizes_wh)
    pictures = np.repeat(np.arange(len(parts)), [len(own) for own, _ in parts])
    fit = np.array([full_scale(size, canvas_wh) for size in sizes_wh], np.float32)[pictures]
    places = None if len(crops) > _MAX_CROPS else _largest_places(crops, objects, fit, canvas_wh, feeding)
    return None if places is None else CellMap(canvas_wh, tuple(sizes_wh), pictures, crops, places)


def full_scale(size_wh: SizeWH, input_wh: SizeWH) -> float:
    """Return input pixels per pixel of a picture that is shown as a whole, aspect kept."""
    return min(side / own for side, own in zip(input_wh, size_wh, strict=True))


def _largest_places(
    crops_xyxy: FloatArray, objects: FloatArray, fit: FloatArray, canvas_wh: SizeWH, feeding: FeedingConfig
) -> FloatArray | None:
    """Return (C, 4) places of crops whose objects are as large as they all can be; None if that is not worth it.

    Args:
        crops_xyxy: (C, 4).
        objects: (C,) size of the objects in each crop, its pixels.
        fit: (C,) canvas pixels per pixel when the whole picture is shown; no crop is smaller.
        canvas_wh: the model's input size.
        feeding: limits.
    """
    sides = crops_xyxy[:, 2:] - crops_xyxy[:, :2]
    object_px = feeding.object_px
    while True:
        scales = np.clip(object_px / objects, fit, fit * feeding.max_magnification)
        if (scales < fit * _WORTH_IT).all():
            return None
        if (places := _pack(sides * scales[:, None], canvas_wh)) is not None:
            return places
        object_px *= _STEP


def _pack(sides: FloatArray, canvas_wh: SizeWH) -> FloatArray | None:
    whole = np.maximum(np.rint(sides), 1).astype(int)
    if int(whole.prod(axis=1).sum()) > _MOST_FILLED * canvas_wh[0] * canvas_wh[1]:
        return None
    corners = pack_on_shelves([(w, h) for w, h in whole.tolist()], canvas_wh, gap_px=_GAP_PX)
    if corners is None:
        return None
    places = np.array(corners, np.float32)
    return np.concatenate([places, places + whole], axis=1, dtype=np.float32)


def _crops(things: MovingThings, size_wh: SizeWH, margin: float) -> tuple[FloatArray, FloatArray]:
    """Return (C, 4) crops with margins, whole pixels inside the picture, and (C,) the size of the objects in each."""
    areas = things.areas_xyxy
    by = np.maximum(margin * things.sizes, _MIN_MARGIN_PX)[:, None]
    by = np.maximum(by, (_MIN_CROP_PX - (areas[:, 2:] - areas[:, :2])) / 2)
    limit = np.array(size_wh, np.float32)
    low = np.clip(np.floor(areas[:, :2] - by), 0, limit)
    high = np.clip(np.ceil(areas[:, 2:] + by), 0, limit)
    is_there = (high > low).all(axis=1)
    return _joined(np.concatenate([low, high], axis=1, dtype=np.float32)[is_there], things.sizes[is_there])


def _joined(crops_xyxy: FloatArray, sizes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Join crops whose common rectangle has no more pixels than they have; the smallest object sets the size."""
    growths = np.triu(_growths(crops_xyxy, crops_xyxy), 1)
    growths[np.tril_indices(len(crops_xyxy))] = math.inf
    while growths.size and growths.min() <= 1:
        a, b = sorted(int(i) for i in np.unravel_index(growths.argmin(), growths.shape))
        both = crops_xyxy[[a, b]]
        crops_xyxy[a] = np.concatenate([both[:, :2].min(axis=0), both[:, 2:].max(axis=0)])
        sizes[a] = min(sizes[a], sizes[b])
        crops_xyxy, sizes = np.delete(crops_xyxy, b, axis=0), np.delete(sizes, b)
        growths = np.delete(np.delete(growths, b, axis=0), b, axis=1)
        own = _growths(crops_xyxy[a : a + 1], crops_xyxy)[0]
        growths[a, a + 1 :], growths[:a, a] = own[a + 1 :], own[:a]
    return crops_xyxy, sizes


def _growths(some_xyxy: FloatArray, others_xyxy: FloatArray) -> FloatArray:
    """Return (N, M): the area of the common rectangle, relative to both areas together."""
    low = np.minimum(some_xyxy[:, None, :2], others_xyxy[None, :, :2])
    sides = np.maximum(some_xyxy[:, None, 2:], others_xyxy[None, :, 2:]) - low
    together = box_areas(some_xyxy)[:, None] + box_areas(others_xyxy)[None]
    return np.asarray(sides[..., 0] * sides[..., 1] / together, np.float32)
