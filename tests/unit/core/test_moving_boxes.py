"""Where objects will be."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.core.moving_boxes import MovingBoxes, place_std_after

BOX = np.array([[100.0, 100.0, 140.0, 200.0]], np.float32)
FIRST = np.array([0])


def test_a_new_object_is_expected_where_it_was_seen() -> None:
    motion = MovingBoxes()
    motion.add(2.0, BOX)
    np.testing.assert_allclose(motion.expected(3.0), BOX)


def test_a_moving_object_is_expected_further_on() -> None:
    motion = MovingBoxes()
    motion.add(0.0, BOX)
    for step in range(1, 30):
        motion.see(FIRST, step / 10, BOX + step * 2)  # 20 pixels per second
    np.testing.assert_allclose(motion.expected(3.4), BOX + 68, atol=0.5)


def test_the_place_grows_uncertain_and_is_certain_again_when_seen() -> None:
    motion = MovingBoxes()
    motion.add(0.0, BOX)
    assert motion.place_stds(1.0)[0] == pytest.approx(place_std_after(1.0))
    assert place_std_after(0.1) < place_std_after(0.5) < place_std_after(1.0)
    motion.see(FIRST, 1.0, BOX)
    assert motion.place_stds(1.0)[0] < 0.05  # better than one measurement


def test_only_the_kept_objects_stay() -> None:
    motion = MovingBoxes()
    motion.add(0.0, np.concatenate([BOX, BOX + 50]))
    motion.keep(np.array([False, True]))
    assert len(motion) == 1
    np.testing.assert_allclose(motion.expected(0.0), BOX + 50)
