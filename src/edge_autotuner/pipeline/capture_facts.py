"""What a capture has found out, in the words of the report."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime

from edge_autotuner.capture import CaptureSummary
from edge_autotuner.capture.statistics import chart_edges
from edge_autotuner.evaluation.report import MotionFacts, SentFacts
from edge_autotuner.pipeline.run_folder import RunFolder, StageRecord


def read_capture(folder: RunFolder, *, before: str) -> CaptureSummary:
    """Return the numbers of a run's finished capture.

    Raises:
        DatasetError: there is none, or it was made by another version.
    """
    recorded = folder.require("capture", before=before).summary
    names = {field.name for field in fields(CaptureSummary)}  # the stage has added what is not of the capture
    return CaptureSummary.from_json({name: value for name, value in recorded.items() if name in names})


def motion_facts(capture: CaptureSummary) -> MotionFacts:
    """Return what the gate saw."""
    return MotionFacts(
        size_wh=capture.size_wh,
        n_frames=capture.n_frames,
        n_compared=capture.n_compared,
        n_with_motion=capture.n_with_motion,
        covered_fraction=capture.mean_motion_fraction,
        covered_fraction_with_motion=capture.mean_region_fraction_with_motion,
        enclosing_fraction=capture.mean_enclosing_fraction,
        histogram=capture.motion_histogram,
        histogram_edges=chart_edges(),
        region_fractions=(
            capture.low_region_fraction,
            capture.median_region_fraction,
            capture.high_region_fraction,
        ),
        gate_ms=_ms_per_frame(capture.gate_s, capture.n_looked),
        decode_ms=None if capture.is_live else _ms_per_frame(capture.decode_s, capture.n_frames),
        watched_s=capture.watched_s,
        is_live=capture.is_live,
        n_dropped=capture.n_dropped,
        n_lost=capture.n_lost,
        n_times_repaired=capture.n_times_repaired,
        began_at=_moment(capture.began_at),
        ended_at=_moment(capture.ended_at),
    )


def sent_facts(capture: CaptureSummary, annotation: StageRecord | None) -> SentFacts:
    """Return what is worth a teacher's look, and, after the annotation, what it was shown."""
    shown = annotation.summary if annotation else {}
    input_wh = shown.get("input_size_wh")
    return SentFacts(
        n_regions=capture.n_sent_regions,
        pixels_in_regions=capture.pixels_captured,
        pixels_of_frames=pixels_of_frames(capture),
        pixels_shown=shown.get("n_pixels"),
        input_wh=(input_wh[0], input_wh[1]) if input_wh else None,
    )


def pixels_of_frames(capture: CaptureSummary) -> int:
    """Return the pixels of all frames that were taken from the source."""
    return capture.n_frames * capture.size_wh[0] * capture.size_wh[1]


def _ms_per_frame(seconds: float, n_frames: int) -> float | None:
    return 1000 * seconds / n_frames if n_frames else None


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
