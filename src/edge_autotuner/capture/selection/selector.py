"""Which frames are worth a teacher's time: the rules in order, and what was dropped by each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edge_autotuner.capture.regions import union_area
from edge_autotuner.capture.selection.budget import Budget, TimeSlots
from edge_autotuner.capture.selection.diversity import SimilarFrames, Vector, make_descriptor
from edge_autotuner.capture.selection.negatives import EmptyQuota
from edge_autotuner.capture.selection.scores import FrameScore, UniformScore, make_score
from edge_autotuner.capture.selection.sent_memory import SentMemory
from edge_autotuner.config import SelectionConfig
from edge_autotuner.core import Frame, MotionResult
from edge_autotuner.core.types import FloatArray

Reason = Literal[
    "background unknown",
    "no motion",
    "too soon",
    "over budget",
    "nothing new",
    "too similar",
    "outscored",
    "selected",
    "empty",
]

_SCORED_PER_SLOT = 10
_LONGEST_SCORING_GAP_S = 1.0
"""A costly score is asked ten times in a slot, and at least once a second: often enough to catch what passes by."""

_ROUNDING_S = 1e-6


@dataclass(frozen=True, eq=False)
class SelectedFrame:
    """A frame to be sent.

    Attributes:
        motion: what the gate saw in it.
        regions_xyxy: (R, 4) float32, frame pixels: what a teacher should look at; (0, 4) for an empty frame.
        reason: why it was selected.
    """

    frame: Frame
    motion: MotionResult
    regions_xyxy: FloatArray
    reason: Literal["new motion", "empty"]


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A frame that passed every rule; `motion` is complete, `regions_xyxy` what would be sent."""

    frame: Frame
    motion: MotionResult
    time_s: float
    regions_xyxy: FloatArray
    description: Vector
    score: float = 0.0


class FrameSelector:
    """Decides frame by frame; the same frames in the same order give the same decisions.

    A frame passes the rules in this order, and is counted under the first that drops it:

    - "background unknown": nothing can be said of it yet.
    - "no motion", unless the quota of empty frames takes it as a negative, which counts as "empty".
    - "too soon": after less than `min_gap_s`, or before the evenly released budget allows another one; with a
      score that asks a student, also right after another frame was scored.
    - "over budget": `max_per_hour`, `max_per_day` or `max_images` are used up.
    - "nothing new": a teacher has seen all that is there; see `SentMemory`.
    - "too similar": it resembles a selected frame; asked only with `diversity`.
    - "outscored": another frame of the same time slot has a higher score.

    What is left is "selected". With the uniform score that is decided at once; with any other the best frame of a
    slot is held until the slot ends, and only that one. Time that goes backwards counts as standing still.

    Args:
        max_images: most frames that are selected altogether, negatives and earlier ones included.
        span_s: length of the part to select from, seconds of `Frame.time_s`.
        threshold: difference of blurred brightness that counts as a change, grey levels.
        seed: of the random score, where `score` is None.
        score: chooses among the frames of a time slot; None: the one that `config` names.
        start_s: time at which the part begins; None: at the first frame offered, or the first earlier one.
        earlier: times of the frames that were selected before an interruption; they count for the budgets.

    Attributes:
        counts: how many frames got which answer; a held frame is counted when it is decided.

    Raises:
        ConfigError: `score` is None, and the one that `config` names needs a student.
        ValueError: `max_images` or `span_s` is not positive.
    """

    def __init__(
        self,
        config: SelectionConfig,
        *,
        max_images: int,
        span_s: float,
        threshold: int,
        seed: int = 0,
        score: FrameScore | None = None,
        start_s: float | None = None,
        earlier: Sequence[float] = (),
    ) -> None:
        self._sends_all_regions = config.regions == "all"
        self._score = make_score(config.score, None, config, seed) if score is None else score
        self._budget = Budget(config, max_images=max_images, span_s=span_s, start_s=start_s, earlier=earlier)
        takes_first = isinstance(self._score, UniformScore)
        self._slots = None if takes_first else TimeSlots(shortest_s=self._budget.shortest_gap_s)
        self._sent = SentMemory(threshold=threshold, min_change_fraction=config.min_change_fraction)
        self._similar = SimilarFrames(make_descriptor(config.diversity), min_distance=config.min_distance)
        self._empties = EmptyQuota(
            fraction=config.empty_fraction, max_images=max_images, span_s=span_s, threshold=threshold
        )
        self._held: _Candidate | None = None
        self._now_s = self._scored_s = -math.inf
        self._n_earlier = len(earlier)
        self.counts: Counter[Reason] = Counter()

    @property
    def n_selected(self) -> int:
        """Frames given out, negatives and those before an interruption included."""
        return self._budget.n_spent

    def offer(self, frame: Frame, motion: MotionResult) -> list[SelectedFrame]:
        """Look at the next frame and return what is decided now, in rising order of the frames.

        The result may be empty, this frame, an earlier one that was held, or both. A held frame is a copy: it
        does not refer to the memory of a decoder.
        """
        time_s = self._now_s = max(self._now_s, frame.time_s)
        self._budget.begin(time_s)
        selected = self._end_slot(time_s)
        self._sent.see(frame, motion, time_s)
        self._empties.see(motion, time_s)
        if not motion.background_known:
            self.counts["background unknown"] += 1
        elif motion.has_motion:
            selected += self._consider(frame, motion, time_s)
        else:
            selected += self._consider_empty(frame, motion, time_s)
        return selected

    def finish(self) -> list[SelectedFrame]:
        """Return the frames still held; call it at the end of the part."""
        held, self._held = self._held, None
        return [] if held is None else [self._select(held)]

    def _end_slot(self, time_s: float) -> list[SelectedFrame]:
        """Give out the held frame if this time belongs to another slot, and begin that slot."""
        if self._slots is None or not self._slots.is_over(time_s):
            return []
        selected = self.finish()
        self._slots.begin_next(time_s, n_left=self._budget.n_left, part_end_s=self._budget.end_s)
        return selected

    def _consider(self, frame: Frame, motion: MotionResult, time_s: float) -> list[SelectedFrame]:
        refusal = self._budget.refusal(time_s, spread_evenly=self._slots is None)
        if refusal is None and self._was_just_scored(time_s):
            refusal = "too soon"
        if refusal is not None:
            self.counts[refusal] += 1
            return []
        is_new = self._sent.find_new(frame, motion)
        if not is_new.any():
            self.counts["nothing new"] += 1
            return []
        description = self._similar.describe(frame, motion)
        if self._similar.has_like(description):
            self.counts["too similar"] += 1
            return []
        regions = motion.regions_xyxy if self._sends_all_regions else motion.regions_xyxy[is_new]
        candidate = _Candidate(frame, motion, time_s, regions, description)
        if self._slots is None:
            return [self._select(candidate)]
        self._compete(candidate)
        return []

    def _was_just_scored(self, time_s: float) -> bool:
        """Whether the last costly score was too recent to ask again without slowing the camera down."""
        if self._slots is None or not self._score.is_costly:
            return False
        gap_s = min(self._slots.length_s / _SCORED_PER_SLOT, _LONGEST_SCORING_GAP_S)
        return time_s - self._scored_s < gap_s - _ROUNDING_S

    def _compete(self, candidate: _Candidate) -> None:
        """Hold the candidate if it is better than the one that is held; the earlier one wins a tie."""
        self._scored_s = candidate.time_s
        score = self._score.score(candidate.frame, _only_regions(candidate))
        if not math.isfinite(score):
            raise ValueError(f"{type(self._score).__name__} gave frame {candidate.frame.index} the score {score}")
        if self._held is not None:
            self.counts["outscored"] += 1
            if score <= self._held.score:
                return
        self._held = _copied(replace(candidate, score=score))

    def _select(self, candidate: _Candidate) -> SelectedFrame:
        self.counts["selected"] += 1
        self._budget.spend(candidate.time_s)
        self._sent.paste(candidate.frame, candidate.motion, candidate.regions_xyxy)
        self._similar.remember(candidate.description)
        return SelectedFrame(candidate.frame, candidate.motion, candidate.regions_xyxy, "new motion")

    def _consider_empty(self, frame: Frame, motion: MotionResult, time_s: float) -> list[SelectedFrame]:
        """Take a frame without motion as a negative; not while another is held, which would come out after it."""
        is_wanted = (
            self._held is None
            and self._empties.wants(motion, time_s, n_selected=self._budget.n_spent - self._n_earlier)
            and self._budget.refusal(time_s, spread_evenly=self._slots is None) is None
        )
        if not is_wanted:
            self.counts["no motion"] += 1
            return []
        self.counts["empty"] += 1
        self._empties.take(motion, time_s)
        self._budget.spend(time_s)
        return [SelectedFrame(frame, motion, np.zeros((0, 4), np.float32), "empty")]


def _only_regions(candidate: _Candidate) -> MotionResult:
    """Return the motion result, reduced to the regions that would be sent."""
    motion, regions = candidate.motion, candidate.regions_xyxy
    if len(regions) == len(motion.regions_xyxy):
        return motion
    width, height = candidate.frame.size_wh
    return replace(motion, regions_xyxy=regions, motion_fraction=union_area(regions) / (width * height))


def _copied(candidate: _Candidate) -> _Candidate:
    """Return the candidate with pictures of its own, because a decoder may reuse its memory."""
    image_bgr = candidate.frame.image_bgr
    motion = candidate.motion
    return replace(
        candidate,
        frame=replace(candidate.frame, luma=candidate.frame.luma.copy(), to_bgr=lambda: image_bgr),
        motion=replace(
            motion,
            mask=motion.mask.copy(),
            blurred_luma=motion.blurred_luma.copy(),
            background=None if motion.background is None else motion.background.copy(),
        ),
    )
