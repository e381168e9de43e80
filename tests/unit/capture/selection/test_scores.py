"""Scores by hand; what holds for all of them is in the contract suite."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture import make_score
from edge_autotuner.capture.selection.student_scores import DisagreementScore
from edge_autotuner.config import SelectionConfig
from edge_autotuner.config.capture import ScoreName
from edge_autotuner.core import Detections, Detector
from edge_autotuner.core.types import ImageArray
from edge_autotuner.errors import ConfigError
from support.cameras.selection_samples import BrightSquares, Square, frame_at, motion_of

CONFIG = SelectionConfig(score_threshold=0.4)


def _score(name: ScoreName, *squares: Square, moving: tuple[Square, ...] | None = None, index: int = 0) -> float:
    """Return the score of a frame with squares, of which all move unless said otherwise."""
    score = make_score(name, BrightSquares(), CONFIG, seed=1)
    return score.score(frame_at(index, None, *squares), motion_of(*(squares if moving is None else moving)))


def _car(score: float, left: int = 30) -> Square:
    """Return a square that the student finds with this score."""
    return Square(left, grey=round(score * 255))


@pytest.mark.parametrize("name", ["uniform", "random", "motion-area"])
def test_scores_that_need_none(name: ScoreName) -> None:
    assert not make_score(name, None, CONFIG).is_costly


def test_uniform() -> None:
    assert _score("uniform", _car(0.5)) == _score("uniform", _car(0.9), _car(0.8, 60), index=3)


def test_random_depends_on_seed_and_index() -> None:
    scores = [
        make_score("random", None, CONFIG, seed).score(frame_at(index), motion_of())
        for seed in range(20)
        for index in range(20)
    ]
    assert len(set(scores)) == 400
    assert np.mean(scores) == pytest.approx(0.5, abs=0.05)


def test_motion_area() -> None:
    assert _score("motion-area", Square(10, side=16), Square(50, side=8)) == (256 + 64) / (96 * 64)
    assert _score("motion-area") == 0


@pytest.mark.parametrize(
    ("squares", "moving", "expected"),
    [
        pytest.param((_car(0.6),), None, 0.6, id="one"),
        pytest.param((_car(0.6), _car(0.8, 60)), None, 0.8, id="the surest counts"),
        pytest.param((_car(0.6), _car(0.8, 60)), (_car(0.6),), 0.6, id="what does not move does not count"),
        pytest.param((), (_car(0.6),), 0.0, id="motion that the student does not see"),
    ],
)
def test_confident_and_unsure(squares: tuple[Square, ...], moving: tuple[Square, ...] | None, expected: float) -> None:
    assert _score("confident", *squares, moving=moving) == pytest.approx(expected, abs=1e-6)
    assert _score("unsure", *squares, moving=moving) == pytest.approx(1 - expected, abs=1e-6)


@pytest.mark.parametrize(
    ("squares", "expected"),
    [
        pytest.param((_car(0.4),), 1.0, id="on the threshold"),
        pytest.param((_car(0.7),), 0.5, id="half of the way to 1"),
        pytest.param((_car(1.0),), 0.0, id="as far as possible"),
        pytest.param((_car(1.0), _car(0.7, 60)), 0.5, id="the closest counts"),
        pytest.param((), 0.0, id="nothing"),
    ],
)
def test_near_threshold(squares: tuple[Square, ...], expected: float) -> None:
    assert _score("near-threshold", *squares) == pytest.approx(expected, abs=0.01)


def test_near_threshold_ignores_what_does_not_move() -> None:
    assert _score("near-threshold", _car(0.4), moving=(_car(0.9, 60),)) == 0


@pytest.mark.parametrize(
    ("squares", "moving", "min_share", "expected"),
    [
        pytest.param((_car(0.8),), None, 0.0, 0.0, id="seen in both"),
        pytest.param((_car(0.8),), None, 0.5, 1.0, id="seen close up only"),
        pytest.param((_car(0.8), Square(60, side=30)), None, 0.1, 1 / 3, id="one of two seen close up only"),
        pytest.param((_car(0.3),), None, 0.0, 0.0, id="below the threshold"),
        pytest.param((), (_car(0.8),), 0.0, 0.0, id="nothing in either"),
        pytest.param((), (), 0.0, 0.0, id="no region"),
        pytest.param((_car(0.8), _car(0.8, 60)), (_car(0.8, 60),), 0.0, 0.0, id="others do not move"),
    ],
)
def test_disagreement(
    squares: tuple[Square, ...], moving: tuple[Square, ...] | None, min_share: float, expected: float
) -> None:
    score = make_score("disagreement", BrightSquares(min_share=min_share), CONFIG)
    motion = motion_of(*(squares if moving is None else moving))
    assert score.score(frame_at(0, None, *squares), motion) == pytest.approx(expected)


def test_an_object_that_reaches_out_of_its_region_is_the_same_one() -> None:
    square, region = Square(30, side=20), Square(30, side=12)  # 60 % of the width are inside
    assert _disagreement_of(BrightSquares(), square, region) == 0


class _OtherClassCloseUp(BrightSquares):
    """Takes for a person what it called a car in a larger picture."""

    def detect(self, image_bgr: ImageArray) -> Detections:
        found = super().detect(image_bgr)
        return Detections(found.boxes_xyxy, found.scores, found.class_ids * (image_bgr.shape[1] > 50))


def test_another_class_is_another_object() -> None:
    assert _disagreement_of(_OtherClassCloseUp(), Square(30), Square(30)) == 1


def _disagreement_of(detector: Detector, square: Square, moving: Square) -> float:
    return DisagreementScore(detector, 0.4).score(frame_at(0, None, square), motion_of(moving))


class _SeesTwiceFromAfar(BrightSquares):
    """Reports every object of a large picture twice."""

    def detect(self, image_bgr: ImageArray) -> Detections:
        found = super().detect(image_bgr)
        return Detections.concatenate([found] * (2 if image_bgr.shape[1] > 50 else 1))


def test_an_object_is_matched_once() -> None:
    assert _disagreement_of(_SeesTwiceFromAfar(), Square(30), Square(30)) == pytest.approx(1 / 3)


def test_the_largest_regions_are_looked_at() -> None:
    large = [Square(2 + 15 * column, 30, 12) for column in range(6)]
    small = Square(40, 5, 4)
    score = DisagreementScore(BrightSquares(min_share=0.01), 0.4)  # misses the small one from afar
    assert score.score(frame_at(0, None, small), motion_of(small)) == 1
    assert score.score(frame_at(0, None, small, *large), motion_of(small, *large)) == 0


def test_inferences_of_one_frame_are_bounded() -> None:
    squares = [Square(4 + 11 * column, 4 + 11 * row, 8) for column in range(8) for row in range(5)]
    detector = BrightSquares()
    DisagreementScore(detector, 0.4).score(frame_at(0, None, *squares), motion_of(*squares))
    assert detector.n_calls == 7


@pytest.mark.parametrize("name", ["confident", "unsure", "near-threshold", "disagreement"])
def test_scores_that_need_a_student(name: ScoreName) -> None:
    assert make_score(name, BrightSquares(), CONFIG).is_costly
    with pytest.raises(ConfigError, match=f"selection.score {name} needs an edge model; give one"):
        make_score(name, None, SelectionConfig())
