"""Every score that chooses among frames, the same expectations."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from edge_autotuner.capture import FrameScore, MotionResult, make_score
from edge_autotuner.config import SelectionConfig
from edge_autotuner.config.capture import ScoreName
from edge_autotuner.core import Frame
from support.cameras.selection_samples import BrightSquares, Square, frame_at, motion_of

NAMES: tuple[ScoreName, ...] = get_args(ScoreName)
SCENES: dict[str, tuple[Square, ...]] = {
    "no region": (),
    "one": (Square(30),),
    "dark, so that the student does not see it": (Square(30, grey=20),),
    "several": (Square(5, grey=120), Square(30, grey=180), Square(60, 10, 30, 255)),
    "overlapping": (Square(30), Square(35)),
    "the whole frame": (Square(0, 0, 64),),
    "a single pixel": (Square(95, 63, 1),),
}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> ScoreName:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def score(name: ScoreName) -> FrameScore:
    return _new(name)


def _new(name: ScoreName) -> FrameScore:
    return make_score(name, BrightSquares(min_share=0.02), SelectionConfig(), seed=7)


def _cases() -> list[tuple[Frame, MotionResult]]:
    return [(frame_at(index, None, *squares), motion_of(*squares)) for index, squares in enumerate(SCENES.values())]


def _scores(score: FrameScore, cases: list[tuple[Frame, MotionResult]]) -> list[float]:
    return [score.score(frame, motion) for frame, motion in cases]


def test_between_zero_and_one(score: FrameScore) -> None:
    for value in _scores(score, _cases()):
        assert type(value) is float
        assert 0 <= value <= 1


def test_the_same_in_every_run(name: ScoreName) -> None:
    assert _scores(_new(name), _cases()) == _scores(_new(name), _cases())


def test_depends_on_the_frame_alone(score: FrameScore) -> None:
    cases = _cases()
    expected = _scores(score, cases)
    assert _scores(score, cases[::-1]) == expected[::-1]
    assert _scores(score, cases[3:]) == expected[3:]


def test_arguments_are_not_changed(score: FrameScore) -> None:
    for (frame, motion), (same_frame, same_motion) in zip(_cases(), _cases(), strict=True):
        for array in (frame.luma, frame.image_bgr, motion.mask, motion.blurred_luma, motion.regions_xyxy):
            array.flags.writeable = False
        score.score(frame, motion)
        np.testing.assert_array_equal(frame.image_bgr, same_frame.image_bgr)
        np.testing.assert_array_equal(motion.regions_xyxy, same_motion.regions_xyxy)


def test_frames_of_any_size(score: FrameScore) -> None:
    size_wh = (31, 200)
    frame, motion = frame_at(0, None, Square(3), size_wh=size_wh), motion_of(Square(3), size_wh=size_wh)
    assert 0 <= score.score(frame, motion) <= 1
