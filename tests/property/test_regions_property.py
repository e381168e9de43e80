"""What holds for any motion regions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.capture.regions import grow_regions, join_touching, union_area
from edge_autotuner.core import box_areas, covered_fraction
from edge_autotuner.core.types import FloatArray

SIZE_WH = (200, 150)


@st.composite
def regions(draw: st.DrawFn) -> FloatArray:
    """Return up to twelve boxes with whole corners and some area inside of the frame."""
    boxes = []
    for _ in range(draw(st.integers(0, 12))):
        x, y = draw(st.integers(0, SIZE_WH[0] - 1)), draw(st.integers(0, SIZE_WH[1] - 1))
        w, h = draw(st.integers(1, min(60, SIZE_WH[0] - x))), draw(st.integers(1, min(60, SIZE_WH[1] - y)))
        boxes.append((x, y, x + w, y + h))
    return np.array(boxes, np.float32).reshape(-1, 4)


@given(regions(), st.floats(1, 4))
def test_joined_regions_cover_all_inputs_and_little_more(boxes: FloatArray, max_growth: float) -> None:
    joined = join_touching(boxes, max_growth=max_growth)
    assert len(joined) <= len(boxes)
    assert union_area(joined) <= box_areas(boxes).sum() * max_growth * (1 + 1e-6)
    if len(boxes):
        assert (covered_fraction(boxes, joined).max(axis=1) == 1).all()


@given(regions(), st.randoms(use_true_random=False), st.floats(1, 4))
def test_order_changes_nothing(boxes: FloatArray, random: object, max_growth: float) -> None:
    order = list(range(len(boxes)))
    random.shuffle(order)  # type: ignore[attr-defined]
    joined = join_touching(boxes, max_growth=max_growth)
    np.testing.assert_array_equal(join_touching(boxes[order], max_growth=max_growth), joined)
    assert union_area(boxes[order]) == union_area(boxes)


@given(regions(), st.floats(0, 2), st.integers(1, 300))
def test_grown_regions_are_inside_large_enough_and_cover(boxes: FloatArray, margin: float, min_px: int) -> None:
    grown = grow_regions(boxes, margin_fraction=margin, min_px=min_px, size_wh=SIZE_WH)
    assert grown.shape == boxes.shape
    assert (grown[:, :2] >= 0).all()
    assert (grown[:, 2:] <= SIZE_WH).all()
    assert (grown[:, 2:] - grown[:, :2] >= np.minimum(min_px, SIZE_WH)).all()
    assert (grown[:, :2] <= boxes[:, :2]).all()
    assert (grown[:, 2:] >= boxes[:, 2:]).all()


@given(regions())
def test_union_area_equals_painted_pixels(boxes: FloatArray) -> None:
    painted = np.zeros((SIZE_WH[1], SIZE_WH[0]), bool)
    for x1, y1, x2, y2 in boxes.astype(int):
        painted[y1:y2, x1:x2] = True
    assert union_area(boxes) == painted.sum()
