"""Changes that last, and blips."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.persistence import Persistence

Boxes = list[tuple[float, float, float, float]]


def _confirmed(n_frames: int, steps: list[tuple[float, Boxes]]) -> list[list[bool]]:
    persistence = Persistence(n_frames, slack_px=2)
    return [persistence.confirm(np.array(boxes, np.float32).reshape(-1, 4), time_s).tolist() for time_s, boxes in steps]


BOX = (50.0, 50.0, 60.0, 60.0)
FAR = (500.0, 50.0, 510.0, 60.0)


@pytest.mark.parametrize(
    ("n_frames", "steps", "expected"),
    [
        pytest.param(1, [(0.0, []), (0.1, [BOX])], [[], [True]], id="at once"),
        pytest.param(2, [(0.0, []), (0.1, [BOX]), (0.2, [BOX])], [[], [False], [True]], id="second frame"),
        pytest.param(3, [(0.0, []), *((t / 10, [BOX]) for t in (1, 2, 3))], [[], [False], [False], [True]], id="third"),
        pytest.param(2, [(0.0, []), (0.1, [BOX]), (0.2, []), (0.3, [BOX])], [[], [False], [], [False]], id="gap"),
        pytest.param(2, [(0.0, []), (0.1, [BOX]), (0.2, [FAR])], [[], [False], [False]], id="elsewhere"),
        pytest.param(2, [(0.0, [BOX])], [[True]], id="nothing before"),
        pytest.param(2, [(0.0, []), (0.6, [BOX])], [[], [True]], id="far apart in time"),
        pytest.param(2, [(5.0, []), (1.0, [BOX])], [[], [True]], id="time runs back"),
        pytest.param(2, [(0.0, []), (0.1, [BOX]), (0.2, [FAR, BOX])], [[], [False], [False, True]], id="one of two"),
    ],
)
def test_confirm(n_frames: int, steps: list[tuple[float, Boxes]], expected: list[list[bool]]) -> None:
    assert _confirmed(n_frames, steps) == expected


def test_a_fast_object_is_followed_by_its_size() -> None:
    """7 lengths a second: a box of 10 px moves 7 px in 0.1 s, and 2 px of slack; its own width reaches further."""
    for shift, expected in ((19, True), (20, False)):
        moved = (60.0 + shift - 10, 50.0, 70.0 + shift - 10, 60.0)
        steps: list[tuple[float, Boxes]] = [(0.0, []), (0.1, [BOX]), (0.2, [moved])]
        assert _confirmed(2, steps)[-1] == [expected]


def test_forgetting_lets_the_next_areas_count() -> None:
    persistence = Persistence(2, slack_px=0)
    persistence.confirm(np.zeros((0, 4), np.float32), 0.0)
    persistence.forget()
    assert persistence.confirm(np.array([BOX], np.float32), 0.1).tolist() == [True]
