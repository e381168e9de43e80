"""The place between the reading thread and whoever looks at the frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from edge_autotuner.capture.live import LatestFrame
from edge_autotuner.core import Frame
from edge_autotuner.errors import VideoError
from support.cameras.capture_samples import frame_of

LONG_S = 30.0  # nothing here takes so long, unless it hangs


def frame(index: int) -> Frame:
    return frame_of(np.zeros((4, 6), np.uint8), index)


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_the_newest_is_taken_and_the_others_are_counted(stop: threading.Event) -> None:
    place = LatestFrame(stop)
    for index in range(5):
        place.put(frame(index))
    taken = place.take(0)
    assert taken is not None
    assert taken.index == 4
    assert place.n_dropped == 4
    assert place.take(0) is None


def test_peeking_takes_nothing(stop: threading.Event) -> None:
    place = LatestFrame(stop)
    place.put(frame(0))
    assert place.peek(0) is place.peek(0) is place.take(0)
    assert place.peek(0) is None
    assert place.n_dropped == 0


def test_an_empty_place_is_left_after_a_while(stop: threading.Event) -> None:
    assert LatestFrame(stop).take(0.01) is None


def test_the_failure_comes_after_the_last_frame_and_only_the_first_one(stop: threading.Event) -> None:
    place = LatestFrame(stop)
    place.put(frame(0))
    place.end(VideoError("first"))
    place.end(VideoError("second"))
    assert place.is_over
    assert place.take(LONG_S) is not None
    for _ in range(2):
        with pytest.raises(VideoError, match="first"):
            place.take(LONG_S)


def test_after_the_end_nobody_waits(stop: threading.Event) -> None:
    place = LatestFrame(stop)
    place.end()
    assert place.take(LONG_S) is None
    assert place.is_over


def test_a_stop_ends_the_wait_of_the_writer(stop: threading.Event) -> None:
    place = LatestFrame(stop, lossless=True)
    began = threading.Event()

    def write() -> None:
        began.set()
        for index in range(1000):  # more than there is room for
            place.put(frame(index))

    writer = threading.Thread(target=write)
    writer.start()
    assert began.wait(LONG_S)
    assert place.n_dropped == 0
    stop.set()
    writer.join(LONG_S)
    assert not writer.is_alive()


def test_a_stop_hides_a_failure(stop: threading.Event) -> None:
    place = LatestFrame(stop)
    place.end(VideoError("the connection broke while it was closed"))
    stop.set()
    assert place.take(LONG_S) is None


def test_lossless_gives_every_frame_in_order(stop: threading.Event) -> None:
    place = LatestFrame(stop, lossless=True)

    def write() -> None:
        for index in range(200):
            place.put(frame(index))
        place.end()

    writer = threading.Thread(target=write)
    writer.start()
    taken = []
    while (one := place.take(LONG_S)) is not None:
        taken.append(one.index)
    writer.join(LONG_S)
    assert taken == list(range(200))
    assert place.n_dropped == 0


def test_frames_rise_under_load_and_none_is_lost_without_being_counted(stop: threading.Event) -> None:
    place = LatestFrame(stop)
    n = 2000

    def write() -> None:
        for index in range(n):
            place.put(frame(index))
        place.end()

    writer = threading.Thread(target=write)
    writer.start()
    taken = []
    while (one := place.take(LONG_S)) is not None:
        taken.append(one.index)
    writer.join(LONG_S)
    assert taken == sorted(set(taken))
    assert taken[-1] == n - 1
    assert len(taken) + place.n_dropped == n
