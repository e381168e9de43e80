"""Raw outputs of each family, made by hand, become the boxes that they mean."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.models import DetectorSpec, Placement
from edge_autotuner.models.decode import PICODET_STRIDES, YOLOX_STRIDES, cell_grid, decode_outputs

LABELS = LabelMap(("person", "car"))
SAME_SIZE = Placement((64, 64), (64, 64))
YOLOX = DetectorSpec("y", LABELS, (64, 64), "letterbox", "bgr", "yolox", nms_iou=0.6)


def decoded(
    outputs: list[np.ndarray], spec: DetectorSpec, placement: Placement = SAME_SIZE, limit: int = 300
) -> Detections:
    return decode_outputs(outputs, spec, placement, min_score=0.05, max_detections=limit)


def test_grid_counts_cells_up_and_row_by_row() -> None:
    cells, strides = cell_grid((20, 9), (8, 16))
    assert cells.tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1], [0, 0], [1, 0]]
    assert strides[:, 0].tolist() == [8] * 6 + [16] * 2


def test_grid_of_the_published_sizes() -> None:
    assert len(cell_grid((416, 416), YOLOX_STRIDES)[0]) == 3549
    assert len(cell_grid((416, 416), PICODET_STRIDES)[0]) == 2704 + 676 + 169 + 49


def yolox_output(*cells: tuple[int, tuple[float, ...]]) -> list[np.ndarray]:
    raw = np.zeros((1, 64 + 16 + 4, 7), np.float32)
    for index, values in cells:
        raw[0, index] = values
    return [raw]


def test_yolox_cell_becomes_a_box() -> None:
    # cell (3, 2) of stride 8: centre (3.5, 2.25) * 8, size (2, 1) * 8, score 0.8 * 0.5
    output = yolox_output((2 * 8 + 3, (0.5, 0.25, math.log(2), 0.0, 0.8, 0.1, 0.5)))
    found = decoded(output, YOLOX)
    assert found.boxes_xyxy == pytest.approx(np.array([[20, 14, 36, 22]]))
    assert found.scores == pytest.approx([0.4])
    assert found.class_ids.tolist() == [1]


def test_yolox_boxes_leave_the_letterbox_and_are_clipped() -> None:
    placement = Placement((128, 64), (64, 32))
    output = yolox_output((0, (0.0, 1.0, math.log(2), 0.0, 1.0, 0.9, 0.0)))  # centre (0, 8), 16 x 8 input pixels
    assert decoded(output, YOLOX, placement).boxes_xyxy == pytest.approx(np.array([[0, 8, 16, 24]]))


def test_yolox_duplicates_of_a_class_are_removed_and_the_limit_holds() -> None:
    box = (0.5, 0.5, math.log(6), math.log(6), 1.0)  # 48 pixels; moved by 8, IoU is 40 / 56
    output = yolox_output((27, (*box, 0.9, 0.0)), (28, (*box, 0.8, 0.0)), (63, (0.5, 0.5, 0, 0, 1.0, 0.0, 0.7)))
    found = decoded(output, YOLOX)
    assert found.scores == pytest.approx([0.9, 0.7])
    assert decoded(output, replace(YOLOX, nms_iou=None)).scores == pytest.approx([0.9, 0.8, 0.7])
    assert decoded(output, YOLOX, limit=1).scores == pytest.approx([0.9])


def picodet_outputs(size_wh: tuple[int, int]) -> list[np.ndarray]:
    counts = [math.ceil(size_wh[0] / s) * math.ceil(size_wh[1] / s) for s in PICODET_STRIDES]
    scores = [np.zeros((1, n, 2), np.float32) for n in counts]
    return scores + [np.zeros((1, n, 32), np.float32) for n in counts]


def test_picodet_cell_becomes_a_box_also_where_the_input_is_not_square() -> None:
    spec = replace(YOLOX, decode="picodet", resize="stretch", input_size_wh=(100, 40))
    outputs = picodet_outputs((100, 40))
    assert [len(output[0]) for output in outputs[:4]] == [13 * 5, 7 * 3, 4 * 2, 2 * 1]
    outputs[1][0, 7 + 2] = (0.2, 0.6)  # row 1, column 2 of stride 16: centre (40, 24)
    for side, n_strides in enumerate((1, 0, 2, 1)):
        outputs[5][0, 9, side * 8 + n_strides] = 50.0  # all of the weight in one bin
    found = decoded(outputs, spec, Placement((100, 40), (100, 40)))
    assert found.boxes_xyxy == pytest.approx(np.array([[24, 24, 72, 40]]), abs=1e-3)
    assert found.scores == pytest.approx([0.6])
    assert found.class_ids.tolist() == [1]


def test_picodet_distance_is_the_expectation_over_the_bins() -> None:
    spec = replace(YOLOX, decode="picodet", resize="stretch")
    outputs = picodet_outputs((64, 64))
    outputs[0][0, 4 * 8 + 4, 0] = 0.5  # centre (36, 36); equal weights: 3.5 strides of 8 on each side
    assert decoded(outputs, spec).boxes_xyxy == pytest.approx(np.array([[8, 8, 64, 64]]))


def deim_outputs(class_ids: list[int]) -> list[np.ndarray]:
    boxes = np.tile(np.array([1, 2, 30, 40], np.float32), (len(class_ids), 1))
    scores = np.linspace(0.9, 0.1, len(class_ids), dtype=np.float32)
    return [np.array([class_ids]), boxes[None].reshape(1, -1, 4), scores[None]]


def test_deim_boxes_are_in_place_already() -> None:
    spec = replace(YOLOX, decode="deim", nms_iou=0.8)
    found = decoded(deim_outputs([1, 0, 1]), spec, Placement((64, 64), (416, 416)))
    assert found.boxes_xyxy.tolist() == [[1, 2, 30, 40], [1, 2, 30, 40]]
    assert found.class_ids.tolist() == [1, 0]
    assert found.scores == pytest.approx([0.9, 0.5])


def test_our_own_export_gives_corners_and_scores() -> None:
    spec = replace(YOLOX, decode="boxes_scores")
    boxes = np.array([[[8, 8, 16, 16], [0, 0, 4, 4]]], np.float32)
    scores = np.array([[[0.1, 0.7], [0.04, 0.03]]], np.float32)
    found = decoded([boxes, scores], spec, Placement((128, 128), (64, 64)))
    assert found.boxes_xyxy.tolist() == [[16, 16, 32, 32]]
    assert found.scores == pytest.approx([0.7])
    assert found.class_ids.tolist() == [1]


@pytest.mark.parametrize("decode", ["yolox", "picodet", "deim", "boxes_scores"])
def test_nothing_above_the_score_is_empty(decode: str) -> None:
    outputs = {
        "yolox": yolox_output(),
        "picodet": picodet_outputs((64, 64)),
        "deim": deim_outputs([]),
        "boxes_scores": [np.zeros((1, 0, 4), np.float32), np.zeros((1, 0, 2), np.float32)],
    }[decode]
    assert len(decoded(outputs, replace(YOLOX, decode=decode))) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("decode", "outputs", "message"),
    [
        pytest.param("yolox", [np.zeros((1, 84, 85))], r"expected shape \(1, 84, 7\), got \(1, 84, 85\)", id="yolox"),
        pytest.param("picodet", [np.zeros((1, 64, 2))], "expected 8 outputs", id="picodet"),
        pytest.param("deim", [np.zeros((1, 3, 4))], "expected labels, boxes and scores", id="deim"),
        pytest.param("boxes_scores", [np.zeros((1, 3, 4))], "expected boxes and scores", id="boxes"),
        pytest.param(
            "boxes_scores", [np.zeros((1, 3, 4)), np.zeros((1, 3, 9))], r"expected shape \(1, 3, 2\)", id="classes"
        ),
    ],
)
def test_outputs_of_another_family_are_refused(decode: str, outputs: list[np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decoded(outputs, replace(YOLOX, decode=decode))  # type: ignore[arg-type]


def test_a_class_beyond_the_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="returned class 7, but its label map has 2 names"):
        decoded(deim_outputs([0, 7]), replace(YOLOX, decode="deim"))
