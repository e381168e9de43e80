"""Chooses the scores and overlaps at which boxes are shown, on frames that the model was not trained on.

All thresholds are tried by cumulative counts, all overlaps one by one. Frames of the test take no part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.core.operating_point import ClassPoint, OperatingPoint
from edge_autotuner.evaluation.false_alarms import judged_seconds
from edge_autotuner.evaluation.matching import Float64Array
from edge_autotuner.evaluation.operating_curve import Marks, OperatingCurve, mark_boxes
from edge_autotuner.evaluation.point_counts import PointCounts, check_lengths, count_shown
from edge_autotuner.evaluation.truth import Truth
from edge_autotuner.models.shown import only_shown

MIN_OBJECTS = 30
"""Fewer objects choose no threshold: with 30, a recall of .9 is known to within .11 (95 %), with 10 to within .19."""

OVERLAPS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
"""Overlaps that are tried for the suppression within a class, as far as they are below the protocol's."""

NO_SUPPRESSION = 1.0
TWIN_IOUS = (None, 0.8, 0.7)
"""Overlaps that are tried for the suppression between classes; None: none.

The box with the higher score often has the wrong class, and hides the right one: suppression must win by more than a
standard error.
"""

_ALARM_PRICES = np.geomspace(1e-3, 1e6, 91)

Curves = Mapping[float, OperatingCurve]
"""Overlap -> curve, by falling overlap."""


@dataclass(frozen=True)
class _Choice:
    nms_iou: float
    min_score: float


def choose_operating_point(
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    times_s: Sequence[float],
    labels: LabelMap,
    *,
    protocol_iou: float | None = None,
    max_false_alarms_per_hour: float | None = None,
    max_detections: int = 300,
) -> OperatingPoint | None:
    """Return the point with the best F1 in each class, or with the most objects found for the allowed false alarms.

    Of points whose F1 is within one standard error of the best, the one with the fewest false boxes is taken (Breiman
    et al., Classification and Regression Trees, 1984). The maximum of a flat curve is chance, and frames beside those
    of the training have fewer and weaker false boxes than later ones.

    A class with fewer than `MIN_OBJECTS` objects takes score and overlap of all classes together. Equal choices: the
    one that suppresses less, then the higher score.

    Args:
        detections: one per frame, from a low score on, class ids of `labels`.
        truths: one per frame, such as a teacher's labels.
        times_s: of the frames, rising seconds.
        labels: the classes.
        protocol_iou: overlap of the suppression that the detector has done; None: it does none.
        max_false_alarms_per_hour: of all classes together; None: choose by F1.
        max_detections: most boxes per frame and class that count.

    Returns:
        None where all classes together have fewer than `MIN_OBJECTS` objects.

    Raises:
        EvaluationError: the sequences have different lengths.
    """
    check_lengths(detections, truths, times_s)
    overlaps = [NO_SUPPRESSION, *(iou for iou in reversed(OVERLAPS) if iou < (protocol_iou or NO_SUPPRESSION) - 1e-6)]
    marks = {
        iou: [mark_boxes(detections, truths, c, nms_iou=iou, max_detections=max_detections) for c in range(len(labels))]
        for iou in overlaps
    }
    pooled = {iou: OperatingCurve.of(Marks.join(of_classes)) for iou, of_classes in marks.items()} if labels else {}
    if not pooled or pooled[NO_SUPPRESSION].n_truths < MIN_OBJECTS:
        return None
    curves = [{iou: OperatingCurve.of(marks[iou][c]) for iou in overlaps} for c in range(len(labels))]
    hours = float(judged_seconds(times_s).sum()) / 3600
    if max_false_alarms_per_hour is None:
        choices = _each_class(curves, pooled, _best_f1)
    else:
        choices = _most_found(curves, pooled, max_alarms=max_false_alarms_per_hour * hours)
    return _measured(
        choices, detections, truths, times_s, labels,
        max_false_alarms_per_hour=max_false_alarms_per_hour, max_detections=max_detections,
    )  # fmt: skip


_Pick = Callable[[Curves], tuple[_Choice, float]]
"""Returns the choice from the curves of a class, and how many objects it finds."""


def _each_class(curves: Sequence[Curves], pooled: Curves, pick: _Pick) -> list[tuple[_Choice, bool]]:
    """Return the choice of each class, and whether it is that of all classes."""
    for_all, _ = pick(pooled)
    choices = []
    for by_overlap in curves:
        choice, n_found = pick(by_overlap)
        is_pooled = by_overlap[NO_SUPPRESSION].n_truths < MIN_OBJECTS or n_found == 0
        choices.append((for_all if is_pooled else choice, is_pooled))
    return choices


def _best_f1(curves: Curves) -> tuple[_Choice, float]:
    """Return the choice with the fewest false boxes among those that are not measurably worse than the best."""
    best = max(float(curve.f1.max()) for curve in curves.values())
    error = _standard_error(best, curves[NO_SUPPRESSION].n_truths)
    return _highest(curves, lambda curve: np.where(curve.f1 >= best - error, curve.f1 - curve.n_false, -np.inf))


def _standard_error(f1: float, n_truths: int) -> float:
    """Return that of a share of so many objects, which F1 is close to."""
    return math.sqrt(f1 * (1 - f1) / max(n_truths, 1))


def _highest(curves: Curves, utility: Callable[[OperatingCurve], Float64Array]) -> tuple[_Choice, float]:
    best, best_utility, n_found = _Choice(NO_SUPPRESSION, 1.0), -np.inf, 0.0
    for iou, curve in curves.items():
        values = utility(curve)
        position = int(values.argmax())
        if values[position] > best_utility + 1e-9:
            best, best_utility = _Choice(iou, float(curve.thresholds[position])), float(values[position])
            n_found = float(curve.n_found[position])
    return best, n_found


def _most_found(curves: Sequence[Curves], pooled: Curves, *, max_alarms: float) -> list[tuple[_Choice, bool]]:
    """Return the choices that find most objects with at most so many alarms.

    Each alarm costs a number of objects, the same in all classes; the smallest price that keeps the limit is taken
    (Lagrange). Prices reach only the corners of the convex hull, so classes then spend what is left, one by one.
    """
    choices: list[tuple[_Choice, bool]] = []
    left = -1.0
    for price in _ALARM_PRICES.tolist():
        choices = _each_class(curves, pooled, partial(_highest, utility=partial(_worth, price=price)))
        n_alarms = sum(of[c.nms_iou].alarms_at(c.min_score) for of, (c, _) in zip(curves, choices, strict=True))
        left = max_alarms - n_alarms
        if left >= 0:
            break
    for class_id, (choice, is_pooled) in enumerate(choices):
        if left > 0 and not is_pooled:
            of_class = curves[class_id]
            spent = of_class[choice.nms_iou].alarms_at(choice.min_score)
            better, _ = _highest(of_class, partial(_found_within, max_alarms=spent + left))
            choices[class_id] = better, False
            left += spent - of_class[better.nms_iou].alarms_at(better.min_score)
    return choices


def _worth(curve: OperatingCurve, price: float) -> Float64Array:
    return np.asarray(curve.n_found - price * curve.n_alarms)


def _found_within(curve: OperatingCurve, max_alarms: float) -> Float64Array:
    return np.where(curve.n_alarms <= max_alarms, curve.n_found, -1.0)


def _measured(
    choices: Sequence[tuple[_Choice, bool]],
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    times_s: Sequence[float],
    labels: LabelMap,
    *,
    max_false_alarms_per_hour: float | None,
    max_detections: int,
) -> OperatingPoint:
    """Return the point with what it finds, and with the suppression between classes that has the best F1."""
    nothing = float("nan")
    point = OperatingPoint(
        {
            name: ClassPoint(c.min_score, c.nms_iou, nothing, nothing, 0, is_pooled)
            for name, (c, is_pooled) in zip(labels, choices, strict=True)
        },
        false_alarms_per_hour=nothing,
        n_frames=len(truths),
        judged_s=float(judged_seconds(times_s).sum()),
        max_false_alarms_per_hour=max_false_alarms_per_hour,
    )

    def counts_with(twin_iou: float | None) -> PointCounts:
        shown = [only_shown(found, replace(point, twin_iou=twin_iou), labels) for found in detections]
        return count_shown(shown, truths, times_s, n_classes=len(labels), max_detections=max_detections)

    tried = {twin_iou: counts_with(twin_iou) for twin_iou in (TWIN_IOUS if len(labels) > 1 else TWIN_IOUS[:1])}
    f1 = {twin_iou: float(np.nan_to_num(counts.f1())) for twin_iou, counts in tried.items()}
    best = max(f1, key=lambda twin_iou: f1[twin_iou])
    if f1[best] <= f1[None] + _standard_error(f1[None], int(tried[None].n_truths.sum())):
        best = None
    return _with_counts(replace(point, twin_iou=best), tried[best])


def _with_counts(point: OperatingPoint, counts: PointCounts) -> OperatingPoint:
    per_class = {}
    for class_id, (name, of_class) in enumerate(point.per_class.items()):
        own = counts.of_class(class_id)
        by = counts if of_class.is_pooled else own
        n_objects = int(own.n_truths.sum())
        per_class[name] = replace(of_class, precision=by.precision(), recall=by.recall(), n_objects=n_objects)
    return replace(point, per_class=per_class, false_alarms_per_hour=counts.false_alarms_per_hour())
