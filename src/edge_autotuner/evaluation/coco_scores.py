"""COCO mAP through faster-coco-eval: the published protocol, as other projects compute it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.core.types import FloatArray
from edge_autotuner.errors import EvaluationError, MissingDependency
from edge_autotuner.evaluation.scores import ClassScores, Scores
from edge_autotuner.evaluation.truth import Truth


def score_detections(
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    labels: LabelMap,
    *,
    max_detections: int = 300,
    min_score: float = 0.05,
) -> Scores:
    """Score one detector on some frames.

    Args:
        detections: one per frame, class ids of `labels`.
        truths: one per frame, in the same order, class ids of `labels`.
        labels: the classes that are scored.
        max_detections: most detections per frame and class that count, as COCO has it.
        min_score: detections below are left out.

    Raises:
        EvaluationError: detections and truths have different lengths.
        MissingDependency: faster-coco-eval is not installed.
    """
    if len(detections) != len(truths):
        raise EvaluationError(f"got detections of {len(detections)} frames but truths of {len(truths)}")
    _check_class_ids(detections, truths, labels)
    counts = np.zeros(len(labels), dtype=np.int64)
    for truth in truths:
        counts += np.bincount(truth.class_ids[~truth.is_ignored], minlength=len(labels))
    if counts.sum() == 0:
        return Scores(math.nan, math.nan, {}, len(truths), 0)
    kept = [found.above(min_score) for found in detections]
    precision = _coco_precision(_truth_file(truths, labels), _result_records(kept), max_detections)
    return _scores_of(precision, labels, counts, len(truths))


def _check_class_ids(detections: Sequence[Detections], truths: Sequence[Truth], labels: LabelMap) -> None:
    ids = [found.class_ids for found in detections] + [truth.class_ids for truth in truths]
    known = np.concatenate(ids) if ids else np.zeros(0, np.int64)
    if len(known) and not 0 <= known.min() <= known.max() < len(labels):
        raise EvaluationError(
            f"class ids run from {known.min()} to {known.max()}, but there are {len(labels)} labels; "
            "bring detections and truths to the same label map first"
        )


def _coco_precision(
    truth_file: dict[str, Any], records: list[dict[str, Any]], max_detections: int
) -> npt.NDArray[np.float64]:
    """Return (10, 101, C) precision: thresholds, recall levels, classes; -1 for a class without truths."""
    library = _load_library()
    truth = library.COCO(truth_file)
    # One limit only: the usual [1, 10, limit] is sorted by the library, which breaks limits below 10.
    evaluation = library.COCOeval_faster(truth, truth.loadRes(records), "bbox", print_function=lambda *_: None)
    evaluation.params.maxDets = [max_detections]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"])[:, :, :, 0, 0]


def _load_library() -> Any:  # noqa: ANN401  # the library has no types
    try:
        import faster_coco_eval
    except ImportError as exc:
        raise MissingDependency(
            "scoring needs faster-coco-eval; install it with: pip install 'edge-autotuner[train]'"
        ) from exc
    return faster_coco_eval


def _truth_file(truths: Sequence[Truth], labels: LabelMap) -> dict[str, Any]:
    rows = [
        (image_id, *row)
        for image_id, truth in enumerate(truths, start=1)
        for row in zip(_xywh(truth.boxes_xyxy), truth.class_ids.tolist(), truth.is_ignored.tolist(), strict=True)
    ]
    annotations = [
        {
            "id": number,
            "image_id": image_id,
            "category_id": class_id + 1,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": int(is_ignored),
        }
        for number, (image_id, box, class_id, is_ignored) in enumerate(rows, start=1)
    ]
    return {
        "images": [{"id": image_id} for image_id in range(1, len(truths) + 1)],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(labels, start=1)],
    }


def _result_records(detections: Sequence[Detections]) -> list[dict[str, Any]]:
    return [
        {"image_id": image_id, "category_id": class_id + 1, "bbox": box, "score": score}
        for image_id, found in enumerate(detections, start=1)
        for box, class_id, score in zip(
            _xywh(found.boxes_xyxy), found.class_ids.tolist(), found.scores.tolist(), strict=True
        )
    ]


def _xywh(boxes_xyxy: FloatArray) -> list[list[float]]:
    """Return COCO boxes; float64, since a difference of two large float32 corners loses digits."""
    boxes = boxes_xyxy.astype(np.float64)
    rows: list[list[float]] = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()
    return rows


def _scores_of(
    precision: npt.NDArray[np.float64], labels: LabelMap, counts: npt.NDArray[np.int64], n_frames: int
) -> Scores:
    per_threshold = precision.mean(axis=1)  # (10, C)
    per_class = {
        name: ClassScores(float(per_threshold[0, c]), float(per_threshold[:, c].mean()), int(counts[c]))
        for c, name in enumerate(labels)
        if counts[c] > 0
    }
    return Scores(
        float(np.mean([scores.ap50 for scores in per_class.values()])),
        float(np.mean([scores.ap for scores in per_class.values()])),
        per_class,
        n_frames,
        int(counts.sum()),
    )
