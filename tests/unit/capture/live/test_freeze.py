"""A camera that sends the same picture for ever."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from edge_autotuner.capture.live.freeze import FreezeWatch
from edge_autotuner.core.types import ImageArray


def still(level: int = 80) -> ImageArray:
    return np.full((48, 64), level, np.uint8)


def test_the_same_picture_for_too_long() -> None:
    watch = FreezeWatch(10.0)
    assert [watch.see(still(), float(second)) for second in range(11)] == [None] * 10 + [10.0]


def test_any_change_begins_anew() -> None:
    watch = FreezeWatch(10.0)
    for second in range(9):
        assert watch.see(still(), float(second)) is None
    assert watch.see(still(81), 9.0) is None
    assert watch.see(still(81), 18.0) is None
    assert watch.see(still(81), 19.0) == 10.0


@pytest.mark.parametrize("row", range(48))
def test_one_changed_pixel_is_seen_within_sixteen_pictures(row: int) -> None:
    watch = FreezeWatch(1000.0)
    for second in range(20):
        watch.see(still(), float(second))
    changed = still()
    changed[row, 5] += 1
    for second in range(20, 36):
        watch.see(changed, float(second))
    # Counted from when the change was noticed, so not yet long enough:
    assert watch.see(changed, 1010.0) is None
    assert watch.see(changed, 1040.0) is not None


def test_noise_is_never_frozen() -> None:
    rng = np.random.default_rng(1)
    watch = FreezeWatch(1.0)
    for second in range(50):
        noisy = still() + rng.integers(0, 3, (48, 64)).astype(np.uint8)
        assert watch.see(noisy, float(second)) is None


def test_another_size_is_another_picture() -> None:
    watch = FreezeWatch(1.0)
    watch.see(still(), 0.0)
    assert watch.see(still()[:24], 2.0) is None


def test_patience_grows_while_nothing_changes_and_is_back_after_a_change() -> None:
    watch = FreezeWatch(10.0)
    alarms = [second for second in range(200) if watch.see(still(), float(second)) is not None]
    assert alarms == [10, 30, 70, 150]
    watch.see(still(90), 200.0)
    assert [second for second in range(201, 230) if watch.see(still(90), float(second)) is not None] == [210]


def test_patience_has_a_limit() -> None:
    watch = FreezeWatch(1000.0)
    alarms = [1000 * n for n in range(20) if watch.see(still(), 1000.0 * n) is not None]
    assert [b - a for a, b in pairwise(alarms)] == [2000, 4000, 4000, 4000, 4000]


def test_time_without_a_camera_does_not_count() -> None:
    watch = FreezeWatch(10.0)
    watch.see(still(), 0.0)
    watch.pause(100.0)
    assert watch.see(still(), 105.0) is None
    assert watch.see(still(), 110.0) == 10.0


def test_never() -> None:
    watch = FreezeWatch(None)
    assert [watch.see(still(), 1e6 * n) for n in range(3)] == [None] * 3
