"""The capture stage: reads a source once and writes the frames worth keeping into a dataset."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from edge_autotuner.capture.motion import MotionGate, MotionResult
from edge_autotuner.capture.picture_folder import PictureFolder
from edge_autotuner.capture.recorder import FrameRecorder
from edge_autotuner.capture.selection import FrameSelector
from edge_autotuner.capture.split import SplitPlan, frame_range, plan_split, spread
from edge_autotuner.capture.summary import CaptureSummary
from edge_autotuner.config import CaptureConfig
from edge_autotuner.core import Clock, Deadline, Frame, FrameSource, Progress
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
    only_test_indices: Collection[int] | None = None,
    deadline: Deadline,
    progress: Progress,
) -> CaptureSummary:
    """Write the selected training frames and the planned test frames of a source into a dataset.

    A run that was killed continues: frames that the dataset has are not written again, and as the selection
    depends on the frames only, the result is that of an undisturbed run. A finished capture is not repeated.

    Args:
        source: the camera.
        store: receives the frames with their motion regions and backgrounds.
        config: what is selected and what is kept.
        keep_test: False when another source is evaluated.
        only_test_indices: frames with ground truth; only they are kept for the evaluation.
        deadline: when it has passed no more training frames are selected; test frames still are written, but
            their motion is no longer looked at.
        progress: told of every frame.

    Raises:
        ConfigError: the ranges do not fit the source.
        EvaluationError: no frame of the kept part has ground truth.
        VideoError: the source is damaged, or no frame was selected; what was collected is kept.
    """
    plan = plan_split(source.info, config, keep_test=keep_test, only_test_indices=only_test_indices)
    finished = _finished_summary(store, _NOTE, plan)
    if finished is not None:
        return finished
    capture = _Capture(source, store, config, plan, deadline)
    _run(capture, source, progress, "capture")
    if capture.n_train == 0:
        raise VideoError(_why_nothing(source, plan, capture.summary()))
    return _finish(capture, source, store, _NOTE)


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
        ConfigError: `test_frames` lie outside of the source.
        EvaluationError: no frame of the source has ground truth.
        DatasetError: the dataset holds test frames of yet another source.
        VideoError: the source is damaged.
    """
    candidates = _test_candidates(source, config, ground_truth_frames)
    test = tuple(spread(candidates, every=config.test_every, at_most=config.max_test_images))
    plan = SplitPlan(range(0), test)
    _require_one_source(store, source)
    finished = _finished_summary(store, _TEST_NOTE, plan)
    if finished is not None:
        return finished
    capture = _Capture(source, store, config, plan, Deadline(None))
    _run(capture, source, progress, "capture test frames")
    return _finish(capture, source, store, _TEST_NOTE)


class _Capture:
    """State of one pass over a source."""

    def __init__(
        self, source: FrameSource, store: DatasetStore, config: CaptureConfig, plan: SplitPlan, deadline: Deadline
    ) -> None:
        self.plan = plan
        self.deadline = deadline
        self._test = frozenset(plan.test)
        self._gate = MotionGate(config.motion, config.background)
        self._selector = FrameSelector(config, n_frames=len(plan.train), threshold=self._gate.threshold)
        originals = source if isinstance(source, PictureFolder) else None
        self._recorder = FrameRecorder(store, config.picture_format, originals)
        self._deadline_hit = False
        self._motion_fractions: list[float] = []
        self._region_fractions: list[float] = []
        self._pixels_captured = 0
        self._decode_s = self._gate_s = 0.0
        self._n_frames = 0

    @property
    def n_train(self) -> int:
        """Frames selected so far."""
        return self._selector.counts["selected"]

    def see(self, frame: Frame, decode_s: float) -> None:
        """Look at the next frame and write it if it is wanted."""
        self._n_frames += 1
        self._decode_s += decode_s
        motion = None if self._stopped_by_deadline(frame) else self._look(frame)
        if frame.index in self._test:
            self._recorder.write(frame, "test", motion, "kept for the evaluation")
        elif motion is not None and frame.index in self.plan.train:
            self._consider(frame, motion)

    def summary(self) -> CaptureSummary:
        """Return the numbers so far."""
        return CaptureSummary(
            n_frames=self._n_frames,
            reasons={str(reason): count for reason, count in self._selector.counts.items()},
            n_train=self.n_train,
            n_test=self._recorder.n_test,
            mean_motion_fraction=float(np.mean(self._motion_fractions)) if self._motion_fractions else 0.0,
            median_region_fraction=float(np.median(self._region_fractions)) if self._region_fractions else 0.0,
            decode_s=self._decode_s,
            gate_s=self._gate_s,
            n_backgrounds=self._recorder.n_backgrounds,
            pixels_captured=self._pixels_captured,
            deadline_hit=self._deadline_hit,
        )

    def _stopped_by_deadline(self, frame: Frame) -> bool:
        if not self._deadline_hit and frame.index < self.plan.train.stop and self.deadline.has_passed:
            self._deadline_hit = True
            logger.info("deadline passed at frame %d, %d training frames", frame.index, self.n_train)
        return self._deadline_hit

    def _look(self, frame: Frame) -> MotionResult:
        clock = self.deadline.clock
        started_s = clock.monotonic_s()
        motion = self._gate.look(frame)
        self._gate_s += clock.monotonic_s() - started_s
        if motion.background_known:
            self._motion_fractions.append(motion.motion_fraction)
            self._region_fractions += _region_fractions(motion, frame)
        return motion

    def _consider(self, frame: Frame, motion: MotionResult) -> None:
        if self._selector.decide(frame, motion) != "selected":
            return
        width, height = frame.size_wh
        self._pixels_captured += round(motion.motion_fraction * width * height)
        self._recorder.write(frame, "train", motion, "new motion")


def _run(capture: _Capture, source: FrameSource, progress: Progress, task: str) -> None:
    n_needed = capture.plan.n_needed
    progress.start(task, n_needed)
    try:
        for frame, decode_s in _timed(source.frames(), capture.deadline.clock):
            if frame.index >= n_needed:
                break
            capture.see(frame, decode_s)
            progress.advance(note=f"{capture.n_train} selected")
    finally:
        progress.finish()


def _finish(capture: _Capture, source: FrameSource, store: DatasetStore, note: str) -> CaptureSummary:
    """Remember in the dataset that the capture is complete."""
    summary = capture.summary()
    if summary.n_test < len(capture.plan.test):
        logger.warning("%s ended early: %d of %d test frames", source.info.name, summary.n_test, len(capture.plan.test))
    store.set_note(note, {"plan": capture.plan.to_json(), "summary": summary.to_json()})
    return summary


def _timed(frames: Iterator[Frame], clock: Clock) -> Iterator[tuple[Frame, float]]:
    """Yield each frame with the seconds that it took to decode it."""
    while True:
        started_s = clock.monotonic_s()
        frame = next(frames, None)
        if frame is None:
            return
        yield frame, clock.monotonic_s() - started_s


def _region_fractions(motion: MotionResult, frame: Frame) -> list[float]:
    sides = motion.regions_xyxy[:, 2:] - motion.regions_xyxy[:, :2]
    return [float(area) for area in sides.prod(axis=1) / (frame.size_wh[0] * frame.size_wh[1])]


def _finished_summary(store: DatasetStore, name: str, plan: SplitPlan) -> CaptureSummary | None:
    note: Any = store.note(name)
    if not isinstance(note, dict) or note.get("plan") != plan.to_json():
        return None
    summary = CaptureSummary.from_json(note["summary"])
    return None if summary.deadline_hit else summary


def _why_nothing(source: FrameSource, plan: SplitPlan, summary: CaptureSummary) -> str:
    where = f"frames {plan.train.start}:{plan.train.stop} of {source.info.name}"
    if summary.deadline_hit:
        return f"the deadline passed before one of the {where} was selected; give more time (--deadline)"
    if summary.reasons.get("background unknown", 0) == sum(summary.reasons.values()):
        return (
            f"{where} are too few to learn the background: no frame to learn from; "
            "give a longer video or choose the background method 'first'"
        )
    return (
        f"no motion at all in {where}: no frame to learn from; set the sensitivity to high, "
        "give a smaller minimum area, or choose a part of the video where something moves"
    )


def _test_candidates(
    source: FrameSource, config: CaptureConfig, ground_truth_frames: Collection[int] | Collection[str] | None
) -> Sequence[int]:
    kept = frame_range("test_frames", config.test_frames, source.info)
    if ground_truth_frames is None:
        return kept
    chosen = sorted(set(_indices_of(source, ground_truth_frames)).intersection(kept))
    if not chosen:
        raise EvaluationError(
            f"the ground truth names no frame of {source.info.name} ({len(kept)} frames); it refers to pictures by "
            "file_name, relative to the folder, and to frames of a video by frame_index"
        )
    if len(chosen) < len(ground_truth_frames):
        logger.warning(
            "%s has %d of %d frames with ground truth", source.info.name, len(chosen), len(ground_truth_frames)
        )
    return chosen


def _indices_of(source: FrameSource, frames: Collection[int] | Collection[str]) -> list[int]:
    names = [frame for frame in frames if isinstance(frame, str)]
    indices = [frame for frame in frames if isinstance(frame, int)]
    return indices + (source.indices_of(names) if isinstance(source, PictureFolder) else [])


def _require_one_source(store: DatasetStore, source: FrameSource) -> None:
    """Refuse to mix the test frames of two sources, which would share their indices."""
    known = store.note(_TEST_SOURCE_NOTE)
    if known is not None and known != source.info.sha256:
        raise DatasetError(
            f"the dataset {store.folder} holds test frames of another source than {source.info.name}; "
            "choose another output folder, or give the same test source again"
        )
    store.set_note(_TEST_SOURCE_NOTE, source.info.sha256)
