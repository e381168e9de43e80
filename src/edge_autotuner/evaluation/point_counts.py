"""What a model's shown boxes find and falsely report, frame by frame, so that any weighting of the frames is cheap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_autotuner.core import Detections
from edge_autotuner.errors import EvaluationError
from edge_autotuner.evaluation.false_alarms import judged_seconds, link_frames
from edge_autotuner.evaluation.matching import Float64Array, match_frame
from edge_autotuner.evaluation.truth import Truth

MIN_IOU = 0.5
"""Overlap from which a box has found an object."""

_AT_MIN_IOU = np.array([MIN_IOU])
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PointCounts:
    """Counts of F frames and C classes.

    Attributes:
        n_truths: (F, C) objects that count.
        n_found: (F, C) of these, found by a shown box of the class.
        n_false: (F, C) shown boxes that found neither an object nor an ignored region.
        n_alarms: (F, C) false alarms that begin in the frame; see `false_alarms`.
        seconds: (F,) seconds of video that each frame stands for.
    """

    n_truths: Counts
    n_found: Counts
    n_false: Counts
    n_alarms: Counts
    seconds: Float64Array

    def precision(self, weights: npt.ArrayLike | None = None) -> float:
        """Return the share of shown boxes that are right; nan without boxes. (F,) weights: how often a frame counts."""
        found, false = self._sum(self.n_found, weights), self._sum(self.n_false, weights)
        return found / (found + false) if found + false else float("nan")

    def recall(self, weights: npt.ArrayLike | None = None) -> float:
        """Return the share of objects that are found; nan without objects."""
        n_truths = self._sum(self.n_truths, weights)
        return self._sum(self.n_found, weights) / n_truths if n_truths else float("nan")

    def f1(self, weights: npt.ArrayLike | None = None) -> float:
        """Return the harmonic mean of precision and recall; nan without objects and boxes."""
        found, false = self._sum(self.n_found, weights), self._sum(self.n_false, weights)
        n_all = found + false + self._sum(self.n_truths, weights)
        return 2 * found / n_all if n_all else float("nan")

    def false_alarms_per_hour(self, weights: npt.ArrayLike | None = None) -> float:
        """Return false alarms per hour of judged video; nan where it has no length."""
        seconds = self._sum(self.seconds[:, None], weights)
        return 3600 * self._sum(self.n_alarms, weights) / seconds if seconds else float("nan")

    def of_class(self, class_id: int) -> PointCounts:
        """Return the counts of one class."""
        column = slice(class_id, class_id + 1)
        counts = (self.n_truths, self.n_found, self.n_false, self.n_alarms)
        n_truths, n_found, n_false, n_alarms = (count[:, column] for count in counts)
        return PointCounts(n_truths, n_found, n_false, n_alarms, self.seconds)

    @staticmethod
    def _sum(counts: Counts | Float64Array, weights: npt.ArrayLike | None) -> float:
        per_frame = counts.sum(axis=1)
        return float(per_frame.sum() if weights is None else per_frame @ np.asarray(weights))


def count_shown(
    shown: Sequence[Detections],
    truths: Sequence[Truth],
    times_s: Sequence[float],
    *,
    n_classes: int,
    max_detections: int = 300,
) -> PointCounts:
    """Count over frames in time order; all three sequences have one entry per frame.

    Args:
        shown: the boxes that a user sees; see `models.shown`.
        truths: the objects, class ids as of the boxes.
        times_s: of the frames, seconds.
        n_classes: C.
        max_detections: most boxes per frame and class that count.

    Raises:
        EvaluationError: the sequences have different lengths.
    """
    check_lengths(shown, truths, times_s)
    per_class = [_count_class(shown, truths, c, max_detections) for c in range(n_classes)]
    counts = np.array(per_class, np.int64).reshape(n_classes, 4, len(truths))
    n_truths, n_found, n_false, n_alarms = counts.transpose(1, 2, 0)
    return PointCounts(n_truths, n_found, n_false, n_alarms, judged_seconds(times_s))


def check_lengths(detections: Sequence[Detections], truths: Sequence[Truth], times_s: Sequence[float]) -> None:
    """Raise `EvaluationError` unless there is one entry per frame in each."""
    if not len(detections) == len(truths) == len(times_s):
        raise EvaluationError(
            f"got detections of {len(detections)} frames, truths of {len(truths)} and times of {len(times_s)}"
        )


def _count_class(
    shown: Sequence[Detections], truths: Sequence[Truth], class_id: int, max_detections: int
) -> tuple[Counts, Counts, Counts, Counts]:
    found, false, wrong_boxes = [], [], []
    of_class = [truth.of_class(class_id) for truth in truths]
    for boxes, truth in zip(shown, of_class, strict=True):
        ours = boxes.select(boxes.class_ids == class_id)
        match = match_frame(ours, truth, max_detections=max_detections, iou_thresholds=_AT_MIN_IOU)
        wrong = match.order[match.is_wrong[0]]
        found.append(int(match.is_right.sum()))
        false.append(len(wrong))
        wrong_boxes.append(ours.select(wrong))
    n_continued = np.array([len(positions) for positions, _ in link_frames(wrong_boxes)], np.int64)
    n_false = np.array(false, np.int64)
    n_truths = np.array([truth.n_counted for truth in of_class], np.int64)
    return n_truths, np.array(found, np.int64), n_false, n_false - n_continued
