"""What the stages have left, in the words of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from edge_autotuner.capture import CaptureSummary
from edge_autotuner.capture.statistics import chart_edges
from edge_autotuner.config.annotation import ZOOM
from edge_autotuner.evaluation.report import LearningCurve, MotionFacts, RefinementFacts, SecondLookFacts, SentFacts
from edge_autotuner.pipeline.stage_results import AnnotationResult, CaptureResult, TrainingResult


def motion_facts(capture: CaptureSummary) -> MotionFacts:
    """Return the motion gate's counts."""
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


def sent_facts(capture: CaptureResult, annotation: AnnotationResult | None) -> SentFacts:
    """Return the pixels worth sending to a teacher, and, after annotation, those sent."""
    return SentFacts(
        n_regions=capture.numbers.n_sent_regions,
        pixels_in_regions=capture.numbers.pixels_captured,
        pixels_of_frames=capture.n_source_pixels,
        pixels_shown=annotation.numbers.n_pixels if annotation else None,
        input_wh=annotation.input_size_wh if annotation else None,
    )


def refinement_facts(annotation: AnnotationResult | None) -> RefinementFacts | None:
    """Return the refinement's changes; None before annotation, or if refinement is off."""
    if annotation is None or annotation.refinement is None:
        return None
    refined = annotation.refinement
    return RefinementFacts(
        n_static_places=refined.n_static_places,
        n_static_labels=refined.n_static_labels,
        n_labels=refined.n_labels,
        n_empty_frames=refined.n_negatives,
        is_followed=any(refined.is_film.values()),
        dropped=tuple(str(one) for one in refined.dropped),
        **asdict(refined.temporal),
    )


_SHARED_WEIGHTS = (
    "The test labels come from the start model itself, on magnified views: they flatter it. Models that no candidate "
    "was made from judge better: annotation.test_labels.teachers."
)


def label_notes(annotation: AnnotationResult | None, teachers: Sequence[str]) -> tuple[str, ...]:
    """Return what a reader should know about the labels that judge the models, which these teachers gave."""
    if annotation is None:
        return ()
    warning = annotation.check.warning if annotation.check else ""
    flattered = _SHARED_WEIGHTS if tuple(teachers) == (ZOOM,) else ""
    return tuple(note for note in (warning, flattered) if note)


def learning_curve(training: TrainingResult | None) -> LearningCurve | None:
    """Return the epochs of a training; None before it."""
    if training is None:
        return None
    start, *epochs = training.history
    return LearningCurve(
        train_loss=tuple(epoch.loss for epoch in epochs),
        val_ap=tuple(epoch.val_ap for epoch in epochs),
        best_epoch=training.best_epoch or None,
        start_ap=start.val_ap,
        second_look=SecondLookFacts(**asdict(training.second_look)) if training.second_look else None,
    )


def _ms_per_frame(seconds: float, n_frames: int) -> float | None:
    return 1000 * seconds / n_frames if n_frames else None


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
