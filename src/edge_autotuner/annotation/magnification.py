"""How far a teacher must magnify a camera's pictures: by the size of what moves there, found without a label.

A few training frames are looked at in fine tiles. The surely seen boxes in places where something moves say how large
small objects are, and the grid is the coarsest that shows them at a size at which detectors of this kind work. Motion
regions alone do not say it: they join neighbours, and have a smallest size.

The size is where finer tiles stop to help on simulated cameras (`scripts/bench grids`): streets whose small objects
reach it in 2x2 tiles gain little by more, those that do not gain much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_autotuner.config import AnnotationConfig
from edge_autotuner.config.annotation import AUTO, MIN_AUTO_GRID
from edge_autotuner.core import Detections, Teacher, covered_fraction
from edge_autotuner.core.boxes import box_sizes
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.core.json_fields import FieldError, Fields
from edge_autotuner.core.sampling import evenly_spread
from edge_autotuner.core.types import BoolArray, FloatArray, SizeWH
from edge_autotuner.dataset import DatasetStore, FrameRecord

NOTE_KEY = "magnification"
PROBE_GRID = (3, 3)
MAX_GRID = 5

_WANTED_PX = 24.0
_N_FRAMES = 8
_SMALL = 25  # percentile of the sizes: what is farther away than most
_MIN_BOXES = 10  # with fewer, a size is a guess
_MOVES = 0.5  # share of a box in motion regions


@dataclass(frozen=True)
class Magnification:
    """The grid that was chosen for a camera, and why.

    Attributes:
        grid_wh: columns and rows of tiles.
        object_px: size of small moving objects in frames, the root of the area, pixels; None: too few were seen.
        n_boxes: moving objects that were measured.
        key: of the frames and the teacher that were asked.
    """

    grid_wh: tuple[int, int]
    object_px: float | None
    n_boxes: int
    key: str

    def explain(self) -> str:
        """Return a sentence for people."""
        columns, rows = self.grid_wh
        if self.object_px is None:
            return f"looked at in {columns}x{rows} tiles: too few moving objects were seen to measure their size"
        return f"small moving objects are {self.object_px:.0f} px in size; looked at in {columns}x{rows} tiles"

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**vars(self), "grid_wh": list(self.grid_wh)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Magnification:
        """Read what `to_json` wrote.

        Raises:
            FieldError: it is something else.
        """
        fields = Fields(values, "")
        columns, rows = fields.wholes("grid_wh", 2)
        if not (1 <= columns <= MAX_GRID and 1 <= rows <= MAX_GRID):
            raise FieldError(f"grid_wh must be within 1..{MAX_GRID}, got {columns} and {rows}")
        object_px = fields.number("object_px", at_least=0) if values.get("object_px") is not None else None
        return cls((columns, rows), object_px, fields.whole("n_boxes", at_least=0), fields.text("key"))


def measure_magnification(store: DatasetStore, teacher: Teacher, config: AnnotationConfig, key: str) -> Magnification:
    """Choose the grid for a dataset; what was measured for the same key is not measured again.

    Args:
        store: with the frames; keeps the result as a note.
        teacher: looks in `PROBE_GRID`.
        config: what is sure, the overlap of tiles, and the budget of views.
        key: changes when the frames or the teacher do.

    Raises:
        TeacherError: the teacher cannot label a frame.
    """
    key = fingerprint_of(key, config.teacher_fingerprint(), config.max_views)
    stored = stored_magnification(store)
    if stored is not None and stored.key == key:
        return stored
    asked = _frames_with_motion(store.frames("train"))
    sizes = [_moving_sizes(teacher, store, record, config.min_score) for record in asked]
    sizes_px = np.concatenate([np.zeros(0, np.float32), *sizes])
    object_px = float(np.percentile(sizes_px, _SMALL)) if len(sizes_px) >= _MIN_BOXES else None
    size_wh = asked[0].size_wh if asked else config.zoom_input
    found = Magnification(choose_grid(object_px, size_wh, teacher.input_size_wh, config), object_px, len(sizes_px), key)
    store.set_note(NOTE_KEY, found.to_json())
    return found


def stored_magnification(store: DatasetStore) -> Magnification | None:
    """Return what was measured before; None for nothing that can be used."""
    note = store.note(NOTE_KEY)
    try:
        return Magnification.from_json(note) if isinstance(note, dict) else None
    except FieldError:
        return None


def with_grid_of(store: DatasetStore, config: AnnotationConfig) -> AnnotationConfig:
    """Return the settings with the grid that was chosen for a dataset, if they leave it open."""
    stored = stored_magnification(store) if config.tile_grid == AUTO else None
    return config if stored is None else with_grid(config, stored.grid_wh)


def with_grid(config: AnnotationConfig, grid_wh: tuple[int, int]) -> AnnotationConfig:
    """Return the settings with a grid, in the form in which a user would write it."""
    columns, rows = grid_wh
    return config.model_copy(update={"tile_grid": columns if columns == rows else grid_wh})


def choose_grid(
    object_px: float | None, size_wh: SizeWH, input_wh: SizeWH, config: AnnotationConfig
) -> tuple[int, int]:
    """Return columns and rows of the coarsest grid that shows objects large enough, within the budget of views.

    Args:
        object_px: size of small objects in the frame, pixels; None: unknown.
        size_wh: of the frame.
        input_wh: of the teacher, to which views are resized.
        config: overlap of tiles and budget of views.
    """
    if object_px is None:
        return MIN_AUTO_GRID, MIN_AUTO_GRID
    columns, rows = (
        _tiles(_WANTED_PX / max(object_px * limit / side, 1e-6), config.tile_overlap)
        for side, limit in zip(size_wh, input_wh, strict=True)
    )
    while columns * rows + 1 > config.max_views:
        columns, rows = (columns - 1, rows) if columns >= rows else (columns, rows - 1)
    return columns, rows


def _tiles(factor: float, overlap: float) -> int:
    """Return the fewest tiles of a side that magnify by a factor, within the limits of `auto`."""
    wanted = 1 + (factor - 1) / (1 - overlap)
    return min(max(math.ceil(wanted - 1e-6), MIN_AUTO_GRID), MAX_GRID)


def _frames_with_motion(frames: Sequence[FrameRecord]) -> list[FrameRecord]:
    moving = [record for record in frames if len(record.regions)]
    return [moving[i] for i in evenly_spread(len(moving), _N_FRAMES)]


def _moving_sizes(teacher: Teacher, store: DatasetStore, record: FrameRecord, min_score: float) -> FloatArray:
    """Return (N,) sizes of what is surely seen where something moves, pixels."""
    found = teacher.annotate(store.read_image(record), None).detections.above(min_score)
    return box_sizes(found.select(_move(found, record.regions)).boxes_xyxy)


def _move(found: Detections, regions_xyxy: FloatArray) -> BoolArray:
    inside = covered_fraction(found.boxes_xyxy, regions_xyxy).max(axis=1, initial=0.0)
    return np.asarray(inside >= _MOVES, np.bool_)
