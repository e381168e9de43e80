"""The planned rectangles: exact numbers of the measured protocol, and crops that keep magnification."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.annotation.views import View, grid_of_tiles, looked_rectangles, merge_crops, plan_views
from edge_autotuner.config import AnnotationConfig

INPUT = (416, 416)


def rects(size_wh: tuple[int, int], regions: list[list[float]] | None, **settings: object) -> list[tuple[int, ...]]:
    boxes = None if regions is None else np.array(regions, np.float32).reshape(-1, 4)
    config = AnnotationConfig.model_validate(settings)
    return [view.rect_xyxy for view in plan_views(size_wh, boxes, config, detector_input_wh=INPUT)]


def test_full() -> None:
    assert rects((640, 480), None, look="full") == [(0, 0, 640, 480)]


def test_tiles_of_the_protocol() -> None:
    """640 / 1.75 = 365.71 wide, the second starts at 0.75 * 365.71 = 274.29."""
    assert rects((640, 480), None) == [
        (0, 0, 640, 480),
        (0, 0, 366, 275),
        (274, 0, 640, 275),
        (0, 205, 366, 480),
        (274, 205, 640, 480),
    ]


def test_which_sides_are_inner() -> None:
    views = plan_views((700, 700), None, AnnotationConfig(), detector_input_wh=INPUT)
    assert [view.is_inner for view in views] == [
        (False, False, False, False),
        (False, False, True, True),
        (True, False, False, True),
        (False, True, True, False),
        (True, True, False, False),
    ]
    assert views[1].n_pixels == 400 * 400


@pytest.mark.parametrize(
    ("grid", "overlap", "expected"),
    [
        pytest.param((1, 1), 0.25, [(10, 20, 110, 70)], id="one"),
        pytest.param((2, 1), 0.0, [(10, 20, 60, 70), (60, 20, 110, 70)], id="no overlap"),
        pytest.param((3, 1), 0.5, [(10, 20, 60, 70), (35, 20, 85, 70), (60, 20, 110, 70)], id="half"),
    ],
)
def test_grid(grid: tuple[int, int], overlap: float, expected: list[tuple[int, ...]]) -> None:
    assert grid_of_tiles((10, 20, 110, 70), grid, overlap) == expected


def test_a_grid_of_one_is_the_frame_once() -> None:
    assert rects((640, 480), None, tile_grid=1) == [(0, 0, 640, 480)]


@pytest.mark.parametrize("look", ["tiles", "crops", "full"])
def test_nothing_to_look_at(look: str) -> None:
    assert rects((640, 480), [], look=look) == []


def test_regions_limit_crops_only() -> None:
    region = [[300.0, 200, 340, 240]]
    assert rects((640, 480), region, look="full") == [(0, 0, 640, 480)]
    assert rects((640, 480), region) == rects((640, 480), None)
    assert rects((640, 480), None, look="crops") == rects((640, 480), None)


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        pytest.param([300, 200, 400, 280], (275, 180, 425, 300), id="margin on each side"),
        pytest.param([300, 200, 320, 220], (270, 170, 350, 250), id="grown around its centre"),
        pytest.param([0, 0, 20, 20], (0, 0, 80, 80), id="moved inside at the top left"),
        pytest.param([630, 470, 640, 480], (560, 400, 640, 480), id="moved inside at the bottom right"),
        pytest.param([0, 100, 640, 140], (0, 80, 640, 160), id="a wide one, grown in height only"),
        pytest.param([-50, -50, 700, 500], (0, 0, 640, 480), id="larger than the frame"),
        pytest.param([300.4, 200.4, 399.6, 279.6], (275, 180, 425, 300), id="fractions grow outwards"),
    ],
)
def test_crop_of_one_region(region: list[float], expected: tuple[int, ...]) -> None:
    assert rects((640, 480), [region], look="crops", min_crop_px=80)[0] == expected


def test_crop_in_a_frame_smaller_than_the_smallest_crop() -> None:
    assert rects((100, 60), [[40, 20, 50, 30]], look="crops") == [(0, 0, 100, 60)]


def test_crops_that_overlap_much_are_joined() -> None:
    assert merge_crops([(0, 0, 100, 100), (20, 0, 120, 100)]) == [(0, 0, 120, 100)]
    assert merge_crops([(0, 0, 100, 100), (10, 10, 20, 20)]) == [(0, 0, 100, 100)]
    assert merge_crops([(0, 0, 9, 9), (0, 0, 9, 9)]) == [(0, 0, 9, 9)]
    assert merge_crops([]) == []


def test_crops_whose_union_wastes_much_stay_apart() -> None:
    corners = [(0, 0, 100, 100), (80, 80, 180, 180)]  # 180 * 180 is 1.65 times what they cover
    assert merge_crops(corners) == corners
    apart = [(0, 0, 100, 100), (100, 0, 200, 100)]
    assert merge_crops(apart) == apart


def test_joined_crops_can_join_a_third() -> None:
    crops = [(0, 0, 100, 100), (80, 0, 180, 100), (160, 0, 260, 100)]
    assert merge_crops(crops) == [(0, 0, 260, 100)]


def test_a_large_crop_is_looked_at_in_tiles_too() -> None:
    found = rects((2000, 1000), [[0, 0, 1000, 300]], look="crops", crop_margin=0)
    assert found == [(0, 0, 1000, 300), (0, 0, 572, 300), (428, 0, 1000, 300)]
    assert rects((2000, 1000), [[0, 0, 624, 624]], look="crops", crop_margin=0) == [(0, 0, 624, 624)]


def test_looked_rectangles_leaves_out_the_inner_ones() -> None:
    views = plan_views((640, 480), None, AnnotationConfig(), detector_input_wh=INPUT)
    np.testing.assert_array_equal(looked_rectangles(views), np.array([[0, 0, 640, 480]], np.float32))
    two = (View((0, 0, 50, 50), (False, False, True, True)), View((25, 0, 75, 50), (True, False, True, True)))
    assert looked_rectangles(two).tolist() == [[0, 0, 50, 50], [25, 0, 75, 50]]
    assert looked_rectangles(()).shape == (0, 4)
