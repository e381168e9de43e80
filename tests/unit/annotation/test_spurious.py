"""Classes that a teacher names although nothing of the kind is there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.annotation.spurious import ClassEvidence, DroppedClass, find_spurious, judge_class, without_classes
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import STREET_6, Detections
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.json_fields import Fields

CAR, PERSON, BUS = (STREET_6.id_of(name) for name in ("car", "person", "bus"))
EVERYWHERE = as_boxes([[0, 0, 1000, 1000]])
N = 40
Row = tuple[float, float, float, int]  # left, top, score, class


def frame(*rows: Row, side: float = 20.0) -> Detections:
    boxes = as_boxes([(x, y, x + side, y + side) for x, y, _, _ in rows])
    return Detections(boxes, np.array([r[2] for r in rows]), np.array([r[3] for r in rows], np.int64))


def cars(i: int) -> list[Row]:
    """Return six cars that drive to the right."""
    return [(10.0 * i + 5, 100.0 * lane, 0.8, CAR) for lane in range(6)]


def found(extra: dict[int, Row], *, is_film: bool = True, regions: np.ndarray = EVERYWHERE) -> tuple[DroppedClass, ...]:
    frames = [frame(*cars(i), *([extra[i]] if i in extra else [])) for i in range(N)]
    return find_spurious([0.1 * i for i in range(N)], frames, [regions] * N, STREET_6, is_film=is_film)


@pytest.mark.parametrize("is_film", [True, False])
def test_a_few_unsure_boxes_here_and_there_are_no_class(is_film: bool) -> None:
    [one] = found({3: (500, 700, 0.4, PERSON), 20: (30, 800, 0.52, PERSON)}, is_film=is_film)
    assert (one.name, one.n_labels, one.n_places) == ("person", 2, 2)
    expected = "person, 2 boxes in 2 places, never surer than 0.52"
    assert str(one) == expected + (" and never followed over 3 frames" if is_film else "")


def test_one_bus_among_240_cars_stays_when_it_is_followed_or_sure() -> None:
    drives = {i: (6.0 * i, 700.0, 0.5, BUS) for i in range(5, 9)}
    assert found(drives) == ()
    assert [one.name for one in found(drives, is_film=False)] == ["bus"], "unsure, and it cannot be followed"
    assert found({7: (12.0, 700.0, 0.7, BUS)}, is_film=False) == ()


def test_people_who_only_stand_are_posts_but_cars_may_stand() -> None:
    post = dict.fromkeys(range(N), (700.0, 700.0, 0.7, PERSON))
    nothing_moves_there = as_boxes([[0, 0, 500, 600]])
    [one] = found(post, regions=nothing_moves_there)
    assert str(one).startswith("person, 40 boxes in 1 place, stands where it is, never surer than 0.00")
    parked = dict.fromkeys(range(N), (700.0, 700.0, 0.7, BUS))
    assert found(parked, regions=nothing_moves_there) == ()
    walks = {i: (700.0 + 3 * i, 700.0, 0.5, PERSON) for i in range(N)}
    assert found(walks, regions=EVERYWHERE) == ()


def test_the_most_frequent_class_always_stays() -> None:
    frames = [frame((5, 5, 0.35, PERSON)) if i == 3 else frame() for i in range(N)]
    assert find_spurious([0.1 * i for i in range(N)], frames, [EVERYWHERE] * N, STREET_6, is_film=True) == ()
    assert find_spurious([], [], [], STREET_6, is_film=False) == ()


@given(
    n=st.integers(1, 500), more=st.integers(0, 5000), best=st.floats(0, 1), longest=st.integers(0, 9) | st.none(),
    moving=st.floats(0, 1), name=st.sampled_from(["person", "bus"]),
)  # fmt: skip
def test_what_is_followed_stays_and_more_evidence_never_drops(
    n: int, more: int, best: float, longest: int | None, moving: float, name: str
) -> None:
    def judged(best: float, n_moving: int, longest: int | None) -> bool:
        evidence = ClassEvidence(
            name=name, n_labels=n, n_all=n + more, n_places=1, n_moving=n_moving, n_sure=n_moving if best >= 0.6 else 0,
            mean_score=best, best_score=best, longest=longest,
        )  # fmt: skip
        return judge_class(evidence) is None

    assert judged(best, int(moving * n), 3)
    if judged(best, int(moving * n), longest):
        assert judged(max(best, 0.6), n, longest)


def test_dropped_labels_become_uncertain_or_go_where_another_label_is() -> None:
    config = AnnotationConfig()
    boxes = as_boxes([[0, 0, 100, 100], [40, 10, 60, 30], [300, 300, 310, 330], [500, 0, 520, 30]])
    labels = Detections(boxes, np.array([0.9, 0.5, 0.45, 0.2], np.float32), np.array([CAR, PERSON, PERSON, PERSON]))
    train, test = (without_classes(labels, ["person"], STREET_6, config, is_test=is_test) for is_test in (False, True))
    assert train.scores.tolist() == pytest.approx([0.9, 0.3, 0.2], abs=1e-6), "the one behind the windshield is gone"
    assert (train.scores[1:] < config.min_score).all()
    assert len(test) == 4, "nothing is deleted from what judges"
    assert (test.scores < config.min_score).sum() == 3
    assert without_classes(labels, [], STREET_6, config, is_test=False) is labels


def test_json() -> None:
    one = DroppedClass("person", 16, 9, "never surer than 0.48")
    values = {"name": "person", "n_labels": 16, "n_places": 9, "reason": "never surer than 0.48"}
    assert DroppedClass.from_json(Fields(values, "")) == one
    assert str(one) == "person, 16 boxes in 9 places, never surer than 0.48"
