"""The student's second look: what is fused, what stays the teacher's, and what an interruption leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.annotation import RegionTeacher, UsualClasses, fuse_with_student, look_again
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.config.annotation import NO_REFINEMENT
from edge_autotuner.core import Annotation, Deadline, Detections, DetectorBase, FakeClock, LabelMap, NoProgress
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.dataset.records import annotation_to_json
from support.runs.dataset_folders import add_frame, annotation, new_store

CONFIG = AnnotationConfig(look="full", refine=NO_REFINEMENT)
Row = tuple[float, float, float, float, float, int]
WALKER: Row = (10.0, 10.0, 20.0, 34.0, 0.8, 0)


class Student(DetectorBase):
    """Says the same about every picture, and counts how often it is asked."""

    input_size_wh: SizeWH = (64, 48)

    def __init__(self, labels: LabelMap, rows: Sequence[Row]) -> None:
        self.labels = labels
        self.n_asked = 0
        self._found = annotation(*rows).detections

    def detect(self, image_bgr: ImageArray) -> Detections:
        self.n_asked += 1
        return self._found


def student_of(store: DatasetStore, *rows: Row) -> tuple[RegionTeacher, Student]:
    student, config = Student(store.labels, rows), CONFIG.model_copy(update={"tile_grid": 1})
    return RegionTeacher(student, config, labels=store.labels, name="student"), student


def filled(folder: Path, n_frames: int = 6) -> DatasetStore:
    store = new_store(folder)
    for index in range(n_frames + 2):
        record = add_frame(store, index, "train" if index < n_frames else "test")
        store.add_annotation(record, annotation(WALKER), teacher="t", fingerprint="raw")
    store.use_annotations("labels", teacher="t", min_score=0.3, uncertain_score=0.1)
    return store


def look(
    store: DatasetStore,
    teacher: RegionTeacher,
    *,
    fingerprint: str = "both",
    deadline: Deadline | None = None,
    n_parallel: int = 1,
    config: AnnotationConfig = CONFIG,
    dropped: Sequence[str] = (),
) -> list[tuple[int, Annotation]]:
    labelled = look_again(
        store,
        teacher,
        config,
        teacher="t",
        raw_fingerprint="raw",
        fingerprint=fingerprint,
        deadline=deadline or Deadline(None),
        progress=NoProgress(),
        n_parallel=n_parallel,
        dropped=dropped,
    )
    return [(record.index, found) for record, found in labelled]


def test_only_training_frames_get_both_opinions_and_the_labels_stay_the_teachers(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        teacher, _ = student_of(store, WALKER)
        assert [index for index, _ in look(store, teacher)] == list(range(6))
        assert store.fingerprint == "labels"
        assert all(store.annotation_of(record, "both") is None for record in store.frames("test"))


def test_what_the_refinement_has_dropped_stays_dropped(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        teacher, _ = student_of(store, WALKER)
        [(_, both), *_] = look(store, teacher, config=AnnotationConfig(look="full"), dropped=["person"])
    assert len(both.detections) == 1
    assert (both.detections.scores < CONFIG.min_score).all()


def test_what_both_see_keeps_its_score_and_what_one_sees_loses_half(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        teacher, _ = student_of(store, WALKER, (40.0, 10.0, 50.0, 34.0, 0.9, 0))
        _, both = look(store, teacher)[0]
    np.testing.assert_allclose(both.detections.scores, [0.8, 0.45], rtol=1e-6)
    np.testing.assert_allclose(both.detections.boxes_xyxy, [WALKER[:4], (40.0, 10.0, 50.0, 34.0)], rtol=1e-6)


def test_the_student_says_nothing_about_places_that_the_teacher_has_not_looked_at(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        teacher, _ = student_of(store, WALKER, (40.0, 10.0, 50.0, 34.0, 0.9, 0))
        left_half = np.array([[0, 0, 32, 48]], np.float32)
        before = Annotation(annotation(WALKER).detections, left_half)
        said = UsualClasses([before.detections], CONFIG.min_score)
        both = fuse_with_student(before, teacher, np.zeros((48, 64, 3), np.uint8), CONFIG, said)
    assert len(both.detections) == 1
    np.testing.assert_array_equal(both.looked_xyxy, left_half)


@pytest.mark.parametrize(
    ("usual", "sure", "expected"),
    [
        pytest.param([0, 0, 1], 0.95, 0, id="the teacher usually calls it otherwise"),
        pytest.param([0, 1, 1], 0.95, 1, id="the teacher wavers, and the student is surer"),
        pytest.param([0, 1, 1], 0.7, 0, id="the student is less sure"),
    ],
)
def test_an_object_gets_another_class_only_if_the_teacher_says_so_itself(
    tmp_path: Path, usual: list[int], sure: float, expected: int
) -> None:
    box = WALKER[:4]
    said = UsualClasses([annotation((*box, 0.8, class_id)).detections for class_id in usual], CONFIG.min_score)
    with filled(tmp_path) as store:
        teacher, _ = student_of(store, (*box, sure, 1))
        both = fuse_with_student(annotation(WALKER), teacher, np.zeros((48, 64, 3), np.uint8), CONFIG, said)
    assert both.detections.class_ids.tolist() == [expected]
    np.testing.assert_allclose(both.detections.scores, [(0.8 + sure) / 2], rtol=1e-5)


def test_what_the_teacher_does_not_label_is_called_what_the_student_says(tmp_path: Path) -> None:
    said = UsualClasses([annotation(WALKER).detections], CONFIG.min_score)
    with filled(tmp_path) as store:
        teacher, _ = student_of(store, (40.0, 10.0, 50.0, 34.0, 0.9, 1))
        both = fuse_with_student(annotation(WALKER), teacher, np.zeros((48, 64, 3), np.uint8), CONFIG, said)
    assert both.detections.class_ids.tolist() == [1, 0], "by falling score"


def test_a_student_is_asked_once_about_a_frame(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        teacher, student = student_of(store, WALKER)
        first = look(store, teacher)
        n_asked = student.n_asked
        again = look(store, teacher)
        assert student.n_asked == n_asked > 0
        other, _ = student_of(store)
        changed = look(store, other, fingerprint="of another student")
    assert [i for i, _ in again] == [i for i, _ in first]
    np.testing.assert_allclose(changed[0][1].detections.scores, [0.4], rtol=1e-6)


def test_a_deadline_leaves_frames_that_are_spread_over_time(tmp_path: Path) -> None:
    with filled(tmp_path, n_frames=8) as store:
        clock = FakeClock()
        deadline = Deadline(2.5, clock)
        teacher, student = student_of(store, WALKER)
        ask = student.detect

        def slow(image_bgr: ImageArray) -> Detections:
            clock.advance(1.0)
            return ask(image_bgr)

        student.detect = slow  # type: ignore[method-assign]
        some = [index for index, _ in look(store, teacher, deadline=deadline)]
        assert store.fingerprint == "labels"
        everything = [index for index, _ in look(store, teacher)]
    assert some == sorted(some)
    assert 1 <= len(some) < 8
    assert everything == list(range(8))


def test_fused_labels_are_refined_like_the_teachers(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"refine": AnnotationConfig().refine.model_copy(update={"static_min_s": 0.0})})
    faint = (10.0, 10.0, 20.0, 34.0, 0.4, 0)
    with new_store(tmp_path) as store:
        for index in range(12):
            record = add_frame(store, index, "train", regions_xyxy=np.zeros((0, 4), np.float32))
            store.add_annotation(record, annotation(faint), teacher="t", fingerprint="raw")
        teacher, _ = student_of(store, faint)
        labelled = look_again(
            store,
            teacher,
            config,
            teacher="t",
            raw_fingerprint="raw",
            fingerprint="both",
            deadline=Deadline(None),
            progress=NoProgress(),
        )
    scores = np.concatenate([found.detections.scores for _, found in labelled])
    assert scores.max() < config.min_score, "a faint thing that always stands there is uncertain"


@pytest.mark.parametrize("rows", [(), (WALKER,)])
def test_no_opinion_at_all_is_an_empty_annotation(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    with new_store(tmp_path) as store:
        record = add_frame(store, 0, "train")
        store.add_annotation(record, annotation(), teacher="t", fingerprint="raw")
        store.use_annotations("labels", teacher="t", min_score=0.3, uncertain_score=0.1)
        teacher, _ = student_of(store, *rows)
        ((_, found),) = look(store, teacher)
    assert len(found.detections) == len(rows)


def test_frames_looked_at_at_the_same_time_get_the_labels_of_one_after_the_other(tmp_path: Path) -> None:
    found = []
    for n_parallel in (1, 3):
        with filled(tmp_path / str(n_parallel)) as store:
            teacher, student = student_of(store, WALKER, (40.0, 10.0, 50.0, 34.0, 0.9, 1))
            both = look(store, teacher, n_parallel=n_parallel)
            found.append([(index, annotation_to_json(one, store.labels)) for index, one in both])
        assert student.n_asked == 6 * both[0][1].n_calls - 6 * annotation(WALKER).n_calls
    assert found[0] == found[1]
