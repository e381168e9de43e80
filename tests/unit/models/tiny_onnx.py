"""ONNX models of a few nodes, made without torch: what they answer is known."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edge_autotuner.core import LabelMap
from edge_autotuner.models import DetectorSpec

BOXES = np.array([[8, 8, 16, 24], [0, 0, 32, 32]], np.float32)
SCORES = np.array([[0.2, 0.9], [0.02, 0.01]], np.float32)
SPEC = DetectorSpec("tiny", LabelMap(("person", "car")), (32, 32), "stretch", "bgr", "boxes_scores", nms_iou=0.6)


def constant_model(side: int | str = 32) -> bytes:
    """A detector in our own export's form that sees the same two boxes in every picture."""
    nodes = [
        helper.make_node("ReduceMax", ["images"], ["brightest"], keepdims=0),
        helper.make_node("Mul", ["brightest", "zero"], ["nothing"]),
        helper.make_node("Add", ["known_boxes", "nothing"], ["boxes"]),
        helper.make_node("Add", ["known_scores", "nothing"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 2, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2, 2]),
        ],
        [
            numpy_helper.from_array(np.float32(0), "zero"),
            numpy_helper.from_array(BOXES[None], "known_boxes"),
            numpy_helper.from_array(SCORES[None], "known_scores"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
