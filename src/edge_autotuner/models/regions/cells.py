"""Cells: rectangles of pictures, each at its place on one canvas of a model's input size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from edge_autotuner.core import Detections
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, IntArray, SizeWH

PAD_VALUE = 114  # grey between the cells, as around letterboxed pictures
_CUT_PX = 2.0  # a box that ends so close to the border of its cell is cut, canvas pixels
_OUTSIDE = -1

Rect = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class CellMap:
    """Which part of which picture is where on a canvas.

    Attributes:
        canvas_wh: size of the canvas, pixels.
        sizes_wh: size of each picture, pixels.
        pictures: (C,) the picture of each cell.
        source_xyxy: (C, 4) whole pixels of that picture, inside it.
        canvas_xyxy: (C, 4) whole pixels of the canvas, inside it; no two overlap.
    """

    canvas_wh: SizeWH
    sizes_wh: tuple[SizeWH, ...]
    pictures: IntArray
    source_xyxy: FloatArray
    canvas_xyxy: FloatArray

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def scales_xy(self) -> FloatArray:
        """(C, 2) canvas pixels per pixel of the picture; the axes differ slightly, because sides are whole pixels."""
        sides = self.canvas_xyxy[:, 2:] - self.canvas_xyxy[:, :2]
        return np.asarray(sides / (self.source_xyxy[:, 2:] - self.source_xyxy[:, :2]), np.float32)

    def draw(self, images: Sequence[ImageArray]) -> ImageArray:
        """Return the (H, W, 3) uint8 canvas of pictures that have the sizes of this map; grey between the cells."""
        canvas = np.full((self.canvas_wh[1], self.canvas_wh[0], 3), PAD_VALUE, np.uint8)
        rows = zip(
            self.pictures.tolist(),
            self.source_xyxy.astype(int).tolist(),
            self.canvas_xyxy.astype(int).tolist(),
            strict=True,
        )
        for picture, (sx1, sy1, sx2, sy2), (x1, y1, x2, y2) in rows:
            cv2.resize(images[picture][sy1:sy2, sx1:sx2], (x2 - x1, y2 - y1), dst=canvas[y1:y2, x1:x2])
        return canvas

    def to_canvas(self, found: Detections, cells: IntArray) -> Detections:
        """Return objects of pictures, each as it is in the (N,) given cell."""
        factors = self.scales_xy[cells]
        offsets = self.canvas_xyxy[cells, :2] - self.source_xyxy[cells, :2] * factors
        return found.placed(factors, np.asarray(offsets, np.float32))

    def to_pictures(self, found: Detections, cells: IntArray) -> Detections:
        """Return objects of the canvas, each as it is in the picture of the (N,) given cell."""
        factors = np.asarray(1 / self.scales_xy[cells], np.float32)
        offsets = self.source_xyxy[cells, :2] - self.canvas_xyxy[cells, :2] * factors
        return found.placed(factors, np.asarray(offsets, np.float32))

    def cells_of(self, boxes_xyxy: FloatArray) -> IntArray:
        """Return (N,) the cell that holds the middle of each box of the canvas; -1: none."""
        if len(self) == 0:
            return np.full(len(boxes_xyxy), _OUTSIDE, np.int64)
        middles = (boxes_xyxy[:, None, :2] + boxes_xyxy[:, None, 2:]) / 2
        is_in = (middles >= self.canvas_xyxy[:, :2]) & (middles < self.canvas_xyxy[:, 2:])  # (N, C, 2)
        is_in = np.logical_and(is_in[..., 0], is_in[..., 1])
        return np.where(is_in.any(axis=1), is_in.argmax(axis=1), _OUTSIDE)

    def are_cut(self, boxes_xyxy: FloatArray, cells: IntArray) -> BoolArray:
        """Return (N,) whether boxes of the canvas end at a border of their cell beyond which the picture continues."""
        places, sources = self.canvas_xyxy[cells], self.source_xyxy[cells]
        limits = np.array(self.sizes_wh, np.float32)[self.pictures[cells]]
        is_low = (boxes_xyxy[:, :2] <= places[:, :2] + _CUT_PX) & (sources[:, :2] > 0)
        is_high = (boxes_xyxy[:, 2:] >= places[:, 2:] - _CUT_PX) & (sources[:, 2:] < limits)
        return np.asarray(np.any(is_low | is_high, axis=1), np.bool_)

    def read(self, found: Detections) -> list[Detections]:
        """Return what was found on the canvas, for each picture in its pixels.

        Boxes between the cells are left out, and those that the border of their cell cuts: what moves has a margin, so
        it is another cell's object, or stands still.
        """
        cells = self.cells_of(found.boxes_xyxy)
        found, cells = found.select(cells >= 0), cells[cells >= 0]
        is_whole = ~self.are_cut(found.boxes_xyxy, cells)
        found, cells = found.select(is_whole), cells[is_whole]
        placed, pictures = self.to_pictures(found, cells), self.pictures[cells]
        return [placed.select(pictures == number).clipped(size) for number, size in enumerate(self.sizes_wh)]


def no_cells(canvas_wh: SizeWH, sizes_wh: Sequence[SizeWH]) -> CellMap:
    """Return the map of an empty canvas."""
    return CellMap(canvas_wh, tuple(sizes_wh), np.zeros(0, np.int64), as_boxes([]), as_boxes([]))
