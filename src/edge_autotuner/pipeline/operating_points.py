"""The operating points of the models that compete: chosen on the validation frames, measured on the test frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge_autotuner.config import RunConfig
from edge_autotuner.core import Annotation, Detections, Detector, LabelMap, OperatingPoint
from edge_autotuner.dataset import DatasetStore, FrameRecord, LabelledFrame
from edge_autotuner.evaluation import (
    AGAINST_HUMAN,
    AGAINST_TEACHER,
    PointCounts,
    PointResult,
    Truth,
    choose_operating_point,
    count_shown,
    in_looked_area,
    measure_point,
    merge_classes,
    merges_among,
    truth_from_annotation,
)
from edge_autotuner.models.shown import only_shown
from edge_autotuner.pipeline.session import Session


def choose_points(
    session: Session, store: DatasetStore, frames: Sequence[LabelledFrame], detectors: Mapping[str, Detector]
) -> dict[str, OperatingPoint | None]:
    """Return each detector's operating point by the teacher's labels on the validation frames.

    They are the last ones of the training period, which no weight was trained on. None: they have too few objects.
    """
    found: dict[str, list[Detections]] = {name: [] for name in detectors}
    for record, annotation in frames:
        image = store.read_image(record)
        for name, detector in detectors.items():
            found[name].append(in_looked_area(detector.detect(image), annotation))
        session.progress.advance()
    return {name: _choose(found[name], frames, detector, session.config) for name, detector in detectors.items()}


def _choose(
    found: Sequence[Detections],
    frames: Sequence[tuple[FrameRecord, Annotation]],
    detector: Detector,
    config: RunConfig,
) -> OperatingPoint | None:
    spec = getattr(detector, "spec", None)  # a runtime of another package may have none
    return choose_operating_point(
        found,
        [truth_from_annotation(annotation, min_score=config.annotation.min_score) for _, annotation in frames],
        [record.time_s for record, _ in frames],
        detector.labels,
        protocol_iou=None if spec is None else spec.nms_iou,
        max_false_alarms_per_hour=config.evaluation.max_false_alarms_per_hour,
        max_detections=config.evaluation.max_detections,
    )


def measure_points(
    points: Mapping[str, OperatingPoint | None],
    known: Mapping[str, Sequence[Detections]],
    truths: Mapping[str, Sequence[Truth | None]],
    frames: Sequence[LabelledFrame],
    labels: LabelMap,
    config: RunConfig,
) -> dict[str, dict[str, PointResult]]:
    """Return what each contender's point shows on the test frames: contender -> truth -> result.

    Args:
        points: contender -> point; one without a point is left out.
        known: contender -> detections, one per frame.
        truths: truth -> one per frame, None for a frame that it does not know.
        frames: in time order.
        labels: classes of detections and truths.
        config: settings of the evaluation.
    """
    settings = config.evaluation
    merge = merge_classes(labels, merges_among(labels, settings.map_classes))
    results: dict[str, dict[str, PointResult]] = {}
    for name, point in points.items():
        for truth_name, per_frame in truths.items() if point is not None else ():
            judged = [(i, truth) for i, truth in enumerate(per_frame) if truth is not None]
            results.setdefault(name, {})[truth_name] = measure_point(
                [known[name][i] for i, _ in judged],
                [truth for _, truth in judged],
                [frames[i][0].time_s for i, _ in judged],
                merge,
                point,  # type: ignore[arg-type]  # not None, or the loop is empty
                labels,
                max_detections=settings.max_detections,
                only_known_classes=truth_name == AGAINST_HUMAN,
            )
    return results


def count_at_point(
    point: OperatingPoint | None,
    detections: Mapping[int, Detections],
    frames: Sequence[LabelledFrame],
    truths: Mapping[str, Sequence[Truth | None]],
    labels: LabelMap,
    config: RunConfig,
) -> PointCounts:
    """Count what a point shows in each test frame, by the teacher's labels and only where the teacher looked."""
    found = [in_looked_area(detections[record.index], annotation) for record, annotation in frames]
    return count_shown(
        found if point is None else [only_shown(one, point, labels) for one in found],
        [truth if truth is not None else Truth.empty() for truth in truths[AGAINST_TEACHER]],
        [record.time_s for record, _ in frames],
        n_classes=len(labels),
        max_detections=config.evaluation.max_detections,
    )
