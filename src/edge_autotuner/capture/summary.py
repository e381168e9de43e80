"""What the capture stage did, for the report and for resuming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from edge_autotuner.errors import DatasetError


@dataclass(frozen=True)
class CaptureSummary:
    """Numbers of one capture.

    Attributes:
        n_frames: frames decoded.
        reasons: how many frames of the training part were "selected", "no motion", "nothing new", "too soon",
            "background unknown".
        n_train: selected training frames.
        n_test: frames kept for the evaluation.
        mean_motion_fraction: share of a frame covered by motion regions, mean over the frames that the gate
            compared with a background; 0..1.
        median_region_fraction: median size of one region, share of the frame; 0 without regions.
        decode_s: seconds spent on decoding.
        gate_s: seconds spent on motion detection and selection.
        n_backgrounds: different backgrounds stored with the frames.
        pixels_captured: pixels inside the motion regions of the selected training frames.
        deadline_hit: the deadline ended the selection.
    """

    n_frames: int
    reasons: Mapping[str, int]
    n_train: int
    n_test: int
    mean_motion_fraction: float
    median_region_fraction: float
    decode_s: float
    gate_s: float
    n_backgrounds: int
    pixels_captured: int
    deadline_hit: bool

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON values."""
        return {**asdict(self), "reasons": dict(self.reasons)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CaptureSummary:
        """Read what `to_json` wrote.

        Raises:
            DatasetError: a number is missing, or one is there that this version does not know.
        """
        expected = {field.name for field in fields(cls)}
        if set(values) != expected:
            different = ", ".join(sorted(expected.symmetric_difference(values)))
            raise DatasetError(
                f"the capture summary of the dataset does not fit this version ({different}); capture again"
            )
        return cls(**values)
