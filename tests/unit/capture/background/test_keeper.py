"""The keeper over a camera's life: changes of the scene, recall, freezing, timer, size."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from edge_autotuner.capture.background import BackgroundKeeper
from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core import CaptureEvent
from edge_autotuner.core.plugins import BACKGROUNDS
from support.cameras.capture_samples import frame_of
from support.cameras.scene_changes import Picture, Street, Watch, with_bus

METHODS = tuple(BACKGROUNDS.built_in)
DAY = Street().seen()
NIGHT = 0.35 * DAY
INFRARED = 210 - 0.8 * DAY


def config_of(method: str = "median", **settings: object) -> BackgroundConfig:
    return BackgroundConfig.model_validate({"method": method, **settings})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rate_hz", [10, 25])
def test_light_switched_off(method: str, rate_hz: float) -> None:
    watch = Watch(config_of(method), rate_hz)
    watch.show_still(DAY, 6)
    watch.show_still(NIGHT, 4)
    assert watch.kinds == ["scene changed"]
    assert 6 < watch.events[0].time_s <= 8.6  # two seconds to settle, and half a second until it is known again
    assert watch.background_error(NIGHT) < 3
    assert all(watch.known[-round(rate_hz) :])


@pytest.mark.parametrize(
    ("changed", "looks"),
    [
        (1.3 * DAY, "levels brighter"),
        (NIGHT, "levels darker"),
        (INFRARED, "100% of its structure gone"),
        (Street().seen(right_px=10), "moved by about 10, 0 working pixels"),
        (Street().seen(right_px=-10), "moved by about -10, 0 working pixels"),
        (Street().seen(down_px=12, right_px=4), "moved by about 4, 12 working pixels"),
        (0.8 * Street().seen(down_px=-40), "moved by about 0, -40 working pixels"),
        (Street(seed=7).seen(), "of its structure gone"),
        (np.full_like(DAY, 6), "100% of its structure gone"),
    ],
    ids=["light on", "light off", "infrared", "right", "left", "down", "up", "other place", "covered"],
)
@pytest.mark.parametrize("n_people", [0, 4])
def test_the_event_says_what_it_looks_like(changed: Picture, looks: str, n_people: int) -> None:
    watch = Watch()
    watch.show_still(DAY, 6, n_people=n_people)
    watch.show_still(changed, 5, n_people=n_people)
    assert watch.kinds == ["scene changed"]
    assert looks in watch.events[0].detail
    assert 8 <= watch.events[0].time_s <= 9.1
    assert watch.background_error(changed) < 6


def test_the_event_has_the_stamps_of_its_frame() -> None:
    events: list[CaptureEvent] = []
    keeper = BackgroundKeeper(BackgroundConfig(), on_event=events.append)
    stamp = datetime(2026, 3, 1, tzinfo=UTC)
    for index in range(90):
        luma = (DAY if index < 50 else NIGHT).astype(np.uint8)
        keeper.see(luma, replace(frame_of(luma, index), captured_at=stamp))
    assert [(event.time_s, event.captured_at) for event in events] == [(7.0, stamp)]


@pytest.mark.parametrize("method", METHODS)
def test_the_new_background_is_known_at_once_however_rarely_frames_are_sampled(method: str) -> None:
    watch = Watch(config_of(method, every_k_frames=40))
    watch.show_still(DAY, 13)
    watch.show_still(NIGHT, 2.2)
    assert watch.kinds == ["scene changed"]
    assert all(watch.known[-30:])
    assert watch.background_error(NIGHT) < 5


def test_the_old_background_is_used_until_the_change_is_certain() -> None:
    watch = Watch()
    watch.show_still(DAY, 6)
    watch.show_still(NIGHT, 1.9)
    assert watch.kinds == []
    assert watch.background_error(DAY) < 3
    watch.show_still(DAY, 20)
    assert watch.kinds == []
    assert watch.background_error(DAY) < 3


def test_a_first_background_with_a_bus_in_it_is_replaced() -> None:
    watch = Watch()
    watch.show_still(with_bus(DAY, 0.05, width_fraction=0.9), 3)
    watch.show_still(DAY, 3)
    assert watch.kinds == ["scene changed"]
    assert watch.background_error(DAY) < 3


@pytest.mark.parametrize("method", METHODS)
def test_day_and_night_are_recalled(method: str) -> None:
    watch = Watch(config_of(method), 5.0)
    day = Street((160, 90)).seen()
    for picture in (day, 210 - 0.8 * day, day, 210 - 0.8 * day):
        watch.show_still(picture, 32, n_people=2)
    assert watch.kinds == ["scene changed", "background recalled", "background recalled"]
    assert watch.background_error(210 - 0.8 * day) < 6
    assert watch.keeper.n_remembered == 1


def test_a_recalled_background_keeps_learning() -> None:
    watch = Watch(rate_hz=5.0)
    with_parked_car = DAY.copy()
    with_parked_car[100:130, 100:160] = 220
    watch.show_still(DAY, 32)
    watch.show_still(INFRARED, 5)
    watch.show_still(with_parked_car, 4)
    assert watch.kinds == ["scene changed", "background recalled"]
    assert watch.background_error(DAY) < watch.background_error(with_parked_car)
    watch.show_still(with_parked_car, 45)
    assert watch.kinds == ["scene changed", "background recalled"]
    assert watch.background_error(with_parked_car) < 3


def test_what_held_only_shortly_is_not_remembered() -> None:
    watch = Watch(rate_hz=5.0)
    watch.show_still(DAY, 32)
    watch.show_still(INFRARED, 10)
    watch.show_still(DAY, 5)
    watch.show_still(INFRARED, 5)
    assert watch.kinds == ["scene changed", "background recalled", "scene changed"]
    assert watch.keeper.n_remembered == 1  # the day, which was worth it before


@pytest.mark.parametrize(
    ("n_remembered", "last"), [(0, "scene changed"), (1, "scene changed"), (2, "background recalled")]
)
def test_the_background_that_was_not_used_for_longest_is_dropped(n_remembered: int, last: str) -> None:
    watch = Watch(config_of(n_remembered=n_remembered), 5.0)
    for picture in (DAY, INFRARED, NIGHT):
        watch.show_still(picture, 32)
        assert watch.keeper.n_remembered <= n_remembered
    watch.show_still(DAY, 5)
    assert watch.kinds == ["scene changed", "scene changed", last]


def test_without_a_guard_nothing_is_noticed() -> None:
    watch = Watch(config_of("first", scene_change_fraction=None))
    watch.show_still(DAY, 3)
    watch.show_still(NIGHT, 10)
    assert watch.kinds == []
    assert watch.background_error(DAY) < 3


def test_reset_timer_counts_from_the_start_and_from_a_change() -> None:
    watch = Watch(config_of("first", reset_every_s=5))
    watch.show_still(DAY, 5)
    assert watch.known == [False, *[True] * 49]
    watch.show_still(NIGHT, 1)
    assert watch.known[50:] == [False, *[True] * 9]
    watch.show_still(INFRARED, 4)  # noticed 2 s later, at 8.0 s
    assert watch.kinds == ["scene changed"]
    watch.show_still(INFRARED, 5)
    assert watch.known[60:] == [*[True] * 70, False, *[True] * 19]


def test_freezing_after_some_time_stops_the_learning_but_not_the_guard() -> None:
    watch = Watch(config_of("running", every_k_frames=1, n_frames=3, freeze_after_s=2))
    watch.show_still(DAY, 3)
    frozen = watch.keeper.background
    watch.show_still(DAY - 15, 10)
    assert watch.keeper.background is frozen
    watch.show_still(NIGHT, 6)
    assert watch.kinds == ["scene changed"]
    frozen_again = watch.keeper.background
    assert watch.background_error(NIGHT) < 3
    watch.show_still(NIGHT + 15, 5)
    assert watch.keeper.background is frozen_again


def test_remembered_backgrounds_do_not_survive_a_change_of_size() -> None:
    watch = Watch(rate_hz=5.0)
    watch.show_still(DAY, 32)
    watch.show_still(INFRARED, 4)
    assert watch.keeper.n_remembered == 1
    watch.show_still(Street((160, 120)).seen(), 4)
    assert watch.keeper.n_remembered == 0
    assert watch.background_error(Street((160, 120)).seen()) < 3
    assert watch.kinds == ["scene changed"]


def test_what_never_settles_is_learnt_after_all() -> None:
    watch = Watch(config_of("running", every_k_frames=1, n_frames=3))
    watch.show_still(DAY, 3)
    watch.show(40 * [Street(seed=seed).seen() + 50 for seed in range(10, 15)])
    assert watch.kinds == []
    assert watch.background_error(DAY) > 30
