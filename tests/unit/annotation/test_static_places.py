"""A sign that looks like somebody goes; a parked car, somebody who waits, and traffic stay."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.annotation import StaticPlaces, find_static_places, is_static
from edge_autotuner.config import RefinementConfig
from edge_autotuner.core import Detections

WHOLE = np.array([[0, 0, 640, 480]], np.float32)
NOTHING_MOVES = np.zeros((0, 4), np.float32)
SIGN, CAR = (30, 110, 50, 140), (400, 200, 460, 240)
Row = tuple[tuple[float, float, float, float], float]


def frame(*rows: Row) -> Detections:
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array([score for _, score in rows]), np.zeros(len(rows), np.int64))


def find(frames: list[Detections], *, span_s: float = 60.0, looked: list[np.ndarray] | None = None) -> StaticPlaces:
    return find_static_places(frames, looked or [WHOLE] * len(frames), RefinementConfig(), span_s=span_s)


def jitter(box: tuple[float, float, float, float], i: int) -> tuple[float, float, float, float]:
    dx = 0.5 * (-1) ** i
    return box[0] + dx, box[1], box[2] + dx, box[3]


def test_the_sign_is_found_and_the_parked_car_is_not() -> None:
    frames = [frame((jitter(SIGN, i), 0.4 + 0.02 * (i % 5)), (jitter(CAR, i), 0.8)) for i in range(20)]
    found = find(frames)
    assert found.boxes_xyxy.tolist() == [list(SIGN)]
    assert found.usual_score.tolist() == pytest.approx([0.44])
    assert found.score_std.tolist() == pytest.approx([np.std([0.4, 0.42, 0.44, 0.46, 0.48])])
    assert found.presence.tolist() == [1.0]


@pytest.mark.parametrize(("n_present", "n_found"), [(20, 1), (12, 1), (11, 0)])
def test_a_place_must_hold_a_box_most_of_the_time(n_present: int, n_found: int) -> None:
    """0.6 of 20 frames are 12."""
    frames = [frame((SIGN, 0.4)) if i < n_present else frame() for i in range(20)]
    assert len(find(frames)) == n_found


@pytest.mark.parametrize(("score", "n_found"), [(0.12, 1), (0.59, 1), (0.61, 0)])
def test_what_the_teacher_is_sure_of_is_an_object(score: float, n_found: int) -> None:
    assert len(find([frame((SIGN, score))] * 20)) == n_found


def test_traffic_that_passes_one_place_is_not_static() -> None:
    """In every frame some car covers the place, each a little elsewhere."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(60):
        dx, dy = rng.uniform(-10, 10), rng.uniform(-4, 4)
        frames.append(frame(((CAR[0] + dx, CAR[1] + dy, CAR[2] + dx, CAR[3] + dy), 0.5)))
    assert len(find(frames)) == 0


@pytest.mark.parametrize(("n_frames", "span_s"), [(9, 60.0), (20, 29.0), (0, 60.0)])
def test_too_little_to_say_always(n_frames: int, span_s: float) -> None:
    assert len(find([frame((SIGN, 0.4))] * n_frames, span_s=span_s)) == 0


def test_only_frames_in_which_the_place_was_seen_count() -> None:
    elsewhere = np.array([[300, 0, 640, 480]], np.float32)
    frames = [frame((SIGN, 0.4))] * 12 + [frame()] * 20
    assert len(find(frames)) == 0
    assert len(find(frames, looked=[WHOLE] * 12 + [elsewhere] * 20)) == 1


def test_order_does_not_matter() -> None:
    frames = [frame((jitter(SIGN, i), 0.3 + 0.01 * i), (CAR, 0.8)) for i in range(20)]
    there, back = find(frames), find(frames[::-1])
    np.testing.assert_allclose(there.boxes_xyxy, back.boxes_xyxy)
    np.testing.assert_allclose(there.usual_score, back.usual_score, rtol=1e-6)


class TestWhichBoxes:
    PLACES = StaticPlaces(*(np.array(part, np.float32) for part in ([SIGN], [0.45], [0.1], [1.0])))
    PASSING = np.array([[20, 90, 70, 160]], np.float32)

    @pytest.mark.parametrize(
        ("box", "score", "moving", "expected"),
        [
            pytest.param(SIGN, 0.5, NOTHING_MOVES, True, id="as usual"),
            pytest.param(SIGN, 0.9, NOTHING_MOVES, True, id="surer, but nothing moves"),
            pytest.param(SIGN, 0.7, PASSING, True, id="something moves, but not surer than three deviations"),
            pytest.param(SIGN, 0.9, PASSING, False, id="somebody passes"),
            pytest.param(CAR, 0.5, NOTHING_MOVES, False, id="elsewhere"),
        ],
    )
    def test_of_a_frame(
        self, box: tuple[float, float, float, float], score: float, moving: np.ndarray, expected: bool
    ) -> None:
        assert is_static(frame((box, score)), self.PLACES, moving).tolist() == [expected]

    def test_nothing(self) -> None:
        assert is_static(frame(), self.PLACES, NOTHING_MOVES).shape == (0,)
        assert is_static(frame((SIGN, 0.4)), StaticPlaces.none(), NOTHING_MOVES).tolist() == [False]
