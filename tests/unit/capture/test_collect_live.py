"""Watching a camera in simulated time: what is kept, what an interruption leaves, and when it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.capture import CaptureSummary, EventLog, LiveProgress, LiveSource, collect_live, plan_end_s
from edge_autotuner.capture.live import FeedError, Picture
from edge_autotuner.config import CaptureConfig, StreamConfig
from edge_autotuner.core import STREET_6, CaptureEvent, Deadline, FakeClock, NoProgress, SourceInfo
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import ConfigError, VideoError
from support.cameras.capture_samples import scene_with_square

RATE_HZ = 10.0
INFO = SourceInfo("live", "cam.local/1", (160, 120), None, RATE_HZ, "ab" * 32)


class _FilmedSquare:
    """A camera before which a square passes in every other 4 s; it advances the clock and never ends.

    With `while_away` it breaks off after ten seconds, and calls that before it can be reached again.
    """

    name, sha256 = "cam.local/1", "ab" * 32
    can_reconnect, longest_block_s = True, 1.0
    length_s: float | None = None

    def __init__(self, clock: FakeClock, *, empty: bool = False, while_away: Callable[[], None] | None = None) -> None:
        self._clock = clock
        self._empty = empty
        self._while_away = while_away
        self._n_pictures = 0
        self.rate_hz: float | None = RATE_HZ

    @contextmanager
    def connect(self, stop: threading.Event) -> Iterator[_FilmedSquare]:
        if self._while_away is not None and self._n_pictures > 0:
            self._while_away()
        yield self

    def pictures(self) -> Iterator[Picture]:
        while True:
            index = self._n_pictures
            self._n_pictures += 1
            if index == 100 and self._while_away is not None:
                raise FeedError("connection lost", "the camera hung up")
            left = None if self._empty or index % 80 < 40 else 4 * (index % 40)
            luma = scene_with_square(index, left).luma
            yield Picture(luma, lambda luma=luma: luma[:, :, None].repeat(3, axis=2))  # type: ignore[misc]
            self._clock.advance(1 / RATE_HZ)


def _config(**changes: Any) -> CaptureConfig:
    values: dict[str, Any] = {
        "background": {"n_frames": 5, "every_k_frames": 2},
        "motion": {"min_region_px": 8},
        "stream": {"duration_s": 60, "frozen_after_s": None},
        "selection": {"empty_fraction": 0.2},
        "max_images": 20,
        "max_test_images": 5,
        "picture_format": "png",
    }
    return CaptureConfig.model_validate(values | changes)


class _Camera:
    """Opens the same camera again and again, as commands that follow each other do."""

    def __init__(self, folder: Path, **feed: Any) -> None:
        self.clock = FakeClock()
        self._folder = folder
        self._feed = feed

    def watch(
        self,
        config: CaptureConfig | None = None,
        *,
        deadline_s: float | None = None,
        on_frame: Callable[[int], None] | None = None,
        **options: Any,
    ) -> CaptureSummary:
        config = config or _config()
        events = EventLog()
        feed = _FilmedSquare(self.clock, **self._feed)
        with self.open_store() as before_store:
            before = LiveProgress.of(before_store)
        end_s = plan_end_s(config, before, Deadline(deadline_s, self.clock))
        source = LiveSource(
            feed,
            StreamConfig(frozen_after_s=None),
            clock=self.clock,
            on_event=events.add,
            lossless=True,
            start_index=before.n_frames,
            start_time_s=before.watched_s,
            end_time_s=end_s,
        )
        with self.open_store() as store, source:
            progress = _Calling(on_frame) if on_frame else NoProgress()
            return collect_live(
                source, store, config, events=events, end_s=end_s, clock=self.clock, progress=progress, **options
            )

    def open_store(self) -> DatasetStore:
        return DatasetStore.create(self._folder, source=INFO, labels=STREET_6, settings={}, clock=self.clock)


class _Calling(NoProgress):
    def __init__(self, call: Callable[[int], None]) -> None:
        self._call = call
        self._n = 0

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        self._n += 1
        self._call(self._n)


def _kill_at(n: int) -> Callable[[int], None]:
    def kill(count: int) -> None:
        if count == n:
            raise KeyboardInterrupt

    return kill


def test_trains_on_the_first_part_of_the_time_and_tests_on_the_last(tmp_path: Path) -> None:
    camera = _Camera(tmp_path / "d")
    summary = camera.watch()
    with camera.open_store() as store:
        train, test = store.frames("train"), store.frames("test")
    assert train
    assert all(record.time_s < 48 for record in train)
    assert {record.reason for record in train} == {"new motion", "empty"}
    assert [record.time_s for record in test] == pytest.approx([48.0, 50.4, 52.8, 55.2, 57.6], abs=1 / RATE_HZ)
    assert all(record.captured_at == f"2026-01-01T00:00:{record.time_s:09.6f}+00:00" for record in test[1:])
    assert (summary.n_train, summary.n_test) == (len(train), 5)
    assert summary.is_live
    assert summary.n_frames == 600
    assert summary.n_dropped == 0
    assert summary.watched_s == pytest.approx(59.9)
    assert (summary.began_at, summary.ended_at) == ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:59.900000+00:00")
    assert sum(summary.reasons.values()) == 480
    assert not summary.deadline_hit


def test_a_finished_watch_is_not_repeated(tmp_path: Path) -> None:
    camera = _Camera(tmp_path / "d")
    first = camera.watch()
    again = camera.watch(on_frame=_kill_at(1))
    assert again == first


def test_an_interrupted_watch_goes_on_for_the_time_that_was_left(tmp_path: Path) -> None:
    camera = _Camera(tmp_path / "d")
    with pytest.raises(KeyboardInterrupt):
        camera.watch(on_frame=_kill_at(301))  # the first call tells what was watched before
    with camera.open_store() as store:
        early = store.frames("train")
        before = LiveProgress.of(store)
    assert (before.watched_s, before.n_frames) == (pytest.approx(29.9), 300)
    camera.clock.advance(3600)  # nobody watched
    summary = camera.watch()
    with camera.open_store() as store:
        train, test = store.frames("train"), store.frames("test")
    assert early
    assert train[: len(early)] == early
    assert len(train) > len(early)
    indices = [record.index for record in train]
    assert len(set(indices)) == len(indices)
    assert 29.9 <= train[len(early)].time_s < 48
    assert len(test) == 5
    assert summary.n_train == len(train)
    assert summary.watched_s == pytest.approx(59.9, abs=0.2)
    assert summary.n_frames == pytest.approx(300, abs=2)
    assert (summary.began_at or "").startswith("2026-01-01T01:00:3")  # an hour later


def test_the_budget_holds_over_an_interruption(tmp_path: Path) -> None:
    camera = _Camera(tmp_path / "d")
    config = _config(max_images=4)
    with pytest.raises(KeyboardInterrupt):
        camera.watch(config, on_frame=_kill_at(401))
    assert camera.watch(config).n_train == 4


def test_a_kill_before_the_note_repeats_no_number(tmp_path: Path) -> None:
    camera = _Camera(tmp_path / "d")
    with pytest.raises(KeyboardInterrupt):
        camera.watch(on_frame=_kill_at(251))
    with camera.open_store() as store:
        last = store.frames("train")[-1]
        store.set_note("live_progress", {"watched_s": 0.0, "n_frames": 0})  # as if it was killed at once
        assert LiveProgress.of(store) == LiveProgress(last.time_s, last.index + 1)


def test_a_deadline_shortens_both_parts(tmp_path: Path) -> None:
    camera = _Camera(tmp_path / "d")
    summary = camera.watch(deadline_s=20)
    with camera.open_store() as store:
        assert max(record.time_s for record in store.frames("train")) < 16
        assert min(record.time_s for record in store.frames("test")) >= 16
    assert summary.n_test == 5
    assert summary.deadline_hit
    longer = camera.watch()  # without the deadline it goes on
    assert longer.watched_s == pytest.approx(59.9, abs=0.2)
    assert not longer.deadline_hit


def test_with_another_test_source_all_of_the_time_trains(tmp_path: Path) -> None:
    camera = _Camera(tmp_path / "d")
    summary = camera.watch(keep_test=False)
    assert summary.n_test == 0
    assert sum(summary.reasons.values()) == 600


def test_events_of_the_source_are_kept_with_the_dataset(tmp_path: Path) -> None:
    camera = _Camera(tmp_path / "d")
    camera.watch()
    with camera.open_store() as store:
        events = store.events()
    assert [event.kind for event in events] == ["connected"]


def test_events_are_on_disk_while_the_camera_is_still_away(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def read_what_a_kill_would_leave() -> None:
        kinds: list[str] = []
        for _ in range(400):
            kinds = [event.kind for event in DatasetStore.open(tmp_path / "d").events()]
            if "connection lost" in kinds:
                break
            time.sleep(0.05)
        seen.append(kinds)

    camera = _Camera(tmp_path / "d", while_away=read_what_a_kill_would_leave)
    camera.watch()
    assert seen == [["connected", "connection lost"]]
    with camera.open_store() as store:
        assert [event.kind for event in store.events()] == ["connected", "connection lost", "connected"]


def test_a_repeated_failure_is_written_once(tmp_path: Path) -> None:
    log = EventLog()
    at = FakeClock().now()
    failures = [CaptureEvent("connection failed", float(i), at, "refused; next attempt in 60 s") for i in range(3)]
    other = CaptureEvent("connected", 9.0, at, "160x120")
    with _Camera(tmp_path / "d").open_store() as store:
        for event in (*failures, other, other):
            log.add(event)
        log.write_to(store)
        assert store.events() == [failures[0], other]
        again = EventLog()
        again.add(other)
        again.write_to(store)
        assert store.events() == [failures[0], other]


def test_nothing_moves(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"no motion at all in the 60 s watched of cam\.local/1"):
        _Camera(tmp_path / "d", empty=True).watch(_config(selection={"empty_fraction": 0}))


def test_a_watch_that_was_shortened_to_its_training_part(tmp_path: Path) -> None:
    camera = _Camera(tmp_path / "d")
    with pytest.raises(KeyboardInterrupt):
        camera.watch(on_frame=_kill_at(301))
    with pytest.raises(VideoError, match="no frame to evaluate on"):
        camera.watch(_config(stream={"duration_s": 20}))


@pytest.mark.parametrize(
    "setting",
    [{"train_frames": "0:10"}, {"test_frames": "5:9"}, {"test_every": 2}],
    ids=lambda value: next(iter(value)),
)
def test_frame_ranges_are_refused(tmp_path: Path, setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"capture.{next(iter(setting))} applies to recordings"):
        _Camera(tmp_path / "d").watch(_config(**setting))
