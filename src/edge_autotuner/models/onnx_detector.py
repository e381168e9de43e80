"""Runs a detector that is an ONNX file, without torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from edge_autotuner.core.detections import Detections
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.types import FloatArray, ImageArray, SizeWH
from edge_autotuner.errors import WeightsError
from edge_autotuner.models.decode import decode_outputs
from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.models.preprocess import Placement, prepare_input

_ERRORS_ONLY = 3  # onnxruntime severity; at 2 PicoDet floods the screen with warnings about its unused nodes


class OnnxDetector:
    """A detector in ONNX Runtime, on the CPU.

    Loading is done once, in the constructor; `detect` may be called from several threads.
    """

    def __init__(
        self,
        model: Path | bytes,
        spec: DetectorSpec,
        *,
        n_threads: int | None = None,
        min_score: float = 0.05,
        max_detections: int = 300,
    ) -> None:
        """Load the model.

        Args:
            model: an ONNX file or its content.
            spec: how to feed the model and read its outputs.
            n_threads: CPU threads; None for all cores that this process may use.
            min_score: boxes below this are dropped.
            max_detections: most boxes per picture.

        Raises:
            WeightsError: the file is missing, is no ONNX model, or its input is not the one of the spec.
        """
        self._spec = spec
        self._min_score = min_score
        self._max_detections = max_detections
        self._session = open_session(model, spec.name, n_threads)
        self._input_names = [node.name for node in self._session.get_inputs()]
        _check_inputs(self._session, spec)

    @property
    def spec(self) -> DetectorSpec:
        """How the model is fed and read."""
        return self._spec

    @property
    def labels(self) -> LabelMap:
        """The classes that it knows."""
        return self._spec.labels

    @property
    def input_size_wh(self) -> SizeWH:
        """The size that pictures are resized to, pixels."""
        return self._spec.input_size_wh

    def detect(self, image_bgr: ImageArray) -> Detections:
        """Return the objects of a (H, W, 3) uint8 picture, in its pixels and clipped to it, by falling score.

        Raises:
            ValueError: the picture has another shape or type.
            WeightsError: the model's outputs are not those of the spec.
        """
        pixels, placement = prepare_input(image_bgr, self._spec)
        try:
            outputs = self._session.run(None, self._feed(pixels, placement))
            return decode_outputs(
                outputs, self._spec, placement, min_score=self._min_score, max_detections=self._max_detections
            )
        except Exception as exc:  # onnxruntime raises classes of its own that have no public base but Exception
            raise WeightsError(f"{self._spec.name} does not run as '{self._spec.decode}': {_one_line(exc)}") from exc

    def _feed(self, pixels: FloatArray, placement: Placement) -> dict[str, Any]:
        feed: dict[str, Any] = {self._input_names[0]: pixels}
        if self._spec.decode == "deim":
            feed[self._input_names[1]] = np.array([placement.frame_size_wh], np.int64)
        return feed


def open_session(model: Path | bytes, name: str, n_threads: int | None = None) -> Any:  # noqa: ANN401 (untyped library)
    """Return an ONNX Runtime session on the CPU, for `onnxruntime.InferenceSession`'s own interface.

    Raises:
        WeightsError: the file is missing or is no ONNX model; `name` says which model was wanted.
    """
    if isinstance(model, Path) and not model.is_file():
        raise WeightsError(f"{name}: there is no file {model}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # Left to itself, the runtime counts the cores of the machine. Threads that wait busily for each other on the one
    # core that a container may use are slower than a single one.
    options.intra_op_num_threads = n_threads or len(os.sched_getaffinity(0))
    source = str(model) if isinstance(model, Path) else model
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # onnxruntime raises classes of its own that have no public base but Exception
        where = model if isinstance(model, Path) else f"{len(model)} bytes"
        raise WeightsError(f"{name}: {where} is not a usable ONNX model: {_one_line(exc)}") from exc


def _check_inputs(session: Any, spec: DetectorSpec) -> None:  # noqa: ANN401 (untyped library)
    nodes = session.get_inputs()
    n_expected = 2 if spec.decode == "deim" else 1
    if len(nodes) != n_expected:
        raise WeightsError(f"{spec.name}: '{spec.decode}' has {n_expected} inputs, the model has {len(nodes)}")
    width, height = spec.input_size_wh
    shape = list(nodes[0].shape)
    expected = [1, 3, height, width]
    fits = len(shape) == 4 and all(
        not isinstance(got, int) or got == want for got, want in zip(shape, expected, strict=True)
    )
    if not fits:
        raise WeightsError(f"{spec.name}: expected an input of shape {expected}, the model has {shape}")


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:300]
