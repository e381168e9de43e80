"""A runtime: ONNX Runtime with one thread, whatever the settings say."""

from __future__ import annotations

from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.models.onnx_detector import OnnxDetector


def open_on_one_thread(
    model: bytes, spec: DetectorSpec, *, n_threads: int | None, min_score: float, max_detections: int
) -> OnnxDetector:
    """Open the model."""
    return OnnxDetector(model, spec, n_threads=1, min_score=min_score, max_detections=max_detections)
