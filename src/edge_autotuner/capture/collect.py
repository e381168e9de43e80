"""The capture stage: reads a recorded source once and writes the frames worth keeping into a dataset."""

from __future__ import annotations

import logging
from collections.abc import Collection

from edge_autotuner.capture.capture_pass import CapturePass, finished_summary, remember_summary, timed, why_nothing
from edge_autotuner.capture.events import EventLog
from edge_autotuner.capture.motion import MotionGate
from edge_autotuner.capture.split import SplitPlan, choose_test_frames, frame_range, plan_split
from edge_autotuner.capture.summary import CaptureSummary, SourceNumbers
from edge_autotuner.config import CaptureConfig
from edge_autotuner.core import Deadline, Detector, Frame, FrameSource, Progress
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import DatasetError, EvaluationError, VideoError

logger = logging.getLogger(__name__)

_NOTE, _TEST_NOTE = "capture", "capture_test"
_TEST_SOURCE_NOTE = "test_source"


def collect_frames(
    source: FrameSource,
    store: DatasetStore,
    config: CaptureConfig,
    *,
    keep_test: bool = True,
    labelled_indices: Collection[int] | None = None,
    student: Detector | None = None,
    events: EventLog | None = None,
    deadline: Deadline,
    progress: Progress,
) -> CaptureSummary:
    """Write the selected training frames and the planned test frames of a recorded source into a dataset.

    A run that was killed continues: frames that the dataset has are not written again, and as the selection
    depends on the frames only, the result is that of an undisturbed run. A finished capture is not repeated.

    Args:
        source: the camera.
        store: receives the frames with their motion regions and backgrounds, and the events.
        config: what is selected and what is kept.
        keep_test: False when another source is evaluated.
        labelled_indices: frames with ground truth; they are kept for the evaluation besides the usual ones.
        student: the edge model; needed by the scores that ask for its opinion.
        events: where the source reports what happens to it; None: it reports nothing.
        deadline: when it has passed no more training frames are selected; test frames still are written, but
            their motion is no longer looked at.
        progress: told of every frame.

    Raises:
        ConfigError: the ranges do not fit the source, or the score needs a student.
        EvaluationError: no frame of the kept part has ground truth.
        VideoError: the source is damaged, or no frame was selected; what was collected is kept.
    """
    plan = plan_split(source.info, config, keep_test=keep_test, labelled_indices=labelled_indices)
    finished = finished_summary(store, _NOTE, plan.to_json())
    if finished is not None:
        return finished
    capture = _RecordedCapture(
        source, store, config, plan, deadline=deadline, student=student, events=events or EventLog()
    )
    capture.run(progress, "capture")
    summary = capture.summary()
    if summary.n_train == 0:
        where = f"frames {plan.train.start}:{plan.train.stop} of {source.info.name}"
        raise VideoError(why_nothing(where, summary))
    _remember(summary, plan, source, store, _NOTE)
    return summary


def collect_test_frames(
    source: FrameSource,
    store: DatasetStore,
    config: CaptureConfig,
    *,
    ground_truth_frames: Collection[int] | Collection[str] | None,
    progress: Progress,
) -> CaptureSummary:
    """Write frames of another source of the same camera into a dataset, to be evaluated on.

    Args:
        source: the other source.
        store: receives the frames.
        config: `test_frames`, `test_every` and `max_test_images` say which frames.
        ground_truth_frames: indices (video) or names (folder) of the frames with ground truth; None for all.
        progress: told of every frame.

    Raises:
        ConfigError: `test_frames` are outside of the source.
        EvaluationError: no frame of the source has ground truth.
        DatasetError: the dataset holds test frames of yet another source.
        VideoError: the source is damaged.
    """
    plan = SplitPlan(range(0), _test_frames(source, config, ground_truth_frames))
    _require_one_source(store, source)
    finished = finished_summary(store, _TEST_NOTE, plan.to_json())
    if finished is not None:
        return finished
    capture = _RecordedCapture(source, store, config, plan, deadline=Deadline(None), events=EventLog())
    capture.run(progress, "capture test frames")
    summary = capture.summary()
    _remember(summary, plan, source, store, _TEST_NOTE)
    return summary


class _RecordedCapture:
    """One pass over a recorded source, with its plan."""

    def __init__(
        self,
        source: FrameSource,
        store: DatasetStore,
        config: CaptureConfig,
        plan: SplitPlan,
        *,
        deadline: Deadline,
        student: Detector | None = None,
        events: EventLog,
    ) -> None:
        self._source = source
        self._plan = plan
        self._deadline = deadline
        self._test = frozenset(plan.test)
        self._deadline_hit = False
        self._n_frames = 0
        self._decode_s = 0.0
        self._first_s: float | None = None
        self._last_s = 0.0
        self._pass = CapturePass(
            source,
            store,
            config,
            span_s=source.span_s(plan.train) if plan.train else None,
            events=events,
            student=student,
        )
        self._gate = MotionGate(config.motion, config.background, on_event=events.add, clock=deadline.clock)

    def run(self, progress: Progress, task: str) -> None:
        """Read the source as far as the plan needs."""
        n_needed = self._plan.n_needed
        progress.start(task, n_needed)
        try:
            for frame, decode_s in timed(self._source.frames(), self._deadline.clock):
                if frame.index >= n_needed:
                    break
                self._see(frame, decode_s)
                progress.advance(note=f"{self._pass.n_train} selected")
            self._pass.finish_training()
        finally:
            progress.finish()

    def summary(self) -> CaptureSummary:
        """Return the numbers so far."""
        damage = self._source.damage
        read = SourceNumbers(
            n_frames=self._n_frames,
            size_wh=self._source.info.size_wh,
            watched_s=self._last_s - (self._first_s or 0.0),
            decode_s=self._decode_s,
            deadline_hit=self._deadline_hit,
            n_lost=damage.n_lost,
            n_times_repaired=damage.n_times_repaired,
        )
        return self._pass.summary(read, n_test=self._pass.n_test)

    def _see(self, frame: Frame, decode_s: float) -> None:
        self._n_frames += 1
        self._decode_s += decode_s
        self._first_s = frame.time_s if self._first_s is None else self._first_s
        self._last_s = frame.time_s
        if frame.index == self._plan.train.stop:
            self._pass.finish_training()
        motion = None if self._stopped_by_deadline(frame) else self._gate.look(frame)
        if motion is not None:
            self._pass.count(frame, motion)
        if frame.index in self._test:
            self._pass.keep_test(frame, motion)
        elif motion is not None and frame.index in self._plan.train:
            self._pass.consider(frame, motion)

    def _stopped_by_deadline(self, frame: Frame) -> bool:
        if not self._deadline_hit and frame.index < self._plan.train.stop and self._deadline.has_passed:
            self._deadline_hit = True
            logger.info("deadline reached at frame %d with %d training frames", frame.index, self._pass.n_train)
        return self._deadline_hit


def _remember(summary: CaptureSummary, plan: SplitPlan, source: FrameSource, store: DatasetStore, note: str) -> None:
    """Store in the dataset that the capture is complete."""
    if summary.n_test < len(plan.test):
        logger.warning("%s ended early: %d of %d test frames", source.info.name, summary.n_test, len(plan.test))
    remember_summary(store, note, plan.to_json(), summary)


def _test_frames(
    source: FrameSource, config: CaptureConfig, ground_truth_frames: Collection[int] | Collection[str] | None
) -> tuple[int, ...]:
    kept = frame_range("test_frames", config.test_frames, source.info)
    if ground_truth_frames is None:
        return choose_test_frames(kept, config, None)
    labelled = set(_indices_of(source, ground_truth_frames)).intersection(kept)
    if not labelled:
        raise EvaluationError(
            f"the ground truth lists none of the {len(kept)} frames of {source.info.name}; it must use file_name, "
            "relative to the folder, for pictures, and frame_index for video frames"
        )
    if len(labelled) < len(ground_truth_frames):
        logger.warning(
            "%s has %d of %d frames with ground truth", source.info.name, len(labelled), len(ground_truth_frames)
        )
    return choose_test_frames(kept, config, labelled)


def _indices_of(source: FrameSource, frames: Collection[int] | Collection[str]) -> list[int]:
    numbers = {name: index for index, name in enumerate(source.names)}
    named = (numbers.get(frame) if isinstance(frame, str) else frame for frame in frames)
    return [index for index in named if index is not None]


def _require_one_source(store: DatasetStore, source: FrameSource) -> None:
    """Refuse to mix the test frames of two sources, which would share their indices."""
    known = store.note(_TEST_SOURCE_NOTE)
    if known is not None and known != source.info.sha256:
        raise DatasetError(
            f"the dataset {store.folder} holds test frames of another source than {source.info.name}; "
            "choose another output folder, or give the same test source again"
        )
    store.set_note(_TEST_SOURCE_NOTE, source.info.sha256)
