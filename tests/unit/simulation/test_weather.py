"""Weather and sensor of the simulated camera: visible, repeatable, and never in the truth."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from edge_autotuner.core.types import FloatArray
from edge_autotuner.simulation import Conditions, SimulatedCamera

SMALL = (160, 96)
EVERYTHING = Conditions(noise_levels=4, sway=0.8, cast_shadows=0.7, clouds=0.6, rain=0.5, flicker=0.01)
QUIET = {"noise_levels": 0.0}


def _camera(n_objects: int = 0, **settings: float) -> SimulatedCamera:
    return SimulatedCamera(SMALL, 150, seed=3, n_objects=n_objects, conditions=Conditions(**(QUIET | settings)))


def _luma(camera: SimulatedCamera, index: int) -> FloatArray:
    return camera.frame(index).luma.astype(np.float32)


def _strongest_change(camera: SimulatedCamera, indices: range) -> FloatArray:
    """Return (H, W): the largest difference of a pixel between successive frames of a run."""
    frames = [_luma(camera, index) for index in indices]
    return np.max([np.abs(b - a) for a, b in pairwise(frames)], axis=0)


def test_everything_at_once_is_repeatable_frame_by_frame() -> None:
    camera, again = (SimulatedCamera(SMALL, 150, seed=3, conditions=EVERYTHING) for _ in range(2))
    in_order = {frame.index: frame.luma for frame in camera.frames() if frame.index in (20, 70)}
    for index in (70, 20):
        np.testing.assert_array_equal(again.frame(index).luma, in_order[index])


def test_the_truth_does_not_depend_on_the_weather() -> None:
    calm, wild = SimulatedCamera(SMALL, 150, seed=3), SimulatedCamera(SMALL, 150, seed=3, conditions=EVERYTHING)
    assert calm.info.sha256 != wild.info.sha256
    for index in range(0, 150, 10):
        np.testing.assert_array_equal(calm.truth(index).boxes_xyxy, wild.truth(index).boxes_xyxy)


def test_calm_is_the_default() -> None:
    usual, calm = SimulatedCamera(SMALL, 10), SimulatedCamera(SMALL, 10, conditions=Conditions())
    assert calm.info == usual.info
    np.testing.assert_array_equal(calm.frame(7).image_bgr, usual.frame(7).image_bgr)


@pytest.mark.parametrize("levels", [0.0, 3.0, 8.0])
def test_noise_is_as_strong_as_asked(levels: float) -> None:
    camera = SimulatedCamera(SMALL, 40, n_objects=0, conditions=Conditions(noise_levels=levels))
    difference = camera.frame(1).image_bgr.astype(float) - camera.frame(0).image_bgr
    assert difference.std() == pytest.approx(levels * 2**0.5, rel=0.12, abs=0.4)


def test_wind_moves_the_trees_and_nothing_else() -> None:
    change = _strongest_change(_camera(sway=1.0), range(30))
    ys, xs = np.nonzero(change > 20)
    assert len(ys) > 100
    assert ys.max() < 0.5 * SMALL[1]
    assert ((xs < 0.3 * SMALL[0]) | (xs > 0.7 * SMALL[0])).all()
    assert (change[60:] < 3).all()


def test_stronger_wind_moves_more() -> None:
    moved = [float((_strongest_change(_camera(sway=sway), range(20)) > 20).mean()) for sway in (0.2, 0.5, 1.0)]
    assert moved == sorted(moved)
    assert moved[0] < 0.5 * moved[-1]


def test_cast_shadows_darken_the_ground_beside_the_objects() -> None:
    plain, shaded = _camera(n_objects=3), _camera(n_objects=3, cast_shadows=1.0)
    n_checked = 0
    for index in range(40, 150, 10):
        darker = _luma(plain, index) - _luma(shaded, index)
        outside = np.ones(darker.shape, bool)
        for x1, y1, x2, y2 in plain.truth(index).boxes_xyxy.astype(int):
            outside[y1:y2, x1:x2] = False
        assert (darker >= 0).all()
        n_checked += bool((darker[outside] > 20).sum() > 20)
    assert n_checked >= 5


def test_clouds_are_slow_and_large() -> None:
    camera = _camera(clouds=1.0)
    first, next_one, later = (_luma(camera, index) for index in (0, 1, 100))
    assert np.abs(next_one - first).mean() < 3
    assert np.abs(later - first).mean() > 8
    assert (first <= _luma(_camera(), 0)).all()


def test_rain_is_new_in_every_frame() -> None:
    dry, wet = _camera(), _camera(rain=1.0)
    drops = [np.abs(_luma(wet, index) - _luma(dry, index)) > 10 for index in (3, 4)]
    assert all(0.01 < drop.mean() < 0.3 for drop in drops)
    assert (drops[0] & drops[1]).sum() < 0.5 * drops[0].sum()


def test_flicker_changes_the_brightness_of_the_whole_picture() -> None:
    means = np.array([_luma(_camera(flicker=0.03), index).mean() for index in range(60)])
    changes = np.diff(means) / means[:-1]
    assert changes.std() == pytest.approx(0.03 * 2**0.5, rel=0.3)


@pytest.mark.parametrize(
    "wrong", [{"noise_levels": -1}, {"noise_levels": 65}, {"sway": 1.1}, {"clouds": -0.1}, {"rain": float("nan")}]
)
def test_wrong_values(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be in 0"):
        Conditions(**wrong)
