"""Changed pixels and the areas that they form."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.changes import ChangeFinder, blur, find_areas, pixels_in_areas
from edge_autotuner.config import MotionConfig
from edge_autotuner.core.types import ImageArray

SIZE_WH = (60, 40)
GREY = np.full((40, 60), 100, np.uint8)


def _changed(*boxes: tuple[int, int, int, int]) -> ImageArray:
    picture = np.zeros((40, 60), np.uint8)
    for x1, y1, x2, y2 in boxes:
        picture[y1:y2, x1:x2] = 255
    return picture


@pytest.mark.parametrize(
    ("boxes", "spot_px", "min_changed_px", "expected"),
    [
        pytest.param([], 7, 1, [], id="nothing"),
        pytest.param([(10, 10, 20, 15)], 7, 1, [[10, 10, 20, 15]], id="box of the change, not of the spot"),
        pytest.param([(10, 10, 20, 15)], 0, 51, [], id="too small"),
        pytest.param([(10, 10, 20, 15)], 0, 50, [[10, 10, 20, 15]], id="just large enough"),
        pytest.param([(10, 10, 20, 15), (24, 10, 30, 15)], 7, 1, [[10, 10, 30, 15]], id="close to each other"),
        pytest.param([(0, 0, 1, 1)], 7, 1, [[0, 0, 1, 1]], id="corner"),
        pytest.param([(0, 0, 60, 40)], 7, 1, [[0, 0, 60, 40]], id="everything"),
    ],
)
def test_find_areas(
    boxes: list[tuple[int, int, int, int]], spot_px: int, min_changed_px: float, expected: list[list[float]]
) -> None:
    areas = find_areas(_changed(*boxes), spot_px=spot_px, min_changed_px=min_changed_px)
    assert areas.tolist() == expected
    assert areas.dtype == np.float32


def test_areas_that_are_apart() -> None:
    areas = find_areas(_changed((5, 5, 10, 10), (40, 20, 50, 30)), spot_px=5, min_changed_px=1)
    assert sorted(areas.tolist()) == [[5, 5, 10, 10], [40, 20, 50, 30]]


def test_pixels_in_areas_leaves_out_what_is_elsewhere() -> None:
    changed = _changed((5, 5, 10, 10), (40, 20, 42, 22))
    mask = pixels_in_areas(changed, np.array([[4, 4, 12, 12]], np.float32))
    assert mask.dtype == np.bool_
    assert mask.sum() == 25
    assert mask[5:10, 5:10].all()


def _find(picture: ImageArray, background: ImageArray, threshold: int = 20, **settings: object) -> ImageArray:
    motion = MotionConfig.model_validate({"blur_px": 1, "noise_factor": 0, **settings})
    finder = ChangeFinder(motion, threshold=threshold, size_wh=SIZE_WH)
    return finder.find(blur(picture, 1), background, 0.0)


@pytest.mark.parametrize("sign", [1, -1], ids=["brighter", "darker"])
def test_threshold(sign: int) -> None:
    for difference, expected in ((19, 0), (20, 10 * 8)):
        picture = GREY.copy()
        picture[10:18, 20:30] = 100 + sign * difference
        assert np.count_nonzero(_find(picture, GREY)) == expected


@pytest.mark.parametrize("light", [30, -30])
def test_light_on_the_whole_picture_is_no_change_and_hides_none(light: int) -> None:
    picture = np.full_like(GREY, 100 + light)
    assert np.count_nonzero(_find(picture, GREY)) == 0
    picture[10:18, 20:30] = 100 + light + 40
    assert np.count_nonzero(_find(picture, GREY)) == 80


def test_an_edge_that_shakes_is_no_change() -> None:
    edge = np.where(np.arange(60)[None, :] < 30, 50, 200).astype(np.uint8).repeat(40, axis=0)
    shaken = np.roll(edge, 1, axis=1)
    shaken[:, 0] = 50
    assert np.count_nonzero(_find(shaken, edge, shake_px=0)) > 0
    assert np.count_nonzero(_find(shaken, edge, shake_px=1)) == 0


def test_a_new_background_array_counts_at_once() -> None:
    motion = MotionConfig(blur_px=1, noise_factor=0)
    finder = ChangeFinder(motion, threshold=20, size_wh=SIZE_WH)
    parked = GREY.copy()
    parked[10:18, 20:30] = 200
    assert np.count_nonzero(finder.find(parked, GREY, 0.0)) == 80
    assert np.count_nonzero(finder.find(parked, parked.copy(), 0.1)) == 0


def test_inputs_are_not_changed() -> None:
    picture, background = GREY.copy(), GREY.copy()
    _find(picture, background, ignore=[[(0, 0), (1, 0), (1, 1)]])
    np.testing.assert_array_equal(picture, GREY)
    np.testing.assert_array_equal(background, GREY)
