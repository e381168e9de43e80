"""Shows what the motion gate sees, and nothing else: to choose sensitivity, zones and masks for a camera."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from edge_autotuner.capture import CaptureSummary, MotionGate, MotionResult, SourceNumbers
from edge_autotuner.capture.statistics import MotionStatistics
from edge_autotuner.config import CaptureConfig
from edge_autotuner.core import Clock, Frame, FrameSource, OnEvent, ignore_event
from edge_autotuner.evaluation.report import MotionFacts

_RARE_STILL = 0.05  # a gate that finds motion in all but this share of the frames saves nothing
_MUCH_COVERED = 0.25  # nor do regions that cover more of the frame than this


@dataclass(frozen=True, eq=False)
class Sight:
    """One frame and what the gate saw in it."""

    frame: Frame
    motion: MotionResult


@dataclass(frozen=True)
class WatchStatus:
    """A moment of a watch, with what happened since the status before.

    Attributes:
        time_s: seconds since the start of the source.
        background_known: whether the gate can say anything yet.
        n_regions: regions of this frame.
        motion_fraction: share of this frame that they cover, 0..1.
        n_frames: frames since the status before.
        still_fraction: share of those among them that could be compared in which nothing moved; 0..1.
        frames_per_s: how many were looked at per second.
    """

    time_s: float
    background_known: bool
    n_regions: int
    motion_fraction: float
    n_frames: int
    still_fraction: float
    frames_per_s: float


class GateWatch:
    """Runs a gate over a source and counts.

    Attributes:
        statistics: what the gate has seen so far.
    """

    def __init__(
        self,
        source: FrameSource,
        config: CaptureConfig,
        *,
        clock: Clock,
        duration_s: float | None = None,
        on_event: OnEvent = ignore_event,
    ) -> None:
        """Start with an unknown background.

        Args:
            source: the camera; closed at the end.
            config: of the gate.
            clock: measures the cost of the gate.
            duration_s: stop after this much of the source, seconds; None: at its end.
            on_event: told what happens to the scene; the source has been told by whoever opened it.
        """
        self._source = source
        self._clock = clock
        self._duration_s = duration_s
        self._gate = MotionGate(config.motion, config.background, on_event=on_event, clock=clock)
        self._first: Frame | None = None
        self._last: Frame | None = None
        self._decode_s = 0.0
        self.statistics = MotionStatistics()

    def sights(self) -> Generator[Sight]:
        """Yield every frame with what the gate saw in it.

        Raises:
            VideoError: the source cannot be read.
        """
        with self._source:
            asked_s = self._clock.monotonic_s()
            for frame in self._source.frames():
                self._first = self._first or frame
                if self._is_over(frame.time_s - self._first.time_s):
                    return
                self._decode_s += self._clock.monotonic_s() - asked_s
                yield Sight(frame, self._look(frame))
                asked_s = self._clock.monotonic_s()

    def summary(self) -> CaptureSummary:
        """Return the numbers so far: those of a capture that keeps nothing."""
        n_frames = self.statistics.n_looked
        is_live = self._source.info.is_live
        first, last = self._first, self._last
        read = SourceNumbers(
            n_frames=n_frames,
            size_wh=last.size_wh if last else self._source.info.size_wh,
            watched_s=last.time_s - first.time_s if first and last else 0.0,
            decode_s=self._decode_s,
            is_live=is_live,
            n_dropped=last.index - first.index + 1 - n_frames if is_live and first and last else 0,
            began_at=first.captured_at if first else None,
            ended_at=last.captured_at if last else None,
        )
        return CaptureSummary.of(self.statistics, read)

    def _is_over(self, watched_s: float) -> bool:
        return self._duration_s is not None and watched_s >= self._duration_s

    def _look(self, frame: Frame) -> MotionResult:
        motion = self._gate.look(frame)
        self.statistics.add(motion, frame.size_wh)
        self._last = frame
        return motion


class StatusTicker:
    """Says every few seconds of a source what its gate does."""

    def __init__(self, every_s: float, clock: Clock) -> None:
        """Start counting now.

        Args:
            every_s: seconds of the source between two statuses.
            clock: measures the speed.
        """
        self._every_s = every_s
        self._clock = clock
        self._since_s: float | None = None
        self._began_s = clock.monotonic_s()
        self._n_frames = self._n_compared = self._n_still = 0

    def status(self, sight: Sight) -> WatchStatus | None:
        """Count a frame, and return the status when it is time for one."""
        self._n_frames += 1
        self._n_compared += sight.motion.background_known
        self._n_still += sight.motion.background_known and not sight.motion.has_motion
        time_s = sight.frame.time_s
        if self._since_s is None:
            self._since_s = time_s
        if time_s - self._since_s < self._every_s:
            return None
        status = self._make_status(sight)
        self._since_s, self._began_s = time_s, self._clock.monotonic_s()
        self._n_frames = self._n_compared = self._n_still = 0
        return status

    def _make_status(self, sight: Sight) -> WatchStatus:
        elapsed_s = self._clock.monotonic_s() - self._began_s
        return WatchStatus(
            time_s=sight.frame.time_s,
            background_known=sight.motion.background_known,
            n_regions=len(sight.motion.regions_xyxy),
            motion_fraction=sight.motion.motion_fraction,
            n_frames=self._n_frames,
            still_fraction=self._n_still / self._n_compared if self._n_compared else 0.0,
            frames_per_s=self._n_frames / elapsed_s if elapsed_s > 0 else 0.0,
        )


def advice(facts: MotionFacts) -> str:
    """Return one line of advice; empty if the gate does well."""
    if not facts.n_compared:
        return "the background was never known; watch longer, or lower capture.background.every_k_frames"
    if not facts.n_with_motion:
        return "no motion; if there should have been some, try --sensitivity high, or check capture.motion.watch"
    if facts.n_compared - facts.n_with_motion < _RARE_STILL * facts.n_compared:
        return (
            "almost every frame shows motion; if most of it is irrelevant, exclude trees, water or roads with "
            "capture.motion.ignore, or try --sensitivity low"
        )
    if facts.covered_fraction_with_motion > _MUCH_COVERED:
        return (
            "the regions cover much of the frame; try capture.motion.merge=none, a smaller "
            "capture.motion.padding_fraction, or --sensitivity low"
        )
    return ""
