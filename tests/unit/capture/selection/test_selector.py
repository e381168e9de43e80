"""The rules in order, and the frames that come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from edge_autotuner.capture import FrameSelector, MotionResult, SelectedFrame, make_score
from edge_autotuner.config import SelectionConfig
from edge_autotuner.core import Frame
from edge_autotuner.errors import ConfigError
from support.cameras.selection_samples import THRESHOLD, BrightSquares, Square, frame_at, motion_of

UNKNOWN, EMPTY = motion_of(known=False), motion_of()


@dataclass
class _GivenScores:
    """Gives frames the scores of a list, by index, and notes which frames it was asked about."""

    scores: Sequence[float]
    is_costly: bool = False
    asked: list[int] = field(default_factory=list)
    motions: list[MotionResult] = field(default_factory=list)

    def score(self, frame: Frame, motion: MotionResult) -> float:
        self.asked.append(frame.index)
        self.motions.append(motion)
        return self.scores[frame.index]


def _selector(*, max_images: int = 1000, span_s: float = 1.0, **settings: Any) -> FrameSelector:
    options = {name: settings.pop(name) for name in ("seed", "start_s", "earlier") if name in settings}
    score = settings.pop("score", "uniform")
    if not isinstance(score, str):
        options["score"] = score
        score = "random"
    config = SelectionConfig.model_validate({"empty_fraction": 0, "score": score, **settings})
    return FrameSelector(config, max_images=max_images, span_s=span_s, threshold=THRESHOLD, **options)


def _run(selector: FrameSelector, motions: Sequence[MotionResult], *, gap_s: float = 0.1) -> list[SelectedFrame]:
    selected = []
    for index, motion in enumerate(motions):
        selected += selector.offer(frame_at(index, index * gap_s), motion)
    return selected + selector.finish()


def _indices(selected: Sequence[SelectedFrame]) -> list[int]:
    return [chosen.frame.index for chosen in selected]


def _moving(n: int, *, step_px: int = 5) -> list[MotionResult]:
    """Return results in which a square is at another place each time, never back within a second."""
    return [motion_of(Square(index * step_px % 80)) for index in range(n)]


def test_reasons_in_order() -> None:
    selector = _selector()
    motions = [UNKNOWN, EMPTY, motion_of(Square(5)), motion_of(Square(5)), motion_of(Square(30))]
    assert _indices(_run(selector, motions)) == [2, 4]
    assert selector.counts == {"background unknown": 1, "no motion": 1, "selected": 2, "nothing new": 1}
    assert selector.n_selected == 2


def test_no_frame() -> None:
    selector = _selector()
    assert selector.finish() == []
    assert selector.counts == {}


@pytest.mark.parametrize(("regions", "expected"), [("new", [[5, 20, 15, 30]]), ("all", None)])
def test_regions_that_a_teacher_looks_at(regions: str, expected: list[list[float]] | None) -> None:
    parked, new = Square(60), Square(5)
    selected = _run(_selector(regions=regions), [motion_of(parked), motion_of(parked, new)])
    assert _indices(selected) == [0, 1]
    assert selected[1].regions_xyxy.tolist() == (expected or selected[1].motion.regions_xyxy.tolist())
    assert len(selected[1].motion.regions_xyxy) == 2
    assert {chosen.reason for chosen in selected} == {"new motion"}


def test_new_regions_keep_their_type_and_order() -> None:
    selected = _run(_selector(), [motion_of(Square(5), Square(40), Square(70, 40, 6))])
    np.testing.assert_array_equal(selected[0].regions_xyxy, selected[0].motion.regions_xyxy)
    assert selected[0].regions_xyxy.dtype == np.float32


def test_spread_over_the_part() -> None:
    selector = _selector(max_images=4, span_s=1.0)
    assert _indices(_run(selector, _moving(10))) == [0, 3, 5, 8]
    assert selector.counts == {"selected": 4, "too soon": 6}


def test_over_budget() -> None:
    selector = _selector(max_per_hour=2)
    assert _indices(_run(selector, _moving(5))) == [0, 1]
    assert selector.counts == {"selected": 2, "over budget": 3}


def test_cheaper_rules_come_first() -> None:
    selector = _selector(min_gap_s=0.25, max_per_hour=2)
    motions = [motion_of(Square(5))] * 3 + [motion_of(Square(30)), motion_of(Square(60))] + [motion_of(Square(60))] * 3
    _run(selector, motions)
    assert selector.counts == {"selected": 2, "too soon": 4, "over budget": 2}


def test_frames_selected_before_an_interruption() -> None:
    selector = _selector(max_images=4, span_s=1.0, earlier=[-3.0, -2.0])
    assert selector.n_selected == 2
    assert len(_run(selector, _moving(10))) == 2
    assert selector.n_selected == 4
    assert selector.counts["selected"] == 2


@pytest.mark.parametrize(
    ("min_gap_s", "expected"), [(0.0, [1, 1, 1, 1]), (1.0, [1, 0, 0, 1])], ids=["no gap", "a gap of a second"]
)
def test_time_that_goes_backwards_stands_still(min_gap_s: float, expected: list[int]) -> None:
    selector = _selector(min_gap_s=min_gap_s, span_s=10.0, start_s=0.0)
    times_s = [5.0, 1.0, 5.5, 6.0]
    selected = [
        selector.offer(frame_at(index, time_s), motion)
        for index, (time_s, motion) in enumerate(zip(times_s, _moving(4), strict=True))
    ]
    assert [len(chosen) for chosen in selected] == expected


def test_slow_movement_adds_up_although_others_are_sent_in_between() -> None:
    slow = [(Square(60 + index, 40), Square(8 * index, 5)) for index in range(7)]
    selected = _run(_selector(), [motion_of(*squares) for squares in slow])
    assert [len(chosen.regions_xyxy) for chosen in selected] == [2, 1, 1, 2, 1, 1, 2]


@pytest.mark.parametrize("diversity", ["hash", "embedding"])
def test_frames_that_resemble_a_selected_one(diversity: str) -> None:
    selector = _selector(diversity=diversity, min_change_fraction=0)
    motions = [motion_of(Square(10, side=20)), motion_of(Square(11, side=20)), motion_of(Square(60, 40, 8))]
    assert _indices(_run(selector, motions)) == [0, 2]
    assert selector.counts == {"selected": 2, "too similar": 1}


def test_without_diversity_they_pass() -> None:
    assert len(_run(_selector(min_change_fraction=0), [motion_of(Square(10))] * 3)) == 3


def test_best_of_each_slot() -> None:
    score = _GivenScores([0.1, 0.9, 0.5, 0.3, 0.2, 0.8, 0.8, 0.1, 0.0, 0.4])
    selector = _selector(max_images=2, span_s=1.0, score=score)
    assert _indices(_run(selector, _moving(10))) == [1, 5]
    assert selector.counts == {"selected": 2, "outscored": 8}


def test_the_held_frame_comes_out_when_its_slot_ends() -> None:
    selector = _selector(max_images=2, span_s=1.0, score=_GivenScores([0.9, 0.1, 0.1, 0.1, 0.1, 0.5, 0.6]))
    given = [_indices(selector.offer(frame_at(index), motion)) for index, motion in enumerate(_moving(7))]
    assert given == [[], [], [], [], [], [0], []]
    assert selector.counts == {"outscored": 5, "selected": 1}
    assert _indices(selector.finish()) == [6]
    assert selector.finish() == []
    assert selector.counts.total() == 7


def test_a_slot_ends_with_a_frame_that_is_not_wanted_too() -> None:
    selector = _selector(max_images=2, span_s=1.0, score="motion-area")
    selector.offer(frame_at(0), motion_of(Square(5)))
    assert _indices(selector.offer(frame_at(5), UNKNOWN)) == [0]


def test_only_frames_that_passed_the_cheaper_rules_are_scored() -> None:
    score = _GivenScores([0.0] * 7)
    motions = [UNKNOWN, EMPTY, motion_of(Square(5)), EMPTY, motion_of(Square(5)), motion_of(Square(30)), EMPTY]
    _run(_selector(max_images=7, span_s=0.7, score=score), motions)
    assert score.asked == [2, 5]


def test_scores_see_the_regions_that_would_be_sent() -> None:
    score = _GivenScores([0.0] * 2)
    motions = [motion_of(Square(60)), motion_of(Square(60), Square(5))]
    _run(_selector(max_images=2, span_s=0.2, score=score), motions)
    assert score.motions[1].regions_xyxy.tolist() == [[5, 20, 15, 30]]
    assert score.motions[1].motion_fraction == 100 / (96 * 64)
    assert motions[1].motion_fraction == 200 / (96 * 64)


def test_slots_are_no_shorter_than_the_limits_allow() -> None:
    score = _GivenScores([index % 5 / 5 for index in range(30)])
    assert _indices(_run(_selector(max_per_hour=3600, score=score), _moving(30))) == [4, 14, 24]
    assert _indices(_run(_selector(min_gap_s=1.0, score=score), _moving(30))) == [4, 14, 24]


def test_the_gap_holds_between_slots() -> None:
    score = _GivenScores([index / 20 for index in range(20)])
    assert _indices(_run(_selector(min_gap_s=0.5, score=score), _moving(20))) == [4, 9, 14, 19]
    late_then_early = _GivenScores([0, 0, 0, 0, 1, 1, 0, 0, 0, 0])
    selector = _selector(min_gap_s=0.5, score=late_then_early)
    assert _indices(_run(selector, _moving(10))) == [4, 9]
    assert selector.counts["too soon"] == 4


@pytest.mark.parametrize(
    ("span_s", "n_slots", "expected"),
    [
        pytest.param(40.0, 2, list(range(0, 40)), id="single pictures: all"),
        pytest.param(0.4 * 40, 4, list(range(0, 40)), id="ten per slot: all"),
        pytest.param(0.1 * 40, 1, list(range(0, 40, 4)), id="ten per slot"),
        pytest.param(0.1 * 40, 2, list(range(0, 40, 2)), id="ten per slot of half the length"),
        pytest.param(0.1 * 400, 1, list(range(0, 400, 10)), id="once a second in a long slot"),
    ],
)
def test_a_costly_score_is_not_asked_about_every_frame(span_s: float, n_slots: int, expected: list[int]) -> None:
    n_frames = expected[-1] + (expected[1] - expected[0])
    score = _GivenScores([1.0] * n_frames, is_costly=True)
    selector = _selector(max_images=n_slots, span_s=span_s, score=score)
    _run(selector, _moving(n_frames), gap_s=span_s / n_frames)
    assert score.asked == expected
    assert selector.counts["too soon"] == n_frames - len(expected)


class _Decoder:
    """Hands out frames that share one buffer, and counts colour conversions."""

    def __init__(self) -> None:
        self._luma = np.zeros((64, 96), np.uint8)
        self.converted: list[int] = []

    def frame(self, index: int) -> Frame:
        self._luma[:] = index
        return Frame(index, index / 10, self._luma, lambda: self._to_bgr(index))

    def _to_bgr(self, index: int) -> Any:
        self.converted.append(index)
        return np.repeat(self._luma[:, :, None], 3, axis=2)


def test_a_held_frame_outlives_the_decoders_memory() -> None:
    decoder = _Decoder()
    selector = _selector(max_images=2, span_s=1.0, score=_GivenScores([0.1, 0.5, 0.2, 0.3, 0.4, 0, 0]))
    selected = []
    for index, motion in enumerate(_moving(7)):
        selected += selector.offer(decoder.frame(index), motion)
        motion.blurred_luma[:] = 0
        motion.mask[:] = False
    (chosen,) = selected
    assert chosen.frame.index == 1
    assert (chosen.frame.luma == 1).all()
    assert (chosen.frame.image_bgr == 1).all()
    assert chosen.motion.mask.sum() == 100
    assert int(chosen.motion.blurred_luma.max()) == 200
    assert decoder.converted == [0, 1, 5]


def test_uniform_converts_no_colours() -> None:
    decoder, selector = _Decoder(), _selector()
    assert sum(len(selector.offer(decoder.frame(index), motion)) for index, motion in enumerate(_moving(5))) == 5
    assert decoder.converted == []


def test_a_change_of_size_while_a_frame_is_held() -> None:
    selector = _selector(max_images=2, span_s=1.0, score="motion-area")
    larger = (120, 80)
    given = selector.offer(frame_at(0), motion_of(Square(5)))
    given += selector.offer(frame_at(1, size_wh=larger), motion_of(Square(5), size_wh=larger))
    given += selector.offer(frame_at(5, size_wh=larger), motion_of(Square(5), size_wh=larger))
    assert _indices(given + selector.finish()) == [0, 5]


def test_a_score_that_is_not_a_number() -> None:
    with pytest.raises(ValueError, match="_GivenScores gave frame 0 the score nan"):
        _run(_selector(score=_GivenScores([float("nan")])), [motion_of(Square(5))])


def test_the_score_of_the_settings() -> None:
    chosen = [_indices(_run(_selector(max_images=3, score="random", seed=seed), _moving(10))) for seed in range(5)]
    assert len({tuple(indices) for indices in chosen}) > 1
    with pytest.raises(ConfigError, match=r"selection\.score unsure"):
        _selector(score="unsure")


def test_a_score_that_is_given_wins_over_the_settings() -> None:
    config = SelectionConfig(score="unsure")
    selector = FrameSelector(config, max_images=1, span_s=1.0, threshold=20, score=_GivenScores([0.0, 1.0]))
    assert _indices(_run(selector, _moving(2))) == [1]


def test_with_a_student() -> None:
    config = SelectionConfig(score="confident", empty_fraction=0)
    score = make_score("confident", BrightSquares(), config)
    selector = FrameSelector(config, max_images=1, span_s=1.0, threshold=THRESHOLD, score=score)
    selected = []
    for index, grey in enumerate([150, 250, 200]):
        square = Square(20 * index, grey=grey)
        selected += selector.offer(frame_at(index, None, square), motion_of(square))
    assert _indices(selected + selector.finish()) == [1]


def _with_pauses(n: int, *, every: int = 50, pause: int = 25) -> list[MotionResult]:
    """Return results that are empty for a while again and again."""
    moving = _moving(n)
    return [EMPTY if index % every < pause else moving[index] for index in range(n)]


@pytest.mark.parametrize("score", ["uniform", "motion-area"])
def test_empty_frames_as_negatives(score: str) -> None:
    selector = _selector(max_images=100, span_s=1000.0, empty_fraction=0.1, score=score)
    selected = _run(selector, _with_pauses(1000), gap_s=1.0)
    empty = [chosen for chosen in selected if chosen.reason == "empty"]
    assert 5 <= len(empty) <= 10
    assert selector.counts["empty"] == len(empty)
    assert selector.counts["selected"] == len(selected) - len(empty)
    assert selector.n_selected == len(selected) <= 100
    assert _indices(selected) == sorted(_indices(selected))
    for chosen in empty:
        assert chosen.regions_xyxy.shape == (0, 4)
        assert chosen.regions_xyxy.dtype == np.float32
        assert not chosen.motion.has_motion


def test_negatives_count_for_the_budgets() -> None:
    selector = _selector(max_images=100, span_s=1000.0, empty_fraction=0.5, max_per_hour=10)
    selected = _run(selector, _with_pauses(1000), gap_s=1.0)
    assert len(selected) == 10
    assert selector.counts["empty"] > 0
    assert selector.counts.total() == 1000


def test_negatives_are_a_share_of_the_frames_selected_since_the_interruption() -> None:
    selector = _selector(max_images=100, span_s=200.0, empty_fraction=0.1, earlier=[float(i) for i in range(-50, 0)])
    assert _run(selector, [EMPTY] * 200, gap_s=1.0) == []


def test_no_negative_while_a_frame_is_held() -> None:
    motions = [motion_of(Square(5)), *[EMPTY] * 199]
    selector = _selector(max_images=2, span_s=200.0, empty_fraction=0.5, score="motion-area")
    selected = _run(selector, motions, gap_s=1.0)
    assert [(chosen.frame.index, chosen.reason) for chosen in selected] == [(0, "new motion"), (100, "empty")]


@pytest.mark.parametrize("arguments", [{"max_images": 0}, {"span_s": 0.0}])
def test_wrong_arguments(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=name):
        _selector(**arguments)
