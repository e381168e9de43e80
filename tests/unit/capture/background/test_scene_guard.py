"""What must not look like a change of the scene, and what must, on drawn scenes with exact truth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edge_autotuner.capture.background import SceneChange, SceneGuard
from edge_autotuner.capture.background.scene_guard import compare_scenes, misfit
from edge_autotuner.capture.background.scene_view import SceneView, find_shift
from edge_autotuner.capture.changes import ChangeFinder, blur
from edge_autotuner.capture.motion import PRESETS
from edge_autotuner.config import BackgroundConfig, MotionConfig
from edge_autotuner.core.types import ImageArray
from support.cameras.scene_changes import Picture, Sensor, Street, Watch, with_bus, with_people

DAY = Street().seen()
ALMOST_BLANK = 90 + 0.04 * DAY


def passing(scene: Picture, *, width_fraction: float, duration_s: float, rate_hz: float) -> Iterator[Picture]:
    n = round(duration_s * rate_hz)
    for number in range(n):
        yield with_bus(scene, (1 + width_fraction) * number / n - width_fraction, width_fraction=width_fraction)


@pytest.mark.parametrize("rate_hz", [10, 25])
@pytest.mark.parametrize("duration_s", [1.5, 3, 6])
@pytest.mark.parametrize("width_fraction", [0.6, 0.9])
@pytest.mark.parametrize("scene", [DAY, ALMOST_BLANK], ids=["street", "blank"])
def test_a_bus_that_passes(scene: Picture, width_fraction: float, duration_s: float, rate_hz: float) -> None:
    watch = Watch(rate_hz=rate_hz)
    watch.show_still(scene, 6)
    watch.show(passing(scene, width_fraction=width_fraction, duration_s=duration_s, rate_hz=rate_hz))
    watch.show_still(scene, 5)
    assert watch.kinds == []


def test_a_lorry_that_parks_before_an_almost_blank_scene() -> None:
    watch = Watch()
    watch.show_still(ALMOST_BLANK, 6)
    watch.show_still(with_bus(ALMOST_BLANK, 0.1, width_fraction=0.5), 20)
    assert watch.kinds == []


def test_a_crowd() -> None:
    watch = Watch()
    watch.show_still(DAY, 6)
    watch.show_still(DAY, 15, n_people=40)
    watch.show_still(DAY, 5)
    assert watch.kinds == []


def test_automatic_exposure_that_comes_back() -> None:
    watch = Watch()
    watch.show_still(DAY, 6)
    for gain, duration_s in ((0.88, 3), (1, 2), (1.12, 3), (0.6, 1.5), (1, 3)):
        watch.show_still(gain * DAY, duration_s)
    assert watch.kinds == []


def test_sunset() -> None:
    watch = Watch()
    watch.show(DAY * (1 - 0.7 * number / 3000) for number in range(3000))  # 70 % darker within five minutes
    assert watch.kinds == []
    assert watch.background_error(0.3 * DAY) < 4


@pytest.mark.parametrize(("share", "kinds"), [(0.12, []), (0.3, ["scene changed"])])
def test_a_cloud_counts_when_it_dims_most_of_the_picture(share: float, kinds: list[str]) -> None:
    watch = Watch()
    watch.show_still(DAY, 6)
    watch.show(DAY * (1 - share * number / 30) for number in range(30))  # within three seconds
    watch.show_still(DAY * (1 - share), 10)
    assert watch.kinds == kinds


def test_light_that_does_not_count_is_light_to_the_gate_as_well() -> None:
    threshold, size_wh = PRESETS["medium"].threshold, (DAY.shape[1], DAY.shape[0])
    background = frame(DAY)
    n_silent = 0
    for gain in np.arange(0.7, 1.31, 0.02):
        lit = frame(gain * DAY)
        if compare_scenes(SceneView(background), SceneView(lit), SceneView(lit)).changed_fraction >= 0.7:
            continue
        n_silent += 1
        finder = ChangeFinder(MotionConfig(), threshold=threshold, size_wh=size_wh)
        assert (finder.find(blur(lit, 5), background, 0.0) > 0).mean() < 0.1, gain
    assert n_silent > 10


@pytest.mark.parametrize("scene", [DAY, ALMOST_BLANK, 0.05 * DAY], ids=["street", "blank", "night"])
@pytest.mark.parametrize("noise", [12.0, 40.0])
def test_heavy_noise(scene: Picture, noise: float) -> None:
    watch = Watch(sensor=Sensor(noise))
    watch.show_still(scene, 30)
    assert watch.kinds == []


def test_shuffled_pictures_of_one_scene() -> None:
    watch = Watch(rate_hz=1.0)
    order = np.random.default_rng(3).permutation(200)
    watch.show(with_people(DAY, float(number), n=8) for number in order)
    assert watch.kinds == []


def test_pictures_once_a_second_of_a_new_scene() -> None:
    watch = Watch(rate_hz=1.0)
    watch.show_still(DAY, 30)
    watch.show_still(0.4 * DAY, 6)
    assert watch.kinds == ["scene changed"]


def test_a_camera_that_sways_is_not_bumped() -> None:
    watch = Watch()
    watch.show_still(DAY, 6)
    watch.show(Street().seen(right_px=round(9 * np.sin(number / 4))) for number in range(100))
    assert watch.kinds == []


def test_a_camera_that_sags_by_one_cell() -> None:
    watch = Watch(BackgroundConfig(method="first"))
    watch.show_still(DAY, 6)
    watch.show_still(Street().seen(down_px=4), 10)
    assert watch.kinds == []


def test_a_fence_that_matches_itself_at_many_shifts() -> None:
    fence = 80 + 60 * (np.indices(DAY.shape)[1] // 16 % 2).astype(np.float32)
    background = SceneView(frame(fence))
    views = [SceneView(Sensor(seed=left)(with_bus(fence, left / 10, width_fraction=0.15))) for left in range(10)]
    assert max(find_shift(background, view).n_cells for view in views) > 7
    assert all(compare_scenes(background, view, view).shift is None for view in views)


@pytest.mark.parametrize("size_wh", [(64, 48), (480, 270), (960, 540)])
def test_a_bump_at_any_working_size(size_wh: tuple[int, int]) -> None:
    watch = Watch()
    street = Street(size_wh)
    watch.show_still(street.seen(), 4)
    watch.show_still(street.seen(right_px=max(4, size_wh[0] // 40), down_px=size_wh[0] // 48), 5)
    assert watch.kinds == ["scene changed"]
    assert "moved by" in watch.events[0].detail


def test_a_share_of_one_means_the_whole_picture() -> None:
    half_dark = DAY.copy()
    half_dark[:, :280] *= 0.3
    for fraction, kinds in ((0.8, ["scene changed"]), (1.0, [])):
        watch = Watch(BackgroundConfig(scene_change_fraction=fraction))
        watch.show_still(DAY, 4)
        watch.show_still(half_dark, 4)
        assert watch.kinds == kinds


def frame(picture: Picture) -> ImageArray:
    return np.rint(np.clip(picture, 0, 255)).astype(np.uint8)


def test_states_up_to_the_change() -> None:
    guard = SceneGuard(0.7)
    background, dark = frame(DAY), frame(0.3 * DAY)
    assert guard.look(background, background, 0.0) == "usual"
    assert guard.look(dark, background, 0.5) == "suspicious"
    assert [guard.look(dark, background, 0.5 + 0.4 * n) for n in range(1, 5)] == ["settling"] * 4
    change = guard.look(dark, background, 2.5)
    assert isinstance(change, SceneChange)
    assert change.changed_fraction > 0.95
    assert change.structure_fraction == pytest.approx(0, abs=0.1)
    assert change.brightness_levels == pytest.approx(-0.7 * DAY.mean(), abs=1)
    assert change.shift is None
    assert guard.look(dark, dark, 2.6) == "usual"


@pytest.mark.parametrize("times_s", [(0.0, 100.0, 200.0, 300.0, 400.0), (5.0, 4.0, 3.0, 2.0, 1.0, 0.0)])
def test_few_frames_and_a_clock_that_runs_backwards_settle_nothing(times_s: tuple[float, ...]) -> None:
    guard = SceneGuard(0.7)
    background, dark = frame(DAY), frame(0.3 * DAY)
    assert not any(isinstance(guard.look(dark, background, time_s), SceneChange) for time_s in times_s)


def test_after_a_jump_backwards_watching_starts_anew() -> None:
    guard = SceneGuard(0.7)
    background, dark = frame(DAY), frame(0.3 * DAY)
    seen = [guard.look(dark, background, time_s) for time_s in (1000.0, *np.arange(0, 2.1, 0.25))]
    assert seen[:2] == ["suspicious", "suspicious"]
    assert isinstance(seen[-1], SceneChange)


def test_structure_is_not_judged_where_there_is_none_or_only_noise() -> None:
    blank, street, sensor = SceneView(frame(ALMOST_BLANK)), SceneView(frame(DAY)), Sensor(60)
    assert compare_scenes(blank, street, street).structure_fraction is None
    snow = [SceneView(sensor(np.full_like(DAY, 128))) for _ in range(2)]
    assert compare_scenes(street, *snow).structure_fraction is None
    assert compare_scenes(street, blank, blank).structure_fraction == 1


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01])
def test_impossible_share(fraction: float) -> None:
    with pytest.raises(ValueError, match="min_changed"):
        SceneGuard(fraction)


def test_misfit_tells_scenes_apart() -> None:
    day = frame(DAY)
    assert misfit(day, day) == pytest.approx(0, abs=1e-3)
    with_parked_bus = frame(with_bus(DAY, 0.4, width_fraction=0.2))
    difference = np.abs(with_parked_bus.astype(int) - day).mean()
    assert misfit(day, with_parked_bus) == pytest.approx(difference, rel=0.2)
    for other in (0.3 * DAY, Street().seen(right_px=10), Street(seed=7).seen(), 210 - 0.8 * DAY):
        assert misfit(day, frame(other)) is None
