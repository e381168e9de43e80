"""From what the stages have left to what the report says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from edge_autotuner.annotation import RefinementSummary, TemporalCounts
from edge_autotuner.evaluation.report import LearningCurve, RefinementFacts, SecondLookFacts
from edge_autotuner.pipeline.report_facts import label_notes, learning_curve, motion_facts, refinement_facts, sent_facts
from edge_autotuner.pipeline.stage_results import CaptureResult, SecondLook
from support.runs.stage_samples import annotation_result, capture_result, training_result

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
CAPTURE = replace(
    capture_result(reasons={"selected": 4}, n_train=4, n_test=10, n_sent_regions=6, pixels_captured=9_000).numbers,
    n_looked=80, n_compared=70, n_with_motion=30, mean_motion_fraction=0.03, mean_region_fraction_with_motion=0.07,
    mean_enclosing_fraction=0.2, low_region_fraction=0.01, median_region_fraction=0.02, high_region_fraction=0.05,
)  # fmt: skip


def test_what_the_gate_saw() -> None:
    facts = motion_facts(CAPTURE)
    assert (facts.n_frames, facts.n_compared, facts.n_with_motion) == (100, 70, 30)
    assert (facts.covered_fraction, facts.covered_fraction_with_motion, facts.enclosing_fraction) == (0.03, 0.07, 0.2)
    assert facts.region_fractions == (0.01, 0.02, 0.05)
    assert len(facts.histogram_edges) == len(facts.histogram) + 1
    assert facts.decode_ms == pytest.approx(3.0), "per frame of the source"
    assert facts.gate_ms == pytest.approx(2.5), "per frame that the gate saw"
    assert (facts.is_live, facts.began_at, facts.watched_s) == (False, None, 9.9)


def test_a_live_camera() -> None:
    live = replace(CAPTURE, is_live=True, n_dropped=5, began_at=NOON.isoformat(), ended_at=NOON.isoformat())
    facts = motion_facts(live)
    assert (facts.is_live, facts.n_dropped, facts.began_at, facts.ended_at) == (True, 5, NOON, NOON)
    assert facts.decode_ms is None, "the time until a live frame comes is not the decoder's"


def test_a_gate_that_saw_nothing_has_no_speed() -> None:
    facts = motion_facts(replace(CAPTURE, n_frames=0, n_looked=0))
    assert (facts.gate_ms, facts.decode_ms) == (None, None)


def test_what_is_sent_before_and_after_the_annotation() -> None:
    captured = CaptureResult(CAPTURE, "cam.mp4")
    before = sent_facts(captured, None)
    assert (before.n_regions, before.pixels_in_regions, before.pixels_of_frames) == (6, 9_000, 480_000)
    assert (before.pixels_shown, before.input_wh) == (None, None)
    after = sent_facts(captured, annotation_result(n_pixels=77, input_size_wh=(416, 320)))
    assert (after.pixels_shown, after.input_wh) == (77, (416, 320))


def test_counts_of_the_refinement_reach_the_report() -> None:
    counts = TemporalCounts(
        n_tracks=1, n_smoothed=2, n_raised=3, n_lowered=4, n_reclassified=5, n_filled=6, n_flickers=7
    )
    done = RefinementSummary("f", {"train": True, "test": False}, 8, 9, 10, 11, counts)
    assert refinement_facts(annotation_result(refinement=done)) == RefinementFacts(
        n_static_places=8, n_static_labels=9, n_labels=10, n_empty_frames=11, is_followed=True,
        n_tracks=1, n_smoothed=2, n_raised=3, n_lowered=4, n_reclassified=5, n_filled=6, n_flickers=7,
    )  # fmt: skip
    not_a_film = replace(done, is_film={"train": False, "test": False}, temporal=TemporalCounts())
    assert refinement_facts(annotation_result(refinement=not_a_film)) == RefinementFacts(8, 9, 10, 11)


def test_no_rules_no_counts() -> None:
    assert refinement_facts(None) is None
    assert refinement_facts(annotation_result()) is None


def test_the_start_is_not_an_epoch_of_the_learning_curve() -> None:
    assert learning_curve(None) is None
    look = SecondLook(n_frames=3, n_labels_before=4, n_labels_after=5, after_epoch=1)
    curve = learning_curve(training_result(second_look=look))
    assert curve == LearningCurve((1.0, 0.0), (0.1, 0.2), 2, 0.0, SecondLookFacts(1, 3, 4, 5))
    kept = learning_curve(training_result(best_epoch=0))
    assert kept is not None
    assert kept.best_epoch is None, "no epoch was better"


@pytest.mark.parametrize(("judges", "n_notes"), [(("zoom",), 1), (("zoom", "deimv2-femto"), 0), (("deimv2-femto",), 0)])
def test_labels_of_the_start_model_alone_are_called_flattering(judges: tuple[str, ...], n_notes: int) -> None:
    notes = label_notes(annotation_result(), judges)
    assert len(notes) == n_notes
    assert all("flatter" in note for note in notes)
