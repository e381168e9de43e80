"""How far a teacher must magnify: by the size of what moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.annotation.magnification import (
    MAX_GRID,
    NOTE_KEY,
    Magnification,
    choose_grid,
    measure_magnification,
    stored_magnification,
    with_grid_of,
)
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Detections, LabelMap, Scene, TeacherBase
from edge_autotuner.core.json_fields import FieldError
from edge_autotuner.core.types import FloatArray, ImageArray, SizeWH
from edge_autotuner.dataset import DatasetStore
from support.runs.dataset_folders import add_frame, new_store

CONFIG = AnnotationConfig()
SVGA: SizeWH = (800, 600)
INPUT: SizeWH = (416, 416)


class Teacher(TeacherBase):
    """Sees the same boxes everywhere."""

    name, input_size_wh = "counting", (416, 416)

    def __init__(self, labels: LabelMap, boxes: FloatArray, score: float = 0.9) -> None:
        self.labels = labels
        self.n_asked = 0
        self._boxes, self._score = boxes, score

    def annotate(
        self, image_bgr: ImageArray, regions_xyxy: FloatArray | None, *, scene: Scene | None = None
    ) -> Annotation:
        self.n_asked += 1
        n = len(self._boxes)
        found = Detections(self._boxes, np.full(n, self._score, np.float32), np.zeros(n, np.int64))
        return Annotation(found, np.zeros((0, 4), np.float32), n_calls=1, n_pixels=1)


@pytest.mark.parametrize(
    ("object_px", "size_wh", "grid_wh"),
    [
        pytest.param(None, SVGA, (2, 2), id="unknown"),
        pytest.param(200.0, SVGA, (2, 2), id="large"),
        pytest.param(47.0, (768, 576), (2, 2), id="people on a campus"),
        pytest.param(25.0, (640, 360), (2, 2), id="a street"),
        pytest.param(12.0, (1280, 720), (4, 4), id="a far motorway, within the budget of views"),
        pytest.param(0.0, SVGA, (4, 4), id="points"),
    ],
)
def test_the_grid_shows_small_objects_large_enough(
    object_px: float | None, size_wh: SizeWH, grid_wh: tuple[int, int]
) -> None:
    assert choose_grid(object_px, size_wh, INPUT, CONFIG) == grid_wh


@given(
    st.floats(0, 1e5), st.tuples(st.integers(16, 8000), st.integers(16, 8000)), st.integers(5, 65), st.floats(0, 0.8)
)
def test_any_grid_is_within_limits_and_smaller_objects_get_no_coarser_one(
    object_px: float, size_wh: SizeWH, max_views: int, overlap: float
) -> None:
    config = AnnotationConfig(max_views=max_views, tile_overlap=overlap)
    columns, rows = choose_grid(object_px, size_wh, INPUT, config)
    assert 2 <= columns <= MAX_GRID
    assert 2 <= rows <= MAX_GRID
    assert columns * rows + 1 <= max_views
    finer = choose_grid(object_px / 2, size_wh, INPUT, config)
    assert finer[0] * finer[1] >= columns * rows - max(columns, rows)  # the budget may cost a row or a column


def moving_boxes(side: float) -> FloatArray:
    return np.array([[10 + 3 * i, 10, 10 + 3 * i + side, 10 + side] for i in range(4)], np.float32)


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    store = new_store(tmp_path / "dataset")
    for index in range(6):
        add_frame(store, index, regions_xyxy=np.array([[0, 0, 64, 48]], np.float32))
    return store


def test_what_moves_is_measured_once(store: DatasetStore) -> None:
    teacher = Teacher(store.labels, moving_boxes(20))
    found = measure_magnification(store, teacher, CONFIG, "key")
    assert found.object_px == pytest.approx(20)
    assert found.n_boxes == 24
    n_asked = teacher.n_asked
    assert measure_magnification(store, teacher, CONFIG, "key") == found
    assert teacher.n_asked == n_asked
    measure_magnification(store, teacher, CONFIG, "another teacher")
    assert teacher.n_asked == 2 * n_asked


def test_a_budget_that_changed_counts_after_a_measurement(store: DatasetStore) -> None:
    teacher = Teacher(store.labels, moving_boxes(2))
    assert measure_magnification(store, teacher, CONFIG, "key").grid_wh != (2, 2)
    frugal = AnnotationConfig(max_views=5)
    assert measure_magnification(store, teacher, frugal, "key").grid_wh == (2, 2)


@pytest.mark.parametrize(
    "teacher",
    [
        pytest.param({"boxes": np.zeros((0, 4), np.float32)}, id="sees nothing"),
        pytest.param({"boxes": moving_boxes(20), "score": 0.2}, id="is unsure"),
        pytest.param({"boxes": moving_boxes(20) + 500}, id="sees what stands"),
    ],
)
def test_without_moving_objects_the_usual_grid_stays(store: DatasetStore, teacher: dict[str, Any]) -> None:
    found = measure_magnification(store, Teacher(store.labels, **teacher), CONFIG, "key")
    assert found.object_px is None
    assert found.grid_wh == (2, 2)
    assert "too few moving objects" in found.explain()


def test_settings_take_over_what_was_chosen_for_the_dataset(store: DatasetStore) -> None:
    assert with_grid_of(store, CONFIG) == CONFIG
    store.set_note(NOTE_KEY, Magnification((4, 3), 12.0, 99, "key").to_json())
    assert with_grid_of(store, CONFIG).tile_grid == (4, 3)
    assert with_grid_of(store, AnnotationConfig(tile_grid=2)).tile_grid == 2
    store.set_note(NOTE_KEY, Magnification((3, 3), 12.0, 99, "key").to_json())
    assert with_grid_of(store, CONFIG).tile_grid == 3, "as a user would write it, so that fingerprints agree"


@pytest.mark.parametrize(
    "note", [7, {}, {"grid_wh": [99, 3], "object_px": 1.0, "n_boxes": 1, "key": "k"}], ids=["number", "empty", "huge"]
)
def test_a_damaged_note_is_measured_again(store: DatasetStore, note: Any) -> None:
    store.set_note(NOTE_KEY, note)
    assert stored_magnification(store) is None


def test_it_reads_what_it_wrote_and_explains_itself() -> None:
    chosen = Magnification((4, 3), 22.4, 99, "key")
    assert Magnification.from_json(chosen.to_json()) == chosen
    assert chosen.explain() == "small moving objects are 22 px in size; looked at in 4x3 tiles"
    with pytest.raises(FieldError, match="must be within"):
        Magnification.from_json({**chosen.to_json(), "grid_wh": [0, 3]})
