"""What one class finds and falsely reports at every score threshold at once, for one NMS overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_autotuner.core import Detections
from edge_autotuner.core.types import BoolArray
from edge_autotuner.evaluation.false_alarms import link_frames
from edge_autotuner.evaluation.matching import Float64Array, match_frame
from edge_autotuner.evaluation.point_counts import MIN_IOU
from edge_autotuner.evaluation.truth import Truth
from edge_autotuner.models.nms import nms_per_class

_AT_MIN_IOU = np.array([MIN_IOU])


@dataclass(frozen=True, eq=False)
class Marks:
    """Every box of some classes: right, wrong or neither.

    Greedy matching takes the best score first, so a box is right or wrong whatever threshold leaves out the boxes
    below it.

    Attributes:
        scores: (D,).
        is_right: (D,) found an object.
        is_wrong: (D,) found nothing.
        link_scores: (L,) lower scores of the links between false boxes; see `false_alarms`.
        n_truths: objects that count.
    """

    scores: Float64Array
    is_right: BoolArray
    is_wrong: BoolArray
    link_scores: Float64Array
    n_truths: int

    @classmethod
    def join(cls, parts: Sequence[Marks]) -> Marks:
        """Return the marks of several classes together."""
        return cls(
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.is_right for part in parts]),
            np.concatenate([part.is_wrong for part in parts]),
            np.concatenate([part.link_scores for part in parts]),
            sum(part.n_truths for part in parts),
        )


def mark_boxes(
    detections: Sequence[Detections], truths: Sequence[Truth], class_id: int, *, nms_iou: float, max_detections: int
) -> Marks:
    """Match the boxes of one class that are left after suppression at an overlap; 1 suppresses nothing."""
    scores, right, wrong, false_boxes = [], [], [], []
    of_class = [truth.of_class(class_id) for truth in truths]
    for found, truth in zip(detections, of_class, strict=True):
        ours = found.select(found.class_ids == class_id)
        ours = ours if nms_iou >= 1 else nms_per_class(ours, nms_iou)
        match = match_frame(ours, truth, max_detections=max_detections, iou_thresholds=_AT_MIN_IOU)
        scores.append(ours.scores[match.order])
        right.append(match.is_right[0])
        wrong.append(match.is_wrong[0])
        false_boxes.append(ours.select(match.order[match.is_wrong[0]]))
    links = [link_scores for _, link_scores in link_frames(false_boxes)]
    return Marks(
        np.concatenate([np.zeros(0), *scores]),
        np.concatenate([np.zeros(0, np.bool_), *right]),
        np.concatenate([np.zeros(0, np.bool_), *wrong]),
        np.concatenate([np.zeros(0), *links]),
        sum(truth.n_counted for truth in of_class),
    )


@dataclass(frozen=True, eq=False)
class OperatingCurve:
    """Counts by threshold, from none shown to all.

    Attributes:
        thresholds: (U + 1,) falling; each midway between two neighbouring scores of right or false boxes, the
            last between the lowest score and 0. The first shows nothing.
        n_found: (U + 1,) objects found.
        n_false: (U + 1,) false boxes.
        n_alarms: (U + 1,) false alarms.
        n_truths: objects that count.
    """

    thresholds: Float64Array
    n_found: Float64Array
    n_false: Float64Array
    n_alarms: Float64Array
    n_truths: int

    @classmethod
    def of(cls, marks: Marks) -> OperatingCurve:
        """Count at every distinct score."""
        distinct = np.unique(marks.scores[marks.is_right | marks.is_wrong])[::-1]  # (U,) falling
        found = _at_least(marks.scores[marks.is_right], distinct)
        false = _at_least(marks.scores[marks.is_wrong], distinct)
        alarms = false - _at_least(marks.link_scores, distinct)
        between = (distinct + np.append(distinct[1:], 0.0)[: len(distinct)]) / 2
        return cls(
            np.append(1.0, between),
            np.append(0.0, found),
            np.append(0.0, false),
            np.append(0.0, alarms),
            marks.n_truths,
        )

    @property
    def f1(self) -> Float64Array:
        """Harmonic mean of precision and recall, (U + 1,); 0 where nothing is found."""
        return np.asarray(2 * self.n_found / np.maximum(self.n_found + self.n_false + self.n_truths, 1))

    def alarms_at(self, min_score: float) -> float:
        """Return the false alarms at a threshold."""
        shown = int(np.count_nonzero(self.thresholds >= min_score))
        return float(self.n_alarms[max(shown - 1, 0)])


def _at_least(scores: Float64Array, thresholds: Float64Array) -> Float64Array:
    """Return how many scores reach each threshold."""
    return np.asarray(len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left"), np.float64)
