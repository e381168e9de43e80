"""What the report takes from a dataset: the time line of recordings and of live cameras."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from edge_autotuner.capture import CaptureSummary, SourceNumbers
from edge_autotuner.capture.statistics import MotionStatistics
from edge_autotuner.core import LabelMap, SourceInfo
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.pipeline.report_stage import _timeline
from support.cameras.frames import frame_of

RECORDED = SourceInfo("video", "street.mp4", (32, 24), 100, 10.0, "0" * 64)
CAPTURE = CaptureSummary.of(
    MotionStatistics(), SourceNumbers(n_frames=100, size_wh=(32, 24), watched_s=9.9), n_train=2, n_test=1
)


def store_in(folder: Path, source: SourceInfo, **settings: str) -> DatasetStore:
    """Return a dataset with frames of 3.0 s and 4.5 s for training and of 9.0 s for the test."""
    store = DatasetStore.create(folder, source=source, labels=LabelMap(("car",)), settings=settings)
    kept: tuple[tuple[float, Literal["train", "test"]], ...] = ((3.0, "train"), (4.5, "train"), (9.0, "test"))
    for time_s, split in kept:
        frame = frame_of(np.zeros((24, 32, 3), np.uint8), index=round(time_s * 10), time_s=time_s)
        store.add_frame(
            frame, split=split, regions_xyxy=np.zeros((0, 4), np.float32), motion_fraction=0.0, background=None,
            reason="new motion", picture_format="png", original=None,
        )  # fmt: skip
    return store


@pytest.mark.parametrize("source", [RECORDED, replace(RECORDED, kind="live", n_frames=None)], ids=["recorded", "live"])
def test_every_frame_has_its_place_in_time(source: SourceInfo, tmp_path: Path) -> None:
    with store_in(tmp_path / "dataset", source) as store:
        frames = _timeline(store, CAPTURE)
    assert Counter(frame.kind for frame in frames) == {"skipped": 97, "train": 2, "test": 1}
    assert [frame.time_s for frame in frames if frame.kind != "skipped"] == [3.0, 4.5, 9.0]
    times = [frame.time_s for frame in frames]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (0.0, 9.9)


def test_a_long_recording_is_thinned_out(tmp_path: Path) -> None:
    with store_in(tmp_path / "dataset", RECORDED) as store:
        frames = _timeline(store, replace(CAPTURE, n_frames=10**7, watched_s=10**6))
    assert len(frames) == 1503


def test_frames_of_another_source_are_not_on_it(tmp_path: Path) -> None:
    with store_in(tmp_path / "dataset", RECORDED, test_source="abc") as store:
        kinds = Counter(frame.kind for frame in _timeline(store, CAPTURE))
    assert kinds == {"skipped": 98, "train": 2}
