"""Runs ONNX detectors without torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
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
from edge_autotuner.models.onnx_external import check_one_file, read_onnx
from edge_autotuner.models.preprocess import Placement, ResizedPicture, input_of_resized, prepare_input

_ERRORS_ONLY = 3  # onnxruntime severity; at 2 PicoDet floods the screen with warnings about its unused nodes


class OnnxDetector:
    """A detector in ONNX Runtime, on the CPU.

    The constructor loads the model; several threads may call `detect`.
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
            spec: its pre- and post-processing.
            n_threads: CPU threads; default: all cores available to this process.
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
        self._has_free_batch = all(n.shape and not isinstance(n.shape[0], int) for n in self._session.get_inputs())

    @property
    def spec(self) -> DetectorSpec:
        """Pre- and post-processing of the model."""
        return self._spec

    @property
    def labels(self) -> LabelMap:
        """Classes of the model."""
        return self._spec.labels

    @property
    def input_size_wh(self) -> SizeWH:
        """Input size, pixels."""
        return self._spec.input_size_wh

    def detect(self, image_bgr: ImageArray) -> Detections:
        """Return the objects of a (H, W, 3) uint8 picture, in its pixels and clipped to it, by falling score.

        Raises:
            ValueError: the picture has another shape or type.
            WeightsError: the model's outputs are not those of the spec.
        """
        return self._detect_prepared([prepare_input(image_bgr, self._spec)])[0]

    def detect_batch(self, images: Sequence[ImageArray]) -> list[Detections]:
        """Return the objects of each picture; sizes may differ.

        Pictures are batched if the model has a dynamic batch size.
        """
        prepared = [prepare_input(image, self._spec) for image in images]
        if self._has_free_batch and len(prepared) > 1:
            return self._detect_prepared(prepared)
        return [found for one in prepared for found in self._detect_prepared([one])]

    def detect_resized(self, picture: ResizedPicture) -> Detections:
        """Return the objects of a picture that has the size of the input, in the pixels of the original."""
        return self._detect_prepared([(input_of_resized(picture.image_bgr, self._spec), picture.placement)])[0]

    def _detect_prepared(self, prepared: Sequence[tuple[FloatArray, Placement]]) -> list[Detections]:
        placements = [placement for _, placement in prepared]
        try:
            outputs = self._session.run(None, self._feed([pixels for pixels, _ in prepared], placements))
            return [self._decode(_part(outputs, i, len(prepared)), placement) for i, placement in enumerate(placements)]
        except Exception as exc:  # onnxruntime raises classes of its own that have no public base but Exception
            raise WeightsError(f"{self._spec.name} does not work as '{self._spec.decode}': {_one_line(exc)}") from exc

    def _feed(self, pixels: Sequence[FloatArray], placements: Sequence[Placement]) -> dict[str, Any]:
        feed: dict[str, Any] = {self._input_names[0]: pixels[0] if len(pixels) == 1 else np.concatenate(pixels)}
        if self._spec.decode == "deim":
            feed[self._input_names[1]] = np.array([placement.frame_size_wh for placement in placements], np.int64)
        return feed

    def _decode(self, outputs: list[Any], placement: Placement) -> Detections:
        return decode_outputs(
            outputs, self._spec, placement, min_score=self._min_score, max_detections=self._max_detections
        )


def _part(outputs: list[Any], index: int, n_pictures: int) -> list[Any]:
    """Return the outputs for one of the pictures, as a batch of one."""
    if n_pictures == 1:
        return outputs
    if any(output.ndim == 0 or len(output) != n_pictures for output in outputs):
        raise ValueError(f"expected outputs for {n_pictures} pictures, got {[output.shape for output in outputs]}")
    return [output[index : index + 1] for output in outputs]


def open_session(model: Path | bytes, name: str, n_threads: int | None = None) -> Any:  # noqa: ANN401 (untyped library)
    """Return an ONNX Runtime session on the CPU.

    Raises:
        WeightsError: the file is missing, is no ONNX model, or keeps weights in other files; `name` says which model
            was wanted.
    """
    if isinstance(model, Path):
        if not model.is_file():
            raise WeightsError(f"{name}: there is no file {model}")
        content = read_onnx(model, name)
    else:
        content = model
        check_one_file(content, f"{name}: {len(content)} bytes")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # By default, the runtime counts the cores of the machine. Spinning threads on the one core of a container are
    # slower than a single thread.
    options.intra_op_num_threads = n_threads or len(os.sched_getaffinity(0))
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
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
