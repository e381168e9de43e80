"""A batch of a camera that is watched for ever: when it is full, what follows, and what a kill leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.capture import BatchCollector, EventLog, LiveProgress, MotionGate
from edge_autotuner.config import CaptureConfig
from edge_autotuner.config.node import BatchConfig
from edge_autotuner.core import STREET_6, FakeClock, Frame, SourceInfo
from edge_autotuner.dataset import DatasetStore
from support.cameras.capture_samples import ListedFrames, scene_with_square

RATE_HZ = 10.0
CAMERA = ListedFrames([], name="camera")
INFO = SourceInfo("live", "camera", (160, 120), None, RATE_HZ, "ab" * 32)


def frame(index: int) -> Frame:
    """Return what a camera shows before which a square passes in every other 4 s."""
    return scene_with_square(index, None if index % 80 < 40 else 4 * (index % 40))


def capture_config(**changes: Any) -> CaptureConfig:
    values: dict[str, Any] = {
        "background": {"n_frames": 5, "every_k_frames": 2},
        "motion": {"min_region_px": 8},
        "selection": {"empty_fraction": 0.2},
        "max_test_images": 5,
        "picture_format": "png",
    }
    return CaptureConfig.model_validate(values | changes)


def batch_config(**changes: Any) -> BatchConfig:
    return BatchConfig.model_validate({"max_frames": 12, "max_age_s": 60.0, "min_frames": 4} | changes)


def open_store(folder: Path) -> DatasetStore:
    return DatasetStore.create(folder, source=INFO, labels=STREET_6, settings={}, clock=FakeClock())


def collect(store: DatasetStore, start: int, stop: int, **batch: Any) -> BatchCollector:
    """Show the frames from `start` on to a new collector until it is complete, or `stop` comes."""
    config, events = capture_config(), EventLog()
    collector = BatchCollector(CAMERA, store, config, batch_config(**batch), events=events)
    gate = MotionGate(config.motion, config.background, on_event=events.add)
    for index in range(start, stop):
        if collector.is_complete:
            break
        collector.see(frame(index), gate.look(frame(index)))
    return collector


def times(store: DatasetStore, split: str) -> list[float]:
    return [record.time_s for record in store.frames(split)]


def test_a_batch_is_full_by_count(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        collector = collect(store, 0, 5000)
        assert collector.is_complete
        assert collector.n_train == len(store.frames("train")) == 12


def test_a_batch_is_closed_at_its_age_with_what_it_has(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        collector = collect(store, 0, 5000, max_frames=200, max_age_s=40.0)
        assert collector.is_complete
        assert 4 <= collector.n_train < 200
        assert max(times(store, "train")) <= 40 * 0.8
        assert max(times(store, "test")) <= 40.0


def test_a_batch_with_too_little_stays_open_beyond_its_age(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        collector = collect(store, 0, 5000, max_age_s=2.0)
        assert collector.is_complete
        assert collector.n_train >= 4
        assert max(times(store, "train")) > 2.0


def test_what_is_evaluated_is_later_and_lasts_its_share(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        collector = collect(store, 0, 5000)
        train, test = times(store, "train"), times(store, "test")
        assert max(train) < min(test)
        assert len(test) == collector.n_test == 5
        watched_s = collector.summary().watched_s
        assert watched_s - min(test) == pytest.approx(0.2 * watched_s, abs=0.5)


def test_nothing_is_taken_after_the_end(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        collector = collect(store, 0, 5000)
        before = [record.key for record in store.frames()]
        gate = MotionGate(capture_config().motion, capture_config().background)
        for index in range(5000, 5100):
            collector.see(frame(index), gate.look(frame(index)))
        assert [record.key for record in store.frames()] == before


def test_the_summary_says_what_was_watched(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        summary = collect(store, 100, 5000).summary()
        assert (summary.is_live, summary.n_train, summary.n_test, summary.n_dropped) == (True, 12, 5, 0)
        assert summary.n_frames == pytest.approx(summary.watched_s * RATE_HZ + 1, abs=1)


@pytest.mark.parametrize("killed_at", [1, 60, 150, 300, 420, 480])
def test_a_killed_batch_goes_on_with_the_same_plan(tmp_path: Path, killed_at: int) -> None:
    """Whether training frames, or those for the evaluation, were being collected."""
    with open_store(tmp_path) as store:
        collect(store, 0, killed_at)
        kept = {record.key for record in store.frames()}
    with open_store(tmp_path) as store:
        start = LiveProgress.of(store).n_frames
        assert start <= killed_at
        collector = collect(store, killed_at, 5000)
        assert collector.is_complete
        assert kept <= {record.key for record in store.frames()}
        assert collector.n_train == len(store.frames("train")) == 12
        assert max(times(store, "train")) < min(times(store, "test"))
