"""A street with things in it that nobody else may see, a detector that finds one of them, a measure of what is left.

A striped poster hangs where nothing moves. A striped figure in magenta, which is no car, walks through the street. The
simulated street itself has next to none of their 2-pixel stripes.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edge_autotuner.core import LabelMap
from edge_autotuner.core.types import ImageArray
from edge_autotuner.deployment import write_bundle
from edge_autotuner.models import DetectorSpec
from edge_autotuner.simulation import SimulatedCamera
from support.runs.run_samples import N_FRAMES, SIZE_WH, camera

POSTER_XYXY = (0, 0, 32, 24)
FIGURE_WH = (16, 24)
SECRET = b"59.3293N 18.0686E"
_CELL, _INPUT = 8, 192
_FIRST_WITH_FIGURE = 20
_FIGURE_TOP = 96


def figure_left(index: int) -> int:
    """Return where the figure is in a frame: it walks from left to right, on the grid that the finder sees."""
    return 8 * ((index - _FIRST_WITH_FIGURE) % ((SIZE_WH[0] - FIGURE_WH[0]) // 8))


@cache
def private_frame(index: int) -> ImageArray:
    """Return a frame of the street with the poster and, once the background is known, with the figure; read-only."""
    frame = _street().frame(index).image_bgr.copy()
    x1, y1, x2, y2 = POSTER_XYXY
    frame[y1:y2, x1:x2] = _stripes(x2 - x1, y2 - y1, (255, 255, 255))
    if index >= _FIRST_WITH_FIGURE:
        x = figure_left(index)
        frame[_FIGURE_TOP : _FIGURE_TOP + FIGURE_WH[1], x : x + FIGURE_WH[0]] = _stripes(*FIGURE_WH, (255, 0, 255))
    frame.flags.writeable = False
    return frame


@cache
def _street() -> SimulatedCamera:
    return camera()


def write_private_pictures(folder: Path) -> Path:
    """Write all frames as PNG files that also say where the camera hangs; return the folder."""
    folder.mkdir(parents=True)
    for index in range(N_FRAMES):
        _, data = cv2.imencode(".png", private_frame(index))
        (folder / f"{index:03d}.png").write_bytes(with_secret(bytes(data)))
    return folder


def with_secret(png: bytes) -> bytes:
    """Return a PNG file with a text behind its header."""
    chunk = b"tEXtLocation\0" + SECRET
    end_of_header = 8 + 25
    framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:end_of_header] + framed + png[end_of_header:]


def n_striped(image_bgr: ImageArray) -> int:
    """Return how many pixels are part of 2-pixel stripes: equal to the fourth neighbour, unlike the second."""
    red = image_bgr[:, :, 2].astype(int)
    unlike = np.abs(red[:, 2:-2] - red[:, :-4]) > 140
    return int((unlike & (np.abs(red[:, 4:] - red[:, :-4]) < 40)).sum())


def write_figure_finder(folder: Path) -> Path:
    """Write a bundle whose model calls all that is magenta a person; return the folder."""
    side = _INPUT // _CELL
    corners = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(1, -1, 2) * float(_CELL)
    constants = {
        "boxes": np.concatenate([corners, corners + _CELL], axis=2).astype(np.float32),
        "enough": np.float32(60.0),
        "softness": np.float32(1 / 8),
        "column": np.array([1, -1, 1], np.int64),
    }
    nodes = [
        helper.make_node("Split", ["images"], ["blue", "green", "red"], axis=1),
        helper.make_node("Min", ["blue", "red"], ["both"]),
        helper.make_node("Sub", ["both", "green"], ["magenta"]),
        helper.make_node("AveragePool", ["magenta"], ["means"], kernel_shape=[_CELL] * 2, strides=[_CELL] * 2),
        helper.make_node("Sub", ["means", "enough"], ["above"]),
        helper.make_node("Mul", ["above", "softness"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["cells"]),
        helper.make_node("Reshape", ["cells", "column"], ["scores"]),
        helper.make_node("Identity", ["boxes"], ["found"]),
    ]
    graph = helper.make_graph(
        nodes,
        "magenta",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, _INPUT, _INPUT])],
        [
            helper.make_tensor_value_info("found", TensorProto.FLOAT, [1, side * side, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, side * side, 1]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    spec = DetectorSpec("magenta", LabelMap(("person",)), (_INPUT, _INPUT), "letterbox", "bgr", "boxes_scores")
    write_bundle(
        folder,
        name="magenta",
        architecture="none",
        detector=spec,
        model=model.SerializeToString(),
        weights=b"none",
        metrics={},
        promotion={},
        lineage={},
    )
    return folder


def _stripes(width: int, height: int, colour_bgr: tuple[int, int, int]) -> ImageArray:
    is_on = (np.arange(width) // 2 % 2 == 0)[None, :, None]
    return np.asarray(np.where(is_on, np.array(colour_bgr, np.uint8), 0), np.uint8).repeat(height, axis=0)
