"""Where objects stand and how large they are there."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.core.types import FloatArray
from edge_autotuner.training.spots import ClassSpots, foot_points, free_standing

SIZE_WH = (640, 480)
NO_BOXES = np.zeros((0, 4), np.float32)


def perspective(n: int = 200, seed: int = 0) -> FloatArray:
    """Return boxes whose height grows by 0.2 pixels per row from the horizon at row 80, and is half of it in width."""
    rng = np.random.default_rng(seed)
    x, foot = rng.uniform(100, 540, n), rng.uniform(200, 470, n)
    height = 0.2 * (foot - 80)
    return np.stack([x - height / 4, foot - height, x + height / 4, foot], axis=1).astype(np.float32)


def test_the_usual_height_follows_the_ground() -> None:
    places = ClassSpots(perspective(), SIZE_WH, np.random.default_rng(0))
    boxes = perspective(20, seed=1)
    true = boxes[:, 3] - boxes[:, 1]
    error = np.abs(places.expected_heights(boxes) / true - 1)
    assert np.median(error) < 0.05
    assert error.max() < 0.25  # at the far end of the road


def test_one_strange_label_does_not_matter() -> None:
    giant = np.array([[200, 0, 500, 300]], np.float32)
    places = ClassSpots(np.concatenate([perspective(), giant]), SIZE_WH, np.random.default_rng(0))
    assert places.expected_heights(giant)[0] < 60


def test_an_object_goes_where_its_size_changes_little_and_its_shape_occurs() -> None:
    boxes = perspective()
    boxes[0] = [300, 260, 360, 300]  # seen from another side: 60 x 40
    places = ClassSpots(boxes, SIZE_WH, np.random.default_rng(0))
    far = boxes[np.argmin(boxes[1:, 3]) + 1]
    suiting, resizes = places.fitting(far)
    assert 0 < len(suiting) < len(boxes)
    assert (resizes >= 0.6).all()
    assert (resizes <= 1.4).all()
    assert 0 not in suiting
    assert places.fitting(boxes[0])[0].tolist() == [0]
    ratio = (boxes[suiting, 3] - boxes[suiting, 1]) / (far[3] - far[1])
    assert np.abs(resizes / ratio - 1).max() < 0.35


def test_feet_stay_near_the_place() -> None:
    boxes = perspective(5)
    places, rng = ClassSpots(boxes, SIZE_WH, np.random.default_rng(0)), np.random.default_rng(1)
    feet = np.array([places.foot_near(2, rng) for _ in range(50)])
    sides = boxes[2, 2:] - boxes[2, :2]
    assert (np.abs(feet - foot_points(boxes[2:3])) <= [0.5, 0.1] * sides + 1e-3).all()
    assert (feet.std(axis=0) > [0.2, 0.04] * sides).all()


def test_many_labels_are_thinned_out() -> None:
    places = ClassSpots(perspective(3000), SIZE_WH, np.random.default_rng(0))
    assert len(places.fitting(perspective(1)[0])[0]) <= 1500


@pytest.mark.parametrize(
    ("labels", "ignored", "expected"),
    [
        pytest.param([], [], [], id="none"),
        pytest.param([[10, 10, 30, 40]], [], [0], id="alone"),
        pytest.param([[10, 10, 30, 40], [25, 10, 60, 40]], [], [], id="each hides a part of the other"),
        pytest.param([[10, 10, 30, 40], [29, 10, 60, 40]], [], [0, 1], id="they hardly touch"),
        pytest.param([[10, 10, 30, 40], [5, 5, 200, 200]], [], [1], id="the small one is in the way of nobody"),
        pytest.param([[1, 10, 30, 40], [600, 400, 630, 479]], [], [], id="at the border"),
        pytest.param([[10, 10, 30, 40]], [[20, 10, 60, 40]], [], id="beside something uncertain"),
        pytest.param([[10, 10, 30, 40]], [[11, 10, 30, 41]], [0], id="uncertain of its own class"),
    ],
)
def test_whole_objects(labels: list[list[float]], ignored: list[list[float]], expected: list[int]) -> None:
    boxes, uncertain = (np.array(b, np.float32).reshape(-1, 4) for b in (labels, ignored))
    assert free_standing(boxes, uncertain, SIZE_WH).tolist() == expected
