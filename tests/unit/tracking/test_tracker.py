"""Boxes of successive frames become objects with ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_autotuner.core import Detections
from edge_autotuner.tracking import NO_ID, Followed, ObjectTracker, TrackingRules

Square = tuple[float, float]  # centre of a box of 40 x 100 pixels
RED, BLUE, GREY = (20, 20, 200), (200, 20, 20), (120, 120, 120)
RATE_HZ = 10.0


class Film:
    """Shows a tracker one frame after the other."""

    def __init__(self, tracker: ObjectTracker) -> None:
        self.tracker = tracker
        self.index = 0

    def show(self, *centres: Square, colours: Sequence[tuple[int, ...]] = (), classes: Sequence[int] = ()) -> Followed:
        """Return what the tracker says of boxes with these centres."""
        image = np.full((400, 800, 3), GREY, np.uint8)
        boxes = np.array([(x - 20, y - 50, x + 20, y + 50) for x, y in centres], np.float32).reshape(-1, 4)
        for (x1, y1, x2, y2), colour in zip(boxes.astype(int), colours, strict=False):
            image[max(y1, 0) : y2, max(x1, 0) : x2] = colour
        ids = np.array(classes or [0] * len(centres), np.int64)
        found = Detections(boxes, np.full(len(centres), 0.9, np.float32), ids)
        self.index += 1
        return self.tracker.update(self.index / RATE_HZ, image, found)


def film(min_seen: int = 3, lost_s: float = 3.0) -> Film:
    return Film(ObjectTracker(2, TrackingRules(min_seen, lost_s)))


def walk(seen: Film, n_frames: int, *, start: Square = (100, 200), step: float = 4) -> list[Followed]:
    return [seen.show((start[0] + i * step, start[1])) for i in range(n_frames)]


def test_an_object_counts_once_it_was_seen_often_enough_and_keeps_its_id() -> None:
    followed = walk(film(min_seen=3), 8)
    assert [one.ids.tolist() for one in followed] == [[NO_ID], [NO_ID], *[[1]] * 6]
    assert [one.began for one in followed] == [(), (), (1,), *[()] * 5]


def test_a_single_box_is_noise() -> None:
    seen = film(min_seen=2)
    seen.show((100, 200))
    seen.show()
    assert seen.show((100, 200)).ids.tolist() == [NO_ID]


def test_an_object_that_was_hidden_has_its_id_again() -> None:
    seen = film()
    walk(seen, 10)
    for _ in range(10):
        assert len(seen.show().ids) == 0
    assert seen.show((100 + 20 * 4, 200)).ids.tolist() == [1]


def test_an_object_leaves_once_and_its_id_is_not_used_again() -> None:
    seen = film(lost_s=0.5)
    walk(seen, 5)
    left = [seen.show().left for _ in range(10)]
    assert [one for one in left if one] == [((1, 0),)]
    assert walk(seen, 5)[-1].ids.tolist() == [2]


def test_people_who_cross_keep_their_ids() -> None:
    """One hides the other for a moment; the boxes alone do not tell who came out where."""
    seen = film()
    for i in range(41):
        left, right = (100 + 5 * i, 200), (300 - 5 * i, 202)
        is_hidden = abs(left[0] - right[0]) < 40
        centres = [left] if is_hidden else [left, right]
        followed = seen.show(*centres, colours=[RED] if is_hidden else [RED, BLUE])
    assert followed.ids.tolist() == [1, 2]


def test_the_class_is_that_of_most_scores() -> None:
    seen = film()
    for class_id in (1, 1, 1, 0, 1):
        followed = seen.show((100, 200), classes=[class_id])
    assert followed.class_ids.tolist() == [1]
    assert followed.ids.tolist() == [1]


def test_boxes_of_another_class_elsewhere_are_another_object() -> None:
    seen = film(min_seen=1)
    seen.show((100, 200), classes=[0])
    assert seen.show((125, 200), classes=[1]).ids.tolist() == [2]


@pytest.mark.parametrize("time_s", [5.0, 1.0], ids=["stands still", "runs backwards"])
def test_all_objects_leave_where_time_does_not_advance(time_s: float) -> None:
    tracker = ObjectTracker(1, TrackingRules(1, 3.0))
    image = np.zeros((100, 100, 3), np.uint8)
    box = Detections(np.array([[10, 10, 40, 60]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    tracker.update(5.0, image, box)
    followed = tracker.update(time_s, image, box)
    assert followed.left == ((1, 0),)
    assert followed.ids.tolist() == [2]


@pytest.mark.parametrize("rules", [(0, 1.0), (1, 0.0), (1, float("nan"))])
def test_impossible_rules(rules: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="min_seen >= 1 and lost_s > 0"):
        TrackingRules(*rules)


def test_a_model_that_sees_ghosts_everywhere_costs_bounded_work() -> None:
    tracker = ObjectTracker(1, TrackingRules(1, 3600.0))
    image = np.zeros((1000, 1000, 3), np.uint8)
    corners = np.random.default_rng(0).uniform(0, 990, (6, 700, 2))
    for index, corner in enumerate(corners.astype(np.float32)):
        boxes = np.concatenate([corner, corner + 2 + index], axis=1)
        scores = np.linspace(0.1, 0.9, len(boxes), dtype=np.float32)
        followed = tracker.update(float(index), image, Detections(boxes, scores, np.zeros(len(boxes), np.int64)))
        assert len(followed.ids) == 700
        assert np.flatnonzero(followed.ids != NO_ID).tolist() == list(range(200, 700)), "the surest are followed"
        assert len(followed.left) <= 500
    assert tracker.n_kept <= 1500


frames = st.lists(st.lists(st.tuples(st.floats(-50, 850), st.floats(-50, 450)), max_size=6), min_size=1, max_size=12)


@settings(max_examples=40)
@given(frames)
def test_whatever_comes_ids_are_told_apart_and_everything_that_began_may_leave_once(shown: list[list[Square]]) -> None:
    seen = film(min_seen=2, lost_s=0.3)
    began: list[int] = []
    left: list[int] = []
    for centres in [*shown, [], [], [], [], []]:
        followed = seen.show(*centres)
        ids = followed.ids[followed.ids != NO_ID].tolist()
        began += followed.began
        left += [object_id for object_id, _ in followed.left]
        assert len(followed.ids) == len(centres)
        assert len(set(ids)) == len(ids)
        assert set(ids) <= set(began) - set(left)
    assert began == list(range(1, len(began) + 1))
    assert sorted(left) == began
