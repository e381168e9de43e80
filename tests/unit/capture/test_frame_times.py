"""Times of frames start at 0 and rise, whatever their file says."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.capture.frame_times import LONGEST_STREAM_GAP_S, FrameTimes


@pytest.mark.parametrize(
    ("stamps", "expected", "n_repaired"),
    [
        pytest.param([], [], 0, id="none"),
        pytest.param([7.5], [0.0], 0, id="one"),
        pytest.param([5.0, 5.1, 5.2], [0.0, 0.1, 0.2], 0, id="start elsewhere"),
        pytest.param([-0.2, -0.1, 0.0], [0.0, 0.1, 0.2], 0, id="negative"),
        pytest.param([0.0, 0.1, 0.5, 9.0], [0.0, 0.1, 0.5, 9.0], 0, id="variable rate"),
        pytest.param([0.0, 0.1, 0.2, -3.0, -2.9], [0.0, 0.1, 0.2, 0.3, 0.4], 1, id="restart"),
        pytest.param([0.0, 0.1, 0.1, 0.2, 0.3], [0.0, 0.1, 0.15, 0.2, 0.3], 1, id="twice the same"),
        pytest.param([0.0, 0.1, 0.05, 0.3], [0.0, 0.1, 0.15, 0.3], 1, id="slip"),
        pytest.param([None, None, None], [0.0, 0.1, 0.2], 0, id="no stamps at all"),
        pytest.param([0.0, None, 0.2], [0.0, 0.1, 0.2], 1, id="one is missing"),
        pytest.param([None, 4.0, 4.1], [0.0, 0.1, 0.2], 0, id="the first is missing"),
        pytest.param([0.0, 0.1, 500_000.0, 500_000.1], [0.0, 0.1, 0.2, 0.3], 1, id="days ahead"),
    ],
)
def test_times(stamps: list[float | None], expected: list[float], n_repaired: int) -> None:
    times = FrameTimes(10.0)
    assert [times.next(stamp) for stamp in stamps] == pytest.approx(expected)
    assert times.n_repaired == n_repaired


def test_a_stream_may_pause_for_less_than_a_file() -> None:
    stamps = [0.0, 0.1, 0.2 + LONGEST_STREAM_GAP_S]
    file, stream = FrameTimes(10.0), FrameTimes(10.0, longest_gap_s=LONGEST_STREAM_GAP_S)
    assert [file.next(stamp) for stamp in stamps] == pytest.approx(stamps)
    assert [stream.next(stamp) for stamp in stamps] == pytest.approx([0.0, 0.1, 0.2])


@given(
    st.lists(st.none() | st.floats(-1e6, 1e6, allow_nan=False), max_size=60),
    st.sampled_from([1.0, 12.5, 29.97]),
)
def test_times_always_rise_from_zero(stamps: list[float | None], rate_hz: float) -> None:
    times = FrameTimes(rate_hz)
    found = [times.next(stamp) for stamp in stamps]
    assert found[:1] in ([], [0.0])
    assert all(later > earlier for earlier, later in pairwise(found))


@given(st.lists(st.floats(0.02, 5.0), min_size=1, max_size=40), st.floats(-1e5, 1e5))
def test_stamps_that_rise_are_kept(steps: list[float], start: float) -> None:
    stamps = [start]
    for step in steps:
        stamps.append(stamps[-1] + step)
    times = FrameTimes(10.0)
    found = [times.next(stamp) for stamp in stamps]
    assert found == pytest.approx([stamp - start for stamp in stamps], abs=1e-6)
    assert times.n_repaired == 0


@pytest.mark.parametrize("per_second", [2, 10, 25])
@pytest.mark.parametrize("stated_hz", [25.0, 10.0, 1.0])
def test_whole_seconds_are_filled_with_their_frames(per_second: int, stated_hz: float) -> None:
    stamps = [float(number // per_second) for number in range(per_second * 60)]
    times = FrameTimes(stated_hz)
    found = [times.next(stamp) for stamp in stamps]
    assert all(later > earlier for earlier, later in pairwise(found))
    settled = per_second * 50
    assert found[settled] == pytest.approx(50.0, abs=0.1)
    assert found[-1] == pytest.approx((len(stamps) - 1) / per_second, abs=1.0)


def test_stamps_that_stand_still_give_the_stated_rate() -> None:
    times = FrameTimes(10.0)
    found = [times.next(3.0) for _ in range(101)]
    assert found[-1] == pytest.approx(10.0, abs=0.1)
