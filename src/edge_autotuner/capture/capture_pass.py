"""One pass over the frames of a camera that the motion gate has seen: selection, recording, and statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from edge_autotuner.capture.events import EventLog
from edge_autotuner.capture.motion import change_threshold
from edge_autotuner.capture.recorder import FrameRecorder
from edge_autotuner.capture.regions import union_area
from edge_autotuner.capture.selection import FrameSelector, SelectedFrame, make_score
from edge_autotuner.capture.statistics import MotionStatistics
from edge_autotuner.capture.summary import CaptureSummary, SourceNumbers
from edge_autotuner.config import CaptureConfig
from edge_autotuner.core import Clock, Detector, Frame, FrameSource, MotionResult
from edge_autotuner.dataset import DatasetStore


class CapturePass:
    """Takes frames in order and writes the selected ones into a dataset.

    Args:
        span_s: length of the part that training frames are selected from, seconds; None: there is no such part.
        events: where source and gate report what happens to the camera.
        student: the edge model, for scores that need one.
        start_s: time at which that part begins; None: at its first frame.
        selected_at_s: times of the training frames that an interrupted watch of a live camera selected.

    Attributes:
        statistics: what the gate saw.
        n_sent_regions: regions of the selected training frames that a teacher shall look at.
        pixels_captured: pixels inside those regions.
    """

    def __init__(
        self,
        source: FrameSource,
        store: DatasetStore,
        config: CaptureConfig,
        *,
        span_s: float | None,
        events: EventLog,
        student: Detector | None = None,
        start_s: float | None = None,
        selected_at_s: Sequence[float] = (),
    ) -> None:
        self._store = store
        self._events = events
        self._selector = None if span_s is None else self._new_selector(config, span_s, start_s, student, selected_at_s)
        self._recorder = FrameRecorder(store, config.picture_format, source)
        self.statistics = MotionStatistics()
        self.n_sent_regions = self.pixels_captured = 0

    @property
    def n_train(self) -> int:
        """Training frames selected, those before an interruption included."""
        return self._selector.n_selected if self._selector else 0

    @property
    def n_test(self) -> int:
        """Test frames written in this pass or found written."""
        return self._recorder.n_test

    @property
    def n_backgrounds(self) -> int:
        """Different backgrounds of the frames so far."""
        return self._recorder.n_backgrounds

    @property
    def reasons(self) -> dict[str, int]:
        """How many frames of the training part got which answer."""
        return {str(reason): count for reason, count in self._selector.counts.items()} if self._selector else {}

    def summary(self, source: SourceNumbers, *, n_test: int) -> CaptureSummary:
        """Return the numbers so far.

        Args:
            source: what was read of the source.
            n_test: test frames that the dataset has.
        """
        return CaptureSummary.of(
            self.statistics,
            source,
            reasons=self.reasons,
            n_train=self.n_train,
            n_test=n_test,
            n_backgrounds=self.n_backgrounds,
            n_sent_regions=self.n_sent_regions,
            pixels_captured=self.pixels_captured,
        )

    def count(self, frame: Frame, motion: MotionResult) -> None:
        """Take a frame into the statistics, and write the events that have come in."""
        self.statistics.add(motion, frame.size_wh)
        self._events.write_to(self._store)

    def consider(self, frame: Frame, motion: MotionResult) -> None:
        """Offer a frame for training; it, or one held back before, is written when it is selected."""
        if self._selector:
            self._write_selected(self._selector.offer(frame, motion))

    def finish_training(self) -> None:
        """End the training part: what was held back for comparison is decided."""
        if self._selector:
            self._write_selected(self._selector.finish())

    def keep_test(self, frame: Frame, motion: MotionResult | None) -> None:
        """Write a frame for the evaluation; `motion` None: the gate did not look."""
        self._recorder.write(frame, "test", motion, "kept for the evaluation")

    def _new_selector(
        self,
        config: CaptureConfig,
        span_s: float,
        start_s: float | None,
        student: Detector | None,
        selected_at_s: Sequence[float],
    ) -> FrameSelector:
        return FrameSelector(
            config.selection,
            max_images=config.max_images,
            span_s=span_s,
            threshold=change_threshold(config.motion),
            score=make_score(config.selection.score, student, config.selection),
            start_s=start_s,
            earlier=selected_at_s,
        )

    def _write_selected(self, selected: Sequence[SelectedFrame]) -> None:
        for chosen in selected:
            self.n_sent_regions += len(chosen.regions_xyxy)
            self.pixels_captured += round(union_area(chosen.regions_xyxy))
            self._recorder.write(chosen.frame, "train", chosen.motion, chosen.reason, sent_xyxy=chosen.regions_xyxy)


def timed(frames: Iterator[Frame], clock: Clock) -> Iterator[tuple[Frame, float]]:
    """Yield each frame with the seconds that the source took to give it."""
    while True:
        started_s = clock.monotonic_s()
        frame = next(frames, None)
        if frame is None:
            return
        yield frame, clock.monotonic_s() - started_s


def finished_summary(store: DatasetStore, note: str, key: Any) -> CaptureSummary | None:  # noqa: ANN401 (JSON)
    """Return the summary of a complete capture; None if there is none, its plan differs, or a deadline ended it.

    Args:
        store: the dataset.
        note: under which `remember_summary` stored it.
        key: the plan, JSON values.
    """
    stored = store.note(note)
    if not isinstance(stored, dict) or stored.get("plan") != key:
        return None
    summary = CaptureSummary.from_json(stored["summary"])
    return None if summary.deadline_hit else summary


def remember_summary(store: DatasetStore, note: str, key: Any, summary: CaptureSummary) -> None:  # noqa: ANN401 (JSON)
    """Store in the dataset that a capture by this plan is complete."""
    store.set_note(note, {"plan": key, "summary": summary.to_json()})


def why_nothing(where: str, summary: CaptureSummary) -> str:
    """Return why no training frame was selected, and what to do.

    Args:
        where: the part of the source, such as "frames 0:500 of gate.mp4".
        summary: the numbers of the pass.
    """
    if summary.deadline_hit:
        return f"the deadline passed before one of the {where} was selected; give more time (--deadline)"
    if summary.reasons.get("background unknown", 0) == sum(summary.reasons.values()):
        return (
            f"{where} are too few to learn the background: no frame to learn from; use a longer video, or set "
            "capture.background.method to first"
        )
    return (
        f"no motion at all in {where}: no frame to learn from; use high sensitivity, a smaller minimum area, or a "
        "part of the video with motion"
    )
