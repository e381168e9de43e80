"""Growing, joining and measuring regions."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.regions import grow_regions, join_touching, merge_all, sort_regions, union_area

NONE = np.zeros((0, 4), np.float32)


def _boxes(*boxes: tuple[float, float, float, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(boxes, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("box", "margin", "min_px", "expected"),
    [
        pytest.param((40, 40, 60, 50), 0.0, 1, (40, 40, 60, 50), id="as it is"),
        pytest.param((40, 40, 60, 50), 0.1, 1, (38, 39, 62, 51), id="margin"),
        pytest.param((40, 40, 60, 50), 0.0, 30, (35, 30, 65, 60), id="minimum size"),
        pytest.param((0, 40, 10, 50), 0.0, 30, (0, 30, 30, 60), id="moved in from the left"),
        pytest.param((90, 70, 100, 80), 0.0, 30, (70, 50, 100, 80), id="moved in from the corner"),
        pytest.param((40, 40, 60, 50), 0.0, 500, (0, 0, 100, 80), id="frame smaller than minimum"),
    ],
)
def test_grow(box: tuple[float, ...], margin: float, min_px: float, expected: tuple[float, ...]) -> None:
    grown = grow_regions(np.array([box], np.float32), margin_fraction=margin, min_px=min_px, size_wh=(100, 80))
    assert grown.tolist() == [list(expected)]


def test_grow_nothing() -> None:
    assert grow_regions(NONE, margin_fraction=0.1, min_px=10, size_wh=(100, 80)).shape == (0, 4)


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        pytest.param([], [], id="empty"),
        pytest.param([(0, 0, 5, 5)], [(0, 0, 5, 5)], id="one"),
        pytest.param([(0, 0, 5, 5), (4, 4, 9, 9)], [(0, 0, 5, 5), (4, 4, 9, 9)], id="81 of 50 is too much"),
        pytest.param([(0, 0, 5, 5), (2, 1, 7, 6)], [(0, 0, 7, 6)], id="42 of 50"),
        pytest.param([(0, 0, 5, 5), (5, 0, 9, 5)], [(0, 0, 9, 5)], id="touch"),
        pytest.param([(6, 0, 9, 5), (0, 0, 5, 5)], [(0, 0, 5, 5), (6, 0, 9, 5)], id="apart, sorted"),
        pytest.param([(0, 0, 4, 4), (0, 0, 4, 4)], [(0, 0, 4, 4)], id="same twice"),
        pytest.param(
            [(0, 0, 4, 4), (4, 0, 8, 4), (8, 1, 12, 5)], [(0, 0, 12, 5)], id="joined to what was joined: 60 of 48"
        ),
        pytest.param(
            [(0, 0, 3, 3), (3, 0, 6, 3), (6, 3, 9, 6)], [(0, 0, 6, 3), (6, 3, 9, 6)], id="only a corner touches"
        ),
    ],
)
def test_join_touching(boxes: list[tuple[float, ...]], expected: list[tuple[float, ...]]) -> None:
    joined = join_touching(np.array(boxes, np.float32).reshape(-1, 4), max_growth=4 / 3)
    assert joined.tolist() == [list(box) for box in expected]
    assert joined.dtype == np.float32


def test_sort_regions() -> None:
    assert sort_regions(_boxes((5, 1, 6, 2), (0, 3, 1, 9), (0, 2, 1, 9))).tolist() == [
        [0, 2, 1, 9], [0, 3, 1, 9], [5, 1, 6, 2]
    ]  # fmt: skip


def test_merge_all() -> None:
    assert merge_all(NONE).shape == (0, 4)
    assert merge_all(_boxes((5, 1, 6, 2), (0, 3, 1, 9))).tolist() == [[0, 1, 6, 9]]


@pytest.mark.parametrize(
    ("boxes", "area"),
    [
        pytest.param([], 0, id="empty"),
        pytest.param([(0, 0, 4, 3)], 12, id="one"),
        pytest.param([(0, 0, 4, 4), (2, 2, 6, 6)], 28, id="overlap counts once"),
        pytest.param([(0, 0, 4, 4), (0, 0, 4, 4)], 16, id="same twice"),
        pytest.param([(0, 0, 4, 4), (10, 10, 11, 12)], 18, id="apart"),
        pytest.param([(3, 3, 3, 9)], 0, id="no width"),
    ],
)
def test_union_area(boxes: list[tuple[float, ...]], area: float) -> None:
    assert union_area(np.array(boxes, np.float32).reshape(-1, 4)) == area
