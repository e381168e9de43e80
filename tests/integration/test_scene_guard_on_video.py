"""The scene guard on real cameras: silent as they are, and awake when light or camera is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import cv2
import numpy as np
import pytest

from edge_autotuner.capture import open_source
from edge_autotuner.capture.background import BackgroundKeeper
from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core import CaptureEvent, Frame
from edge_autotuner.core.types import ImageArray
from helpers import shared_data

CLIPS = [
    "pets2009_s2l1/vtest.avi",
    "cdnet_highway/highway.avi",
    "unlabelled/aboda4.avi",
    "unlabelled/bgs_video02.avi",
    "unlabelled/intel_car-detection.mp4",  # a drone; its exposure halves the brightness for seconds
    "unlabelled/intel_one-by-one.mp4",
    "unlabelled/otv_truck.mp4",
    "unlabelled/ua_detrac.mp4",
    "ngsim_us101_seq1/images/test",  # shuffled
    "ngsim_us101_seq2/images",
]
WORKING_WIDTH_PX = 480
N_USUAL, N_CHANGED = 150, 60


def working_frames(clip: str, n: int) -> Iterator[tuple[ImageArray, Frame]]:
    for frame in islice(open_source(shared_data(f"scenes/{clip}")).frames(), n):
        width, height = frame.size_wh
        scale = min(1.0, WORKING_WIDTH_PX / width)
        small_wh = round(width * scale), round(height * scale)
        yield np.asarray(cv2.resize(frame.luma, small_wh, interpolation=cv2.INTER_AREA), np.uint8), frame


def moved_right(luma: ImageArray) -> ImageArray:
    return np.asarray(cv2.copyMakeBorder(luma, 0, 0, 12, 0, cv2.BORDER_REFLECT)[:, :-12], np.uint8)


def moved_up(luma: ImageArray) -> ImageArray:
    return np.asarray(cv2.copyMakeBorder(luma, 0, 12, 0, 0, cv2.BORDER_REFLECT)[12:], np.uint8)


def darkened(luma: ImageArray) -> ImageArray:
    return luma // 2


@pytest.mark.parametrize("clip", CLIPS)
def test_silent_on_real_cameras(clip: str) -> None:
    events: list[CaptureEvent] = []
    keeper = BackgroundKeeper(BackgroundConfig(), on_event=events.append)
    for luma, frame in working_frames(clip, 400):
        keeper.see(luma, frame)
    assert keeper.background is not None
    assert events == []


@pytest.mark.parametrize("change", [moved_right, moved_up, darkened])
@pytest.mark.parametrize("clip", ["pets2009_s2l1/vtest.avi", "cdnet_highway/highway.avi", "unlabelled/aboda4.avi"])
def test_awake_when_something_changes(clip: str, change: Callable[[ImageArray], ImageArray]) -> None:
    events: list[CaptureEvent] = []
    keeper = BackgroundKeeper(BackgroundConfig(), on_event=events.append)
    for number, (luma, frame) in enumerate(working_frames(clip, N_USUAL + N_CHANGED)):
        steady_time = Frame(number, number / 10, frame.luma, frame.to_bgr)  # the same pace for all
        keeper.see(luma if number < N_USUAL else change(luma), steady_time)
    assert [event.kind for event in events] == ["scene changed"]
    assert N_USUAL / 10 + 2 <= events[0].time_s <= N_USUAL / 10 + 3.1
