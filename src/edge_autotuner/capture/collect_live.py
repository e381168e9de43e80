"""The capture stage for a live camera: frames come once, and nothing can be read again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edge_autotuner.capture.capture_pass import CapturePass, finished_summary, remember_summary, why_nothing
from edge_autotuner.capture.events import EventLog
from edge_autotuner.capture.live_progress import LiveProgress
from edge_autotuner.capture.motion import MotionGate
from edge_autotuner.capture.summary import CaptureSummary, SourceNumbers
from edge_autotuner.config import CaptureConfig
from edge_autotuner.core import Clock, Deadline, Detector, Frame, FrameSource, Progress
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import ConfigError, VideoError

_NOTE = "capture_live"
_REMEMBER_EVERY_S = 30.0


def plan_end_s(config: CaptureConfig, before: LiveProgress, deadline: Deadline) -> float:
    """Return when a watch ends, on the camera's time line: after its duration, or at the deadline if that is sooner."""
    return min(config.stream.duration_s, before.watched_s + deadline.remaining_s)


@dataclass(frozen=True)
class _WatchPlan:
    """The time line of one watch, seconds.

    Attributes:
        train_s: frames before are for training, frames from here on for the evaluation.
        watch_s: the end.
        test_gap_s: time between two test frames.
        is_shortened: a deadline ends the watch sooner than the settings.
    """

    train_s: float
    watch_s: float
    test_gap_s: float
    is_shortened: bool


def collect_live(
    source: FrameSource,
    store: DatasetStore,
    config: CaptureConfig,
    *,
    events: EventLog,
    end_s: float,
    keep_test: bool = True,
    student: Detector | None = None,
    clock: Clock,
    progress: Progress,
) -> CaptureSummary:
    """Watch a camera for a while and write the selected training frames and, later, test frames into a dataset.

    The last `test_fraction` of the time is for the evaluation: nothing of it is trained on. An
    interrupted watch continues for the time that was left; the minutes in between are lost.

    Args:
        source: the camera; opened with the time and the frame count of `LiveProgress.of(store)` and with `end_s`.
        store: receives frames, backgrounds and events.
        config: what is selected and kept.
        events: what the source was opened with as `on_event`.
        end_s: when the watch ends, on the camera's time line; see `plan_end_s`. A recording may end sooner.
        keep_test: False when another source is evaluated; then all of the time is for training.
        student: the edge model; needed by the scores that ask for its opinion.
        clock: measures the cost of the gate.
        progress: told of the seconds watched.

    Raises:
        ConfigError: frame ranges were given, which a live camera does not have.
        VideoError: the camera cannot be reached, or no frame was selected; what was collected is kept.
    """
    _refuse_frame_ranges(config)
    finished = finished_summary(store, _NOTE, _key(config, keep_test))
    if finished is not None:
        return finished
    before = LiveProgress.of(store)
    plan = _plan_watch(source, config, end_s, keep_test=keep_test)
    watch = _Watch(source, store, config, plan, before, events=events, student=student, clock=clock)
    watch.run(progress)
    summary = watch.summary()
    if summary.n_train == 0:
        raise VideoError(why_nothing(f"the {summary.watched_s:.0f} s watched of {source.info.name}", summary))
    if keep_test and summary.n_test == 0:
        raise VideoError(
            f"no frame to evaluate on in {summary.watched_s:.0f} s of {source.info.name}, the last "
            f"{config.test_fraction:.0%} of the time; watch longer (--duration); frames collected so far are kept"
        )
    remember_summary(store, _NOTE, _key(config, keep_test), summary)
    return summary


class _Watch:
    """One connection to a camera, from now to the end of the plan."""

    def __init__(
        self,
        source: FrameSource,
        store: DatasetStore,
        config: CaptureConfig,
        plan: _WatchPlan,
        before: LiveProgress,
        *,
        events: EventLog,
        student: Detector | None,
        clock: Clock,
    ) -> None:
        self._source = source
        self._store = store
        self._plan = plan
        self._events = events
        self._pass = CapturePass(
            source,
            store,
            config,
            span_s=plan.train_s,
            events=events,
            student=student,
            start_s=0.0,
            selected_at_s=[record.time_s for record in store.frames("train")],
        )
        self._gate = MotionGate(config.motion, config.background, on_event=events.add, clock=clock)
        test_times = [record.time_s for record in store.frames("test")]
        self._next_test_s = max([plan.train_s, *(time_s + plan.test_gap_s for time_s in test_times)])
        self._n_test = len(test_times)
        self._n_frames = 0
        self._n_given = before.n_frames
        self._watched_s = before.watched_s
        self._remembered_s = before.watched_s
        self._size_wh = source.info.size_wh
        self._began_at: datetime | None = None
        self._ended_at: datetime | None = None

    def run(self, progress: Progress) -> None:
        """Watch until the plan ends, or the source."""
        progress.start("watch", round(self._plan.watch_s))
        progress.advance(round(self._watched_s))
        try:
            for frame in self._frames():
                shown_s = round(self._watched_s)
                self._see(frame)
                progress.advance(round(self._watched_s) - shown_s, note=f"{self._pass.n_train} selected")
            self._pass.finish_training()
        finally:
            self._remember()
            progress.finish()

    def summary(self) -> CaptureSummary:
        """Return the numbers of this connection; frames of earlier ones count as selected and kept."""
        read = SourceNumbers(
            n_frames=self._n_frames,
            size_wh=self._size_wh,
            watched_s=self._watched_s,
            is_live=True,
            n_dropped=self._source.n_dropped,
            began_at=self._began_at,
            ended_at=self._ended_at,
            deadline_hit=self._plan.is_shortened,
        )
        return self._pass.summary(read, n_test=self._n_test)

    def _frames(self) -> Iterator[Frame]:
        """Yield frames until the time limit, then close the camera; write its events while it is away."""
        with self._source:
            for frame in self._source.frames(while_waiting=lambda: self._events.write_to(self._store)):
                if frame.time_s >= self._plan.watch_s:
                    return
                yield frame

    def _see(self, frame: Frame) -> None:
        self._count(frame)
        motion = self._gate.look(frame)
        self._pass.count(frame, motion)
        if frame.time_s < self._plan.train_s:
            self._pass.consider(frame, motion)
        else:
            self._pass.finish_training()
            if frame.time_s >= self._next_test_s:
                self._pass.keep_test(frame, motion)
                self._n_test += 1
                self._next_test_s += self._plan.test_gap_s
        if frame.time_s - self._remembered_s >= _REMEMBER_EVERY_S:
            self._remember()

    def _count(self, frame: Frame) -> None:
        self._n_frames += 1
        self._n_given = frame.index + 1
        self._watched_s = frame.time_s
        self._size_wh = frame.size_wh
        self._began_at = self._began_at or frame.captured_at
        self._ended_at = frame.captured_at

    def _remember(self) -> None:
        self._events.write_to(self._store)
        LiveProgress(self._watched_s, self._n_given).remember(self._store)
        self._remembered_s = self._watched_s


def _plan_watch(source: FrameSource, config: CaptureConfig, end_s: float, *, keep_test: bool) -> _WatchPlan:
    watch_s = end_s if source.length_s is None else min(end_s, source.length_s)
    train_s = watch_s * (1 - config.test_fraction) if keep_test else watch_s
    test_gap_s = (watch_s - train_s) / config.max_test_images
    return _WatchPlan(train_s, watch_s, test_gap_s, is_shortened=end_s < config.stream.duration_s)


def _refuse_frame_ranges(config: CaptureConfig) -> None:
    for name in ("train_frames", "test_frames", "test_every"):
        if getattr(config, name) is not None:
            raise ConfigError(
                f"capture.{name} applies to recordings, but this source is live; use capture.stream.duration_s "
                "(--duration) and capture.test_fraction instead"
            )


def _key(config: CaptureConfig, keep_test: bool) -> dict[str, Any]:
    return {"duration_s": config.stream.duration_s, "keep_test": keep_test}
