"""What a model does at its operating point on later frames, as JSON keeps it: counts per class, and a small curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edge_autotuner.core import Detections, LabelMap, OperatingPoint
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.evaluation.average_precision import RECALL_LEVELS
from edge_autotuner.evaluation.comparison import ClassMerge
from edge_autotuner.evaluation.found_objects import FoundObjects
from edge_autotuner.evaluation.matching import Float64Array
from edge_autotuner.evaluation.operating_curve import Marks, OperatingCurve, mark_boxes
from edge_autotuner.evaluation.point_counts import PointCounts, count_shown
from edge_autotuner.evaluation.truth import Truth
from edge_autotuner.models.shown import only_shown


@dataclass(frozen=True)
class PointResult:
    """Counts of the boxes that an operating point shows.

    Attributes:
        per_class: class name -> counts; only classes that the truth or the boxes have.
        n_alarms: false alarms; see `false_alarms`.
        judged_s: seconds of video that the frames stand for.
        curve: (101,) best precision at recall 0, .01, ... 1 or more, all classes together, with the overlaps of the
            point; 0 where no threshold reaches the recall.
    """

    per_class: Mapping[str, FoundObjects]
    n_alarms: int
    judged_s: float
    curve: tuple[float, ...] = field(default=(), repr=False)

    @property
    def total(self) -> FoundObjects:
        """Counts of all classes together."""
        counts = [(one.n_truths, one.n_found, one.n_false) for one in self.per_class.values()]
        return FoundObjects(*np.array(counts, np.int64).reshape(-1, 3).sum(axis=0).tolist())

    @property
    def precision(self) -> float:
        """Share of shown boxes that are right; nan without boxes."""
        n_shown = self.total.n_found + self.total.n_false
        return self.total.n_found / n_shown if n_shown else float("nan")

    @property
    def recall(self) -> float:
        """Share of objects that are found; nan without objects."""
        return self.total.found_fraction

    @property
    def false_alarms_per_hour(self) -> float:
        """False alarms per hour of judged video; nan where it has no length."""
        return 3600 * self.n_alarms / self.judged_s if self.judged_s else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "per_class": {name: counts.to_json() for name, counts in self.per_class.items()},
            "n_alarms": self.n_alarms,
            "judged_s": self.judged_s,
            "curve": [round(value, 4) for value in self.curve],
        }

    @classmethod
    def from_json(cls, fields: Fields) -> PointResult:
        """Read what `to_json` wrote; raises `ValueError` or `EvaluationError` for anything else."""
        classes = fields.inner("per_class")
        return cls(
            {name: FoundObjects.from_json(classes.inner(name).values) for name in classes.values},
            fields.whole("n_alarms", at_least=0),
            fields.number("judged_s", at_least=0),
            tuple(fields.numbers("curve")),
        )


def measure_point(
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    times_s: Sequence[float],
    merge: ClassMerge,
    point: OperatingPoint,
    labels: LabelMap,
    *,
    max_detections: int = 300,
    only_known_classes: bool = False,
) -> PointResult:
    """Measure what a point shows.

    Args:
        detections: one per frame in time order, from a low score on, class ids of `labels`.
        truths: one per frame.
        times_s: of the frames, seconds.
        merge: from the classes of `labels` to those that are counted.
        point: which boxes are shown.
        labels: classes of detections, truths and point.
        max_detections: most boxes per frame and class that count.
        only_known_classes: leave out classes that no frame has an object of: a person may have drawn boxes of one class
            only.
    """
    merged = [merge.truth(truth) for truth in truths]
    shown = [merge.detections(only_shown(found, point, labels)) for found in detections]
    counts = count_shown(shown, merged, times_s, n_classes=len(merge.labels), max_detections=max_detections)
    of_classes = [_of_class(counts, class_id) for class_id in range(len(merge.labels))]
    used = [i for i, c in enumerate(of_classes) if c.n_truths or (c.n_false and not only_known_classes)]
    suppressed = [merge.detections(only_shown(found, _at_any_score(point), labels)) for found in detections]
    marks = [mark_boxes(suppressed, merged, i, nms_iou=1, max_detections=max_detections) for i in used]
    return PointResult(
        {merge.labels[i]: of_classes[i] for i in used},
        sum(int(counts.of_class(i).n_alarms.sum()) for i in used),
        float(counts.seconds.sum()),
        tuple(_precision_at_recalls(OperatingCurve.of(Marks.join(marks))).tolist()) if marks else (),
    )


def _at_any_score(point: OperatingPoint) -> OperatingPoint:
    return replace(point, per_class={name: replace(one, min_score=0.0) for name, one in point.per_class.items()})


def _of_class(counts: PointCounts, class_id: int) -> FoundObjects:
    one = counts.of_class(class_id)
    return FoundObjects(*(int(each.sum()) for each in (one.n_truths, one.n_found, one.n_false)))


def _precision_at_recalls(curve: OperatingCurve) -> Float64Array:
    """Return (101,): precision made monotone from the right, as COCO reads it."""
    shown = curve.n_found + curve.n_false
    precision = np.divide(curve.n_found, shown, out=np.zeros_like(shown), where=shown > 0)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    reached = np.searchsorted(curve.n_found / max(curve.n_truths, 1), RECALL_LEVELS - 1e-9, side="left")
    return np.asarray(envelope[reached])
