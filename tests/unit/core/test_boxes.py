"""Box geometry against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.core import (
    box_areas,
    clip_boxes,
    covered_fraction,
    iou_matrix,
    scale_boxes,
    subtract_boxes,
    xywh_to_xyxy,
    xyxy_to_xywh,
)
from edge_autotuner.core.boxes import as_boxes, covered_together, intersection_matrix

NO_BOXES = np.zeros((0, 4), np.float32)
BOX = as_boxes([[0, 0, 10, 10]])


@pytest.mark.parametrize(
    ("other", "iou", "share"),
    [
        pytest.param([0, 0, 10, 10], 1.0, 1.0, id="the same"),
        pytest.param([5, 0, 15, 10], 50 / 150, 0.5, id="half beside"),
        pytest.param([2, 2, 6, 6], 16 / 100, 0.16, id="inside"),
        pytest.param([-10, -10, 20, 20], 100 / 900, 1.0, id="around"),
        pytest.param([10, 0, 20, 10], 0.0, 0.0, id="touching: x2 is exclusive"),
        pytest.param([30, 30, 40, 40], 0.0, 0.0, id="apart in both directions"),
        pytest.param([5, 5, 5, 5], 0.0, 0.0, id="a point"),
        pytest.param([8, 8, 2, 2], 0.0, 0.0, id="turned inside out"),
    ],
)
def test_overlap_of_two_boxes(other: list[float], iou: float, share: float) -> None:
    assert iou_matrix(BOX, as_boxes([other])).item() == pytest.approx(iou)
    assert covered_fraction(BOX, as_boxes([other])).item() == pytest.approx(share)


def test_two_empty_boxes_have_no_overlap_instead_of_not_a_number() -> None:
    point = as_boxes([[3, 3, 3, 3]])
    assert iou_matrix(point, point).tolist() == [[0.0]]
    assert covered_fraction(point, BOX).tolist() == [[0.0]]


def test_matrices_have_a_row_for_each_first_box() -> None:
    two, three = as_boxes([[0, 0, 2, 2], [0, 0, 4, 4]]), as_boxes([[0, 0, 1, 1], [1, 1, 3, 3], [9, 9, 10, 10]])
    assert intersection_matrix(two, three).tolist() == [[1, 1, 0], [1, 4, 0]]
    assert iou_matrix(two, three) == pytest.approx(np.array([[1 / 4, 1 / 7, 0], [1 / 16, 4 / 16, 0]]))


@pytest.mark.parametrize(("a", "b", "shape"), [(NO_BOXES, BOX, (0, 1)), (BOX, NO_BOXES, (1, 0))])
def test_no_boxes_give_an_empty_matrix(a: np.ndarray, b: np.ndarray, shape: tuple[int, int]) -> None:
    assert iou_matrix(a, b).shape == covered_fraction(a, b).shape == shape


def test_areas() -> None:
    boxes = as_boxes([[0, 0, 3, 4], [5, 5, 5, 9], [4, 4, 1, 1]])
    assert box_areas(boxes).tolist() == [12, 0, 0]
    assert box_areas(NO_BOXES).shape == (0,)


def test_clipping_cuts_at_the_picture() -> None:
    boxes = as_boxes([[-5, 2, 50, 60], [70, 70, 80, 80], [1, 1, 2, 2]])
    assert clip_boxes(boxes, size_wh=(40, 30)).tolist() == [[0, 2, 40, 30], [40, 30, 40, 30], [1, 1, 2, 2]]
    assert clip_boxes(NO_BOXES, size_wh=(40, 30)).shape == (0, 4)


def test_scaling_treats_width_and_height_apart() -> None:
    scaled = scale_boxes(as_boxes([[64, 48, 128, 96]]), from_size_wh=(640, 480), to_size_wh=(320, 960))
    assert scaled.tolist() == [[32, 96, 64, 192]]
    assert scaled.dtype == np.float32


def test_coco_form() -> None:
    assert xyxy_to_xywh(as_boxes([[1, 2, 11, 22]])).tolist() == [[1, 2, 10, 20]]
    assert xywh_to_xyxy(as_boxes([[1, 2, 10, 20]])).tolist() == [[1, 2, 11, 22]]
    assert xyxy_to_xywh(NO_BOXES).shape == xywh_to_xyxy(NO_BOXES).shape == (0, 4)


@pytest.mark.parametrize("nothing", [[], np.zeros((0, 4)), np.zeros((0,))])
def test_an_empty_sequence_becomes_no_boxes(nothing: object) -> None:
    assert as_boxes(nothing).shape == (0, 4)
    assert as_boxes(nothing).dtype == np.float32


@pytest.mark.parametrize("wrong", [[1, 2, 3, 4], [[1, 2, 3]], [[[1, 2, 3, 4]]]])
def test_another_shape_is_refused(wrong: list[object]) -> None:
    with pytest.raises(ValueError, match=r"boxes_xyxy must have shape \(N, 4\), got"):
        as_boxes(wrong)


@pytest.mark.parametrize(
    ("holes", "expected"),
    [
        pytest.param([], [[0, 0, 10, 8]], id="no hole"),
        pytest.param([[0, 0, 10, 8]], [], id="all"),
        pytest.param([[-5, -5, 20, 20]], [], id="more than all"),
        pytest.param([[10, 0, 12, 8]], [[0, 0, 10, 8]], id="outside"),
        pytest.param([[2, 3, 2, 6]], [[0, 0, 10, 8]], id="empty hole"),
        pytest.param([[2, 3, 5, 6]], [[0, 0, 10, 3], [0, 3, 2, 6], [5, 3, 10, 6], [0, 6, 10, 8]], id="inside"),
        pytest.param([[0, 0, 6, 8], [4, 0, 8, 8]], [[8, 0, 10, 8]], id="overlapping"),
    ],
)
def test_subtract_boxes(holes: list[list[float]], expected: list[list[float]]) -> None:
    rectangles = subtract_boxes(np.array([0, 0, 10, 8], np.float32), np.array(holes, np.float32).reshape(-1, 4))
    np.testing.assert_array_equal(rectangles, np.array(expected, np.float32).reshape(-1, 4))


@pytest.mark.parametrize(
    ("rectangles", "share"),
    [
        pytest.param([], 0.0, id="none"),
        pytest.param([[0, 0, 10, 10]], 1.0, id="all"),
        pytest.param([[0, 0, 5, 10], [5, 0, 10, 10]], 1.0, id="two halves"),
        pytest.param([[0, 0, 5, 10], [0, 0, 5, 10]], 0.5, id="twice the same"),
        pytest.param([[2, 2, 4, 4], [20, 20, 30, 30]], 0.04, id="a part, and one elsewhere"),
    ],
)
def test_covered_together(rectangles: list[list[float]], share: float) -> None:
    assert covered_together(as_boxes([[0, 0, 10, 10]]), as_boxes(rectangles)) == pytest.approx([share])


def test_an_empty_box_is_covered_by_nothing() -> None:
    assert covered_together(as_boxes([[3, 3, 3, 9]]), as_boxes([[0, 0, 10, 10]])).tolist() == [0]
    assert covered_together(as_boxes([]), as_boxes([[0, 0, 10, 10]])).shape == (0,)
