"""Decodes the outputs of the known families of detectors.

Except for DEIM, outputs become N candidate boxes in input pixels with C class scores each, and these become detections
in one way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edge_autotuner.core.detections import Detections
from edge_autotuner.core.types import FloatArray, IntArray, SizeWH
from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.models.nms import nms_per_class
from edge_autotuner.models.preprocess import Placement

YOLOX_STRIDES = (8, 16, 32)
PICODET_STRIDES = (8, 16, 32, 64)

Outputs = Sequence[FloatArray | IntArray]


def decode_outputs(
    outputs: Outputs, spec: DetectorSpec, placement: Placement, *, min_score: float, max_detections: int
) -> Detections:
    """Turn the raw outputs for one picture into detections in its pixels, by falling score.

    Args:
        outputs: the model's outputs in their order, batch of one.
        spec: names the family and the overlap for non-maximum suppression.
        placement: of the picture in the input.
        min_score: boxes below this are dropped.
        max_detections: limit of boxes.

    Raises:
        ValueError: the outputs do not have the shapes of the family.
    """
    if spec.decode == "deim":
        found = _read_deim(outputs, min_score)
    else:
        boxes_xyxy, scores = _CANDIDATES[spec.decode](outputs, spec)
        found = _best_classes(boxes_xyxy, scores, placement, min_score)
    _check_class_ids(found, spec)
    found = found.clipped(placement.frame_size_wh)
    if spec.nms_iou is not None:
        found = nms_per_class(found, spec.nms_iou)
    return found.sorted_by_score(max_detections)


def cell_grid(input_size_wh: SizeWH, strides: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Return the (N, 2) column and row of each cell, and its (N, 1) stride, of all levels, row by row.

    A level has ceil(size / stride) cells per side.
    """
    width, height = input_size_wh
    cells, cell_strides = [], []
    for stride in strides:
        columns, rows = -(-width // stride), -(-height // stride)
        ys, xs = np.divmod(np.arange(rows * columns), columns)
        cells.append(np.stack([xs, ys], axis=1).astype(np.float32))
        cell_strides.append(np.full((rows * columns, 1), stride, np.float32))
    return np.concatenate(cells), np.concatenate(cell_strides)


def _read_deim(outputs: Outputs, min_score: float) -> Detections:
    """Labels (1, N), boxes (1, N, 4) in source pixels and scores (1, N): already in the picture."""
    if len(outputs) != 3 or outputs[1].ndim != 3:
        raise ValueError(f"deim: expected labels, boxes and scores, got shapes {_shapes(outputs)}")
    class_ids, boxes_xyxy, scores = (output[0] for output in outputs)
    return Detections(boxes_xyxy, scores, class_ids).above(min_score)


def _yolox_candidates(outputs: Outputs, spec: DetectorSpec) -> tuple[FloatArray, FloatArray]:
    """(1, N, 5 + C): offset of the centre, log size, objectness, class scores; all sigmoids are applied."""
    cells, strides = cell_grid(spec.input_size_wh, YOLOX_STRIDES)
    raw = _expect(outputs[0], (1, len(cells), 5 + len(spec.labels)), "yolox")[0]
    centres = (raw[:, :2] + cells) * strides
    half_sizes = np.exp(raw[:, 2:4]) * strides / 2
    return np.concatenate([centres - half_sizes, centres + half_sizes], axis=1), raw[:, 4:5] * raw[:, 5:]


def _picodet_candidates(outputs: Outputs, spec: DetectorSpec) -> tuple[FloatArray, FloatArray]:
    """Per level (1, cells, C) scores, then per level (1, cells, 4 * bins) logits of the distance to each side.

    A distance is the expectation over its bins (generalized focal loss), in strides from the cell's centre.
    """
    n_levels = len(PICODET_STRIDES)
    if len(outputs) != 2 * n_levels:
        raise ValueError(f"picodet: expected {2 * n_levels} outputs, got shapes {_shapes(outputs)}")
    cells, strides = cell_grid(spec.input_size_wh, PICODET_STRIDES)
    scores = np.concatenate([output[0] for output in outputs[:n_levels]])
    logits = np.concatenate([output[0] for output in outputs[n_levels:]])
    _expect(scores, (len(cells), len(spec.labels)), "picodet scores")
    _expect(logits, (len(cells), logits.shape[1] // 4 * 4), "picodet distances")
    logits = logits.reshape(len(cells), 4, -1)  # (N, side, bin)
    shares = np.exp(logits - logits.max(axis=2, keepdims=True))
    bins = np.arange(logits.shape[2], dtype=np.float32)
    distances = (shares @ bins) / shares.sum(axis=2) * strides  # (N, 4) left, top, right, bottom
    centres = (cells + np.float32(0.5)) * strides
    return np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1), scores


def _exported_candidates(outputs: Outputs, spec: DetectorSpec) -> tuple[FloatArray, FloatArray]:
    """(1, N, 4) corners in input pixels and (1, N, C) scores: our own export."""
    if len(outputs) != 2 or outputs[0].ndim != 3:
        raise ValueError(f"boxes_scores: expected boxes and scores, got shapes {_shapes(outputs)}")
    n_boxes = outputs[0].shape[1]
    boxes_xyxy = _expect(outputs[0], (1, n_boxes, 4), "boxes")[0]
    return boxes_xyxy, _expect(outputs[1], (1, n_boxes, len(spec.labels)), "scores")[0]


_CANDIDATES: dict[str, Callable[[Outputs, DetectorSpec], tuple[FloatArray, FloatArray]]] = {
    "yolox": _yolox_candidates,
    "picodet": _picodet_candidates,
    "boxes_scores": _exported_candidates,
}


def _best_classes(boxes_xyxy: FloatArray, scores: FloatArray, placement: Placement, min_score: float) -> Detections:
    """Assign each candidate its best class, and drop low scores."""
    class_ids = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), class_ids]
    kept = best >= min_score
    return Detections(placement.to_frame(boxes_xyxy[kept]), best[kept], class_ids[kept])


def _check_class_ids(found: Detections, spec: DetectorSpec) -> None:
    if len(found) and not 0 <= found.class_ids.min() <= found.class_ids.max() < len(spec.labels):
        largest = int(found.class_ids.max())
        raise ValueError(f"{spec.name} returned class {largest}, but its label map has {len(spec.labels)} names")


def _expect(array: FloatArray | IntArray, shape: tuple[int, ...], what: str) -> FloatArray:
    if array.shape != shape:
        raise ValueError(f"{what}: expected shape {shape}, got {array.shape}")
    return np.asarray(array, np.float32)


def _shapes(outputs: Outputs) -> list[tuple[int, ...]]:
    return [output.shape for output in outputs]
