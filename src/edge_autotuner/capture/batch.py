"""Collects one batch of a camera: training frames, then later frames for the evaluation.

The paper closes a batch by count, or at a deadline (section 4.2). Either ends the training part; the part for the
evaluation follows it and lasts as long as `test_fraction` asks for, so that nothing of it is trained on.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from edge_autotuner.capture.capture_pass import CapturePass
from edge_autotuner.capture.events import EventLog
from edge_autotuner.capture.live_progress import LiveProgress
from edge_autotuner.capture.summary import CaptureSummary, SourceNumbers
from edge_autotuner.config import CaptureConfig
from edge_autotuner.config.node import BatchConfig
from edge_autotuner.core import Detector, Frame, FrameSource, MotionResult
from edge_autotuner.dataset import DatasetStore

_NOTE = "batch"
_REMEMBER_EVERY_S = 30.0


@dataclass(frozen=True)
class _Plan:
    """What is known of a batch's time line, seconds of the camera's.

    Attributes:
        began_s: time of the first frame.
        train_end_s: time of the first frame that is not trained on; None while training frames are collected.
        end_s: end of the evaluation part; None until it is reached.
    """

    began_s: float
    train_end_s: float | None = None
    end_s: float | None = None


class BatchCollector:
    """Takes frame after frame and writes the selected ones into a dataset, until the batch is complete.

    Everything that decides about the batch is in the dataset: after a kill, a new collector with the same store goes
    on, given frames whose times and indices continue (see `LiveProgress`).

    Args:
        config: selection, and the share that is kept for the evaluation.
        events: what the source was opened with as `on_event`.
        student: the deployed model; needed by the scores that ask for its opinion.

    Raises:
        ConfigError: the score of the selection needs a student.
    """

    def __init__(
        self,
        source: FrameSource,
        store: DatasetStore,
        config: CaptureConfig,
        batch: BatchConfig,
        *,
        events: EventLog,
        student: Detector | None = None,
    ) -> None:
        self._store, self._batch, self._events = store, batch, events
        self._test_share = config.test_fraction / (1 - config.test_fraction)  # of the time of the training part
        self._max_test = config.max_test_images
        self._train_span_s = batch.max_age_s * (1 - config.test_fraction)
        stored: Any = store.note(_NOTE)
        self._plan = _Plan(**stored) if isinstance(stored, dict) else None
        self._pass = CapturePass(
            source,
            store,
            config.model_copy(update={"max_images": batch.max_frames}),
            span_s=self._train_span_s,
            events=events,
            student=student,
            start_s=self._plan.began_s if self._plan else None,
            selected_at_s=[record.time_s for record in store.frames("train")],
        )
        test_times_s = [record.time_s for record in store.frames("test")]
        self._n_test, self._last_test_s = len(test_times_s), max(test_times_s, default=-math.inf)
        self._numbers = SourceNumbers(n_frames=0, size_wh=source.info.size_wh, watched_s=0.0, is_live=True)
        self._first_index: int | None = None
        self._remembered_s = -math.inf
        self._is_complete = False

    @property
    def n_train(self) -> int:
        """Training frames so far, those before an interruption included."""
        return self._pass.n_train

    @property
    def n_test(self) -> int:
        """Frames for the evaluation so far."""
        return self._n_test

    @property
    def watched_s(self) -> float:
        """Watched time of the batch, interruptions excluded, seconds."""
        return self._numbers.watched_s

    @property
    def is_complete(self) -> bool:
        """Whether both parts are over; then no more frames are taken."""
        return self._is_complete

    def see(self, frame: Frame, motion: MotionResult) -> None:
        """Take the next frame, and what the gate saw in it.

        Raises:
            StorageError: the disk refused; what was collected is kept, and the next frame may be tried.
        """
        if self._is_complete:
            return
        if self._plan is None:
            self._keep_plan(_Plan(frame.time_s))
        assert self._plan is not None
        self._count(frame)
        self._pass.count(frame, motion)
        if self._plan.end_s is None:
            self._pass.consider(frame, motion)
            if self._has_enough(frame.time_s - self._plan.began_s):
                self._end_training(frame.time_s)
        elif frame.time_s >= self._plan.end_s and self._n_test:
            self._is_complete = True
        elif frame.time_s - self._last_test_s >= self._test_gap_s(self._plan):
            self._pass.keep_test(frame, motion)
            self._n_test, self._last_test_s = self._n_test + 1, frame.time_s
        if frame.time_s - self._remembered_s >= _REMEMBER_EVERY_S or self._is_complete:
            self.remember(frame)

    def remember(self, frame: Frame) -> None:
        """Store how far the camera was watched, and what happened to it."""
        self._events.write_to(self._store)
        LiveProgress(frame.time_s, frame.index + 1).remember(self._store)
        self._remembered_s = frame.time_s

    def summary(self) -> CaptureSummary:
        """Return the numbers since this collector was made; frames of earlier ones count as selected and kept."""
        return self._pass.summary(self._numbers, n_test=self._n_test)

    def _has_enough(self, age_s: float) -> bool:
        is_old = age_s >= self._train_span_s and self.n_train >= self._batch.min_frames
        return is_old or self.n_train >= self._batch.max_frames

    def _end_training(self, now_s: float) -> None:
        assert self._plan is not None
        self._pass.finish_training()
        length_s = now_s - self._plan.began_s
        self._keep_plan(replace(self._plan, train_end_s=now_s, end_s=now_s + length_s * self._test_share))

    def _test_gap_s(self, plan: _Plan) -> float:
        assert plan.end_s is not None
        assert plan.train_end_s is not None
        return (plan.end_s - plan.train_end_s) / self._max_test

    def _keep_plan(self, plan: _Plan) -> None:
        self._store.set_note(_NOTE, asdict(plan))
        self._plan = plan

    def _count(self, frame: Frame) -> None:
        assert self._plan is not None
        self._first_index = frame.index if self._first_index is None else self._first_index
        n_frames = self._numbers.n_frames + 1
        self._numbers = replace(
            self._numbers,
            n_frames=n_frames,
            size_wh=frame.size_wh,
            watched_s=frame.time_s - self._plan.began_s,
            n_dropped=frame.index - self._first_index + 1 - n_frames,
            began_at=self._numbers.began_at or frame.captured_at,
            ended_at=frame.captured_at,
        )
