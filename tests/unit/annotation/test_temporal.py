"""Each rule about time on hand-made tracks: what changes, by how much, and what must not."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from edge_autotuner.annotation import TemporalCounts, refine_over_time
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.config.annotation import NO_REFINEMENT
from edge_autotuner.core import Annotation, Detections

SIZE = (640, 480)
WHOLE = np.array([[0, 0, *SIZE]], np.float32)
UNCERTAIN = np.nextafter(np.float32(0.3), np.float32(0))
Row = tuple[float, float, float, float, float, int]


def frame(*rows: Row, looked: np.ndarray = WHOLE) -> Annotation:
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Annotation(Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64)), looked)


def walker(x: float, *, score: float = 0.9, class_id: int = 0) -> Row:
    return x, 50, x + 20, 90, score, class_id


def refine(frames: list[Annotation], *, gap_s: float = 0.1, **rules: object) -> tuple[list[Detections], TemporalCounts]:
    config = AnnotationConfig(refine=NO_REFINEMENT.model_copy(update=rules))
    return refine_over_time([gap_s * i for i in range(len(frames))], frames, config, size_wh=SIZE)


def changes(counts: TemporalCounts) -> dict[str, int]:
    return {name: n for name, n in asdict(counts).items() if n and name != "n_tracks"}


def test_no_rule_changes_nothing() -> None:
    frames = [frame(walker(100 + 2 * i, score=0.2 + 0.1 * i)) for i in range(5)]
    found, counts = refine(frames)
    assert changes(counts) == {}
    assert counts.n_tracks == 1
    for before, after in zip(frames, found, strict=True):
        np.testing.assert_array_equal(before.detections.boxes_xyxy, after.boxes_xyxy)
        np.testing.assert_array_equal(before.detections.scores, after.scores)


class TestBoxes:
    def test_jitter_goes_and_motion_stays(self) -> None:
        rng = np.random.default_rng(0)
        true = np.array([[100 + 3 * i, 50, 120 + 3 * i, 90] for i in range(40)], float)
        noisy = true + rng.normal(0, 2, true.shape)
        found, counts = refine([frame((*box, 0.9, 0)) for box in noisy], smooth_boxes_s=0.8)  # type: ignore[arg-type]
        smooth = np.concatenate([one.boxes_xyxy for one in found])
        assert changes(counts) == {"n_smoothed": 40}
        assert np.sqrt(np.mean((smooth - true) ** 2)) < 0.5 * np.sqrt(np.mean((noisy - true) ** 2))

    def test_growing_objects_are_not_biased(self) -> None:
        """A car that drives towards the camera at a steady rate of growth: logarithm of the sides is a line."""
        sides = 20 * np.exp(0.15 * np.arange(12))
        frames = [frame((200 - s / 2, 200 - s / 2, 200 + s / 2, 200 + s / 2, 0.9, 0)) for s in sides]
        found, _ = refine(frames, smooth_boxes_s=0.8)
        for before, after in zip(frames, found, strict=True):
            np.testing.assert_allclose(after.boxes_xyxy, before.detections.boxes_xyxy, atol=0.01)

    def test_an_unsure_box_that_shows_half_an_object_is_put_right(self) -> None:
        rows = [walker(100 + 2 * i) for i in range(9)]
        rows[4] = (108, 50, 128, 74, 0.12, 0)  # the legs are hidden
        found, _ = refine([frame(row) for row in rows], smooth_boxes_s=0.8)
        assert found[4].boxes_xyxy[0, 3] > 86

    def test_boxes_cut_by_the_border_stay_and_say_nothing(self) -> None:
        rows: list[Row] = [(max(0.0, 4.0 * i - 16), 50, 4.0 * i + 4, 90, 0.9, 0) for i in range(10)]
        found, counts = refine([frame(row) for row in rows], smooth_boxes_s=0.8)
        assert counts.n_smoothed == 5
        for row, after in zip(rows, found, strict=True):
            np.testing.assert_allclose(after.boxes_xyxy[0], row[:4], atol=0.01)

    def test_two_frames_are_no_track(self) -> None:
        found, counts = refine([frame(walker(100)), frame(walker(104))], smooth_boxes_s=0.8)
        assert counts == TemporalCounts()
        assert found[1].boxes_xyxy[0, 0] == 104


class TestScores:
    def test_a_dip_is_raised_and_a_peak_lowered(self) -> None:
        dip = [frame(walker(100, score=0.25 if i == 3 else 0.8)) for i in range(7)]
        found, counts = refine(dip, smooth_scores_s=0.3)
        assert changes(counts) == {"n_raised": 1}
        assert found[3].scores[0] > 0.6
        peak = [frame(walker(100, score=0.5 if i == 3 else 0.12)) for i in range(7)]
        found, counts = refine(peak, smooth_scores_s=0.3)
        assert changes(counts) == {"n_lowered": 1}
        assert 0.12 < found[3].scores[0] < 0.3

    def test_weights_are_gaussian(self) -> None:
        """Three scores 0.1 s apart, standard deviation 0.1 s: weights e^-0.5, 1, e^-0.5."""
        found, _ = refine([frame(walker(100, score=s)) for s in (0.4, 0.7, 0.4)], smooth_scores_s=0.1)
        side = np.exp(-0.5)
        assert found[1].scores[0] == pytest.approx((0.7 + 0.8 * side) / (1 + 2 * side))


class TestClass:
    def test_the_class_with_most_score_wins(self) -> None:
        rows = [walker(100, score=0.9, class_id=2)] * 2 + [walker(100, score=0.4, class_id=5)] * 3
        found, counts = refine([frame(row) for row in rows], one_class_per_object=True)
        assert [one.class_ids[0] for one in found] == [2] * 5, "1.8 against 1.2"
        assert changes(counts) == {"n_reclassified": 3}

    def test_other_objects_keep_theirs(self) -> None:
        rows = [(walker(100, class_id=2), walker(300, class_id=5)) for _ in range(4)]
        found, counts = refine([frame(*pair) for pair in rows], one_class_per_object=True)
        assert [sorted(one.class_ids.tolist()) for one in found] == [[2, 5]] * 4
        assert changes(counts) == {}


class TestGaps:
    def frames(self) -> list[Annotation]:
        return [frame(walker(100)), frame(walker(104)), frame(), frame(walker(112)), frame(walker(116))]

    @pytest.mark.parametrize(("rule", "score"), [("ignore", UNCERTAIN), ("label", np.float32(0.9))])
    def test_a_missed_object_is_added_on_its_way(self, rule: str, score: np.float32) -> None:
        found, counts = refine(self.frames(), fill_gaps=rule)
        assert changes(counts) == {"n_filled": 1}
        np.testing.assert_allclose(found[2].boxes_xyxy, [[108, 50, 128, 90]])
        assert found[2].scores[0] == score
        assert found[2].class_ids.tolist() == [0]

    def test_not_where_another_label_is(self) -> None:
        """It overlaps the missed object by 14.5 / 25.5: another object, as the class differs, but the same place."""
        frames = self.frames()
        frames[2] = frame(walker(113.5, score=0.8, class_id=4))
        found, counts = refine(frames, fill_gaps="label")
        assert (changes(counts), len(found[2])) == ({}, 1)
        frames[2] = frame(walker(116, score=0.8, class_id=4))  # 12 / 28
        found, counts = refine(frames, fill_gaps="label")
        assert (changes(counts), len(found[2])) == ({"n_filled": 1}, 2)

    def test_not_between_unsure_boxes(self) -> None:
        rows = [walker(100, score=0.2), walker(104, score=0.2), None, walker(112, score=0.2)]
        _, counts = refine([frame(row) if row else frame() for row in rows], fill_gaps="label")
        assert changes(counts) == {}

    def test_not_over_a_long_absence(self) -> None:
        frames = [frame(walker(100))] * 3 + [frame()] * 20 + [frame(walker(100))] * 3
        _, counts = refine(frames, fill_gaps="label")
        assert changes(counts) == {}


class TestFlickers:
    def test_seen_once_with_a_middling_score_becomes_uncertain(self) -> None:
        found, counts = refine([frame(), frame(walker(100, score=0.5)), frame()], flicker_max_score=0.6)
        assert changes(counts) == {"n_flickers": 1}
        assert found[1].scores.tolist() == [UNCERTAIN]

    @pytest.mark.parametrize(
        ("frames", "gap_s"),
        [
            pytest.param([frame(), frame(walker(100, score=0.7)), frame()], 0.1, id="sure"),
            pytest.param([frame(), frame(walker(100, score=0.2)), frame()], 0.1, id="no label anyway"),
            pytest.param([frame(), frame(walker(100, score=0.5)), frame(walker(101, score=0.1))], 0.1, id="seen twice"),
            pytest.param([frame(walker(100, score=0.5)), frame()], 0.1, id="first frame"),
            pytest.param([frame(), frame(walker(100, score=0.5))], 0.1, id="last frame"),
            pytest.param([frame(), frame(walker(100, score=0.5)), frame()], 0.6, id="neighbours too far in time"),
            pytest.param(
                [frame(looked=np.zeros((0, 4))), frame(walker(100, score=0.5)), frame()], 0.1, id="nobody looked there"
            ),
        ],
    )
    def test_what_stays(self, frames: list[Annotation], gap_s: float) -> None:
        found, counts = refine(frames, gap_s=gap_s, flicker_max_score=0.6)
        assert changes(counts) == {}
        for before, after in zip(frames, found, strict=True):
            np.testing.assert_array_equal(before.detections.scores, after.scores)


def test_the_number_of_boxes_stays_within_the_limit() -> None:
    rows = [[walker(40 * k + 2 * i) for k in range(6)] for i in range(5)]
    rows[2] = rows[2][:3]
    config = AnnotationConfig(max_detections=4, refine=NO_REFINEMENT.model_copy(update={"fill_gaps": "label"}))
    found, counts = refine_over_time([0.1 * i for i in range(5)], [frame(*r) for r in rows], config, size_wh=SIZE)
    assert counts.n_filled == 3
    assert [len(one) for one in found] == [4] * 5


def test_inputs_are_not_changed() -> None:
    frames = [frame(walker(100 + i, score=0.5 + 0.1 * (i % 2))) for i in range(5)]
    before = [a.detections.boxes_xyxy.copy() for a in frames]
    refine(frames, smooth_boxes_s=0.5, smooth_scores_s=0.5, one_class_per_object=True)
    for boxes, a in zip(before, frames, strict=True):
        np.testing.assert_array_equal(boxes, a.detections.boxes_xyxy)
