"""The paired bootstrap and the promotion rule."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from edge_autotuner.core import Detections
from edge_autotuner.errors import EvaluationError
from edge_autotuner.evaluation import (
    MatchTable,
    PromotionDecision,
    Truth,
    choose_candidate,
    decide_promotion,
    paired_bootstrap,
)

BOX = [0, 0, 10, 10]
FOUND, MISSED = Detections([BOX], [0.9], [0]), Detections.empty()
OBJECT = Truth([BOX], [0], [False])


def _table(*hits: bool, truth: Truth = OBJECT) -> MatchTable:
    """One object a frame; a hit finds it, without false alarms: AP = reached share of the recall levels."""
    return MatchTable.build([FOUND if hit else MISSED for hit in hits], [truth] * len(hits), max_detections=10)


def test_a_clear_gain_is_promoted() -> None:
    decision = decide_promotion(_table(*[True] * 20), _table(*[False] * 20), n_resamples=200)
    assert decision.promoted
    assert (decision.ap_candidate, decision.ap_deployed, decision.difference) == (1.0, 0.0, 1.0)
    assert (decision.lower_bound, decision.upper_bound, decision.probability_better) == (1.0, 1.0, 1.0)
    assert (decision.confidence, decision.n_frames) == (0.95, 20)
    assert decision.reason.startswith("promoted: AP50:95 changes by +1.000 on 20 later frames")


def test_how_tight_boxes_are_counts_up_to_an_overlap() -> None:
    """Both models find all objects; the deployed one draws its boxes like the teacher, the candidate 80 % alike."""
    alike, similar = Detections([BOX], [0.9], [0]), Detections([[0, 0, 10, 8]], [0.9], [0])
    found_by = [similar] * 20, [alike] * 18 + [MISSED] * 2
    for max_iou, metric, promoted in ((0.75, "AP50:75", True), (0.95, "AP50:95", False)):
        candidate, deployed = (
            MatchTable.build(found, [OBJECT] * 20, max_detections=10, max_iou=max_iou) for found in found_by
        )
        decision = decide_promotion(candidate, deployed, n_resamples=200, confidence=0.8)
        assert (decision.metric, decision.promoted) == (metric, promoted)
        assert f"{metric} changes by" in decision.reason


def test_tables_of_different_metrics_are_not_compared() -> None:
    tables = [MatchTable.build([FOUND] * 3, [OBJECT] * 3, max_detections=10, max_iou=iou) for iou in (0.5, 0.75)]
    with pytest.raises(EvaluationError, match="were not matched against the same truths"):
        decide_promotion(*tables)


def test_an_equal_model_is_not_promoted() -> None:
    decision = decide_promotion(_table(*[True] * 20), _table(*[True] * 20), n_resamples=200)
    assert not decision.promoted
    assert (decision.difference, decision.lower_bound, decision.probability_better) == (0.0, 0.0, 0.0)
    assert "the deployed model stays" in decision.reason


def test_a_worse_model_is_not_promoted() -> None:
    assert not decide_promotion(_table(*[False] * 20), _table(*[True] * 20), n_resamples=200).promoted


def test_a_gain_on_one_frame_of_twenty_may_be_chance() -> None:
    # one frame is absent from (19/20)**20 = 36 % of the resamples, where the difference is 0
    better = _table(*[True] * 20)
    decision = decide_promotion(better, _table(*[True] * 19, False), n_resamples=2000)
    assert decision.difference > 0
    assert decision.lower_bound == 0.0
    assert not decision.promoted
    assert decision.probability_better == pytest.approx(1 - 0.95**20, abs=0.03)


def test_lower_bound_is_the_quantile_of_the_differences() -> None:
    candidate, deployed = _table(*[True] * 6, *[False] * 4), _table(*[False] * 8, True, True)
    draws = np.random.default_rng(5).integers(0, 10, (300, 10))
    differences = [
        candidate.mean_ap(np.bincount(draw, minlength=10)) - deployed.mean_ap(np.bincount(draw, minlength=10))
        for draw in draws
    ]
    result = paired_bootstrap(candidate, deployed, n_resamples=300, seed=5, confidence=0.9)
    assert (result.lower, result.upper) == pytest.approx(tuple(np.quantile(differences, [0.1, 0.9])))


def test_same_seed_same_result() -> None:
    tables = _table(True, True, False), _table(False, True, False)
    assert paired_bootstrap(*tables, n_resamples=50, seed=3) == paired_bootstrap(*tables, n_resamples=50, seed=3)


@pytest.mark.parametrize(
    ("n_frames", "truth", "reason"),
    [
        pytest.param(0, OBJECT, "0 test frames, at least 2 are needed", id="no frame"),
        pytest.param(1, OBJECT, "1 test frame, at least 2 are needed", id="one frame"),
        pytest.param(5, Truth.empty(), "no object in the 5 test frames", id="no truths"),
        pytest.param(5, Truth([BOX], [0], [True]), "no object in the 5 test frames", id="ignored truths only"),
    ],
)
def test_too_little_to_compare(n_frames: int, truth: Truth, reason: str) -> None:
    decision = decide_promotion(_table(*[True] * n_frames, truth=truth), _table(*[False] * n_frames, truth=truth))
    assert not decision.promoted
    assert reason in decision.reason
    assert math.isnan(decision.lower_bound)
    json.dumps(decision.to_json(), allow_nan=False)


def test_resamples_without_objects_are_left_out() -> None:
    truths = [OBJECT, Truth.empty()]
    candidate = MatchTable.build([FOUND, MISSED], truths, max_detections=10)
    deployed = MatchTable.build([MISSED, MISSED], truths, max_detections=10)
    result = paired_bootstrap(candidate, deployed, n_resamples=400)
    assert result.n_resamples == pytest.approx(300, abs=40)  # the frame with the object is drawn in 3 of 4
    assert (result.lower, result.probability_better) == pytest.approx((1.0, 1.0))


def test_tables_of_different_truths_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"candidate \(2 frames, 2 objects\) and deployed model \(3 frames"):
        decide_promotion(_table(True, True), _table(True, True, True))


def test_wrong_arguments() -> None:
    for wrong in ({"confidence": 0.5}, {"confidence": 1.0}, {"n_resamples": 0}):
        with pytest.raises(ValueError, match="expected n_resamples >= 1"):
            paired_bootstrap(_table(True), _table(True), **wrong)
    with pytest.raises(ValueError, match=r"weights must have shape \(1,\), got \(2,\)"):
        _table(True).mean_ap([1, 1])


def test_json_round_trip() -> None:
    decision = decide_promotion(_table(True, True), _table(False, True), n_resamples=100)
    assert PromotionDecision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


def test_damaged_json_is_explained() -> None:
    with pytest.raises(EvaluationError, match="promotion decision cannot be read"):
        PromotionDecision.from_json({"promoted": True})


def test_the_best_of_several_candidates_is_judged() -> None:
    deployed = _table(*[False] * 10, *[True] * 10)
    worse, better, best = _table(*[False] * 20), _table(*[False] * 6, *[True] * 14), _table(*[True] * 20)
    name, decision = choose_candidate({"a": worse, "b": best, "c": better}, deployed, n_resamples=300)
    assert (name, decision.promoted, decision.ap_candidate) == ("b", True, 1.0)
    assert decision.confidence == pytest.approx(1 - 0.05 / 3), "each of three had a chance"
    name, decision = choose_candidate({"a": worse, "d": deployed}, deployed, n_resamples=300)
    assert (name, decision.promoted) == ("d", False)


def test_a_single_candidate_is_judged_as_ever() -> None:
    tables = _table(*[True] * 20), _table(*[False] * 20)
    alone = choose_candidate({"candidate": tables[0]}, tables[1], n_resamples=50, seed=3)
    assert alone == ("candidate", decide_promotion(*tables, n_resamples=50, seed=3))


def test_nothing_can_be_concluded_about_several() -> None:
    name, decision = choose_candidate({"a": _table(False), "b": _table(True)}, _table(False))
    assert (name, decision.promoted) == ("b", False)
