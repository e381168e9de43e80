"""The empty scene, stretches of time, and light."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.core.types import FloatArray
from edge_autotuner.training.clean_plate import MIN_PICTURES, Lights, clean_plate, inside_boxes, spread, time_windows
from support.cameras.simulated_samples import camera, camera_samples

HOUR_S = 3600.0
NO_BOXES = np.zeros((0, 4), np.float32)


def boxes(*rows: list[float]) -> FloatArray:
    return np.array(rows, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("times_s", "sizes"),
    [
        pytest.param([0.0] * (MIN_PICTURES - 1), [], id="too few"),
        pytest.param([None] * 30, [30], id="unknown times"),
        pytest.param([*np.arange(29) * HOUR_S, None], [30], id="one unknown time"),
        pytest.param(list(np.linspace(0, 1.9 * HOUR_S, 40)), [40], id="below two hours"),
        pytest.param(list(np.arange(0, 3 * HOUR_S, 300)), [12, 12, 12], id="three hours"),
        pytest.param(list(np.arange(0, 3 * HOUR_S, 600)), [18], id="too few in an hour"),
        pytest.param(list(np.arange(0, 240 * HOUR_S, HOUR_S)), [20] * 12, id="ten days: at most twelve"),
    ],
)
def test_stretches_of_time(times_s: list[float | None], sizes: list[int]) -> None:
    windows = time_windows(times_s)
    assert [len(window) for window in windows] == sizes
    if windows:
        assert sorted(np.concatenate(windows).tolist()) == list(range(len(times_s)))


def test_stretches_follow_time_and_not_the_order_of_the_pictures() -> None:
    times = np.arange(0, 2 * HOUR_S + 1, 300)
    shuffled = np.random.default_rng(0).permutation(times)
    for window, other in zip(time_windows(list(times)), time_windows(list(shuffled)), strict=True):
        assert times[window].tolist() == shuffled[other].tolist()


def test_an_even_choice() -> None:
    assert spread(np.arange(10), 4).tolist() == [0, 3, 6, 9]
    assert spread(np.arange(3), 25).tolist() == [0, 1, 2]


def test_pixels_that_boxes_touch() -> None:
    inside = inside_boxes(boxes([1.2, 0, 2.1, 1], [-5, 2, 1, 99]), (4, 3))
    assert inside.astype(int).tolist() == [[0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert inside_boxes(boxes([1, 1, 2, 2]), (4, 3), grow_px=1).sum() == 9
    assert not inside_boxes(NO_BOXES, (4, 3)).any()


def test_a_plate_leaves_labelled_objects_out_where_the_ground_is_seen() -> None:
    """A car that stands in six of ten pictures is no ghost; one that is labelled in all belongs to the scene."""
    pictures = [np.full((4, 6, 3), 100, np.uint8) for _ in range(10)]
    labels = []
    for number, picture in enumerate(pictures):
        picture[:, :2] = 200  # parked
        if number < 6:
            picture[:, 4:] = 30
        labels.append(boxes([0, 0, 2, 4], *([[4, 0, 6, 4]] if number < 6 else [])))
    plate = clean_plate(pictures, labels)
    assert plate[0, :, 0].tolist() == [200, 200, 100, 100, 100, 100]
    assert clean_plate(pictures, [NO_BOXES] * 10)[0, :, 0].tolist() == [200, 200, 100, 100, 30, 30]


def test_the_plate_of_a_simulated_street_is_the_empty_street() -> None:
    samples = camera_samples()
    plate = clean_plate([s.read_image() for s in samples], [s.boxes_xyxy for s in samples])
    difference = np.abs(plate.astype(float) - camera().street_bgr)  # light swings by 6 %
    assert difference.max() <= 10


def plain(*levels: int) -> list[np.ndarray]:
    return [np.full((60, 80, 3), level, np.uint8) for level in levels]


HERE, THERE = np.array([0, 0, 20, 20], np.float32), np.array([60, 0, 80, 20], np.float32)


def test_the_same_place_at_the_same_time_needs_no_gain() -> None:
    gain = Lights(plain(100), (80, 60)).gain(0, HERE, 0, HERE)
    assert gain == pytest.approx(1)


def test_later_light_is_followed_and_paint_only_in_part() -> None:
    night, (half_white,) = plain(99, 79), plain(49)
    assert Lights(night, (80, 60)).gain(0, HERE, 1, HERE) == pytest.approx(0.8)
    half_white[:, 40:] = 99
    gain = Lights([half_white], (80, 60)).gain(0, HERE, 0, THERE)
    assert gain is not None
    assert 1.1 < gain[0] < 1.5  # not twice as bright


def test_objects_stay_out_of_another_light() -> None:
    day, grey = plain(120), plain(90)
    day[0][..., 2] = 20  # colours by day, none with the infrared lamp
    assert Lights([day[0], grey[0]], (80, 60)).gain(0, HERE, 1, HERE) is None
    assert Lights(plain(200, 60), (80, 60)).gain(0, HERE, 1, HERE) is None  # too dark
