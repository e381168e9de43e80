"""Made-up results of stages, and records of them, for tests that do not run the stages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edge_autotuner.annotation import AnnotationSummary
from edge_autotuner.capture import CaptureSummary, SourceNumbers
from edge_autotuner.capture.statistics import MotionStatistics
from edge_autotuner.pipeline.run_folder import StageRecord
from edge_autotuner.pipeline.stage_results import AnnotationResult, CaptureResult, Epoch, StageResult, TrainingResult

AT = "2026-01-01T00:00:00+00:00"


def capture_result(source: str = "cam.mp4", **numbers: Any) -> CaptureResult:
    """Return what a capture of 100 small frames has found."""
    read = SourceNumbers(n_frames=100, size_wh=(80, 60), watched_s=9.9, decode_s=0.3)
    return CaptureResult(replace(CaptureSummary.of(MotionStatistics(), read, **numbers), gate_s=0.2), source)


def annotation_result(**changes: Any) -> AnnotationResult:
    """Return what the teacher "t" has said about three training frames and a test frame."""
    whole: dict[str, Any] = {
        "teacher": "t",
        "fingerprint": "aa" * 8,
        "n_frames": {"train": 3, "test": 1},
        "n_left": {"train": 0, "test": 0},
        "n_calls": 4,
        "n_pixels": 77,
        "boxes_per_class": {"car": 3},
        "n_uncertain": 0,
        "n_negatives": 0,
        "score_histogram": (0, 4),
        "seconds": 2.5,
    }
    more = {name: changes.pop(name) for name in ("input_size_wh", "refinement") if name in changes}
    numbers = AnnotationSummary(**{**whole, **changes})
    return AnnotationResult(numbers, **{"input_size_wh": (416, 320), **more}, seconds=numbers.seconds)


def training_result(**changes: Any) -> TrainingResult:
    """Return what came out of a training of two epochs."""
    history = tuple(Epoch(epoch, 2.0 - epoch, 1.0, 0.5, 0.25, 0.0, 0.1 * epoch, 1.5) for epoch in range(3))
    whole: dict[str, Any] = {
        "layers": "all",
        "best_epoch": 2,
        "best_val_ap": 0.2,
        "stopped_by": "epochs",
        "n_steps": 4,
        "n_steps_wanted": 4,
        "n_parameters": 1000,
        "n_training_frames": 2,
        "history": history,
        "second_look": None,
        "allowed_s": None,
        "n_replayed_frames": 0,
        "n_validation_frames": 1,
        "seconds": 3.0,
    }
    return TrainingResult(**{**whole, **changes})


def record_of(result: StageResult, fingerprint: str = "f", finished_at: str = AT) -> StageRecord:
    """Return a stage's record of a result."""
    return StageRecord(fingerprint, result.seconds or 1.0, finished_at, result.to_json())
