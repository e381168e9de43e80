"""Labels of the test frames: several looks, fused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.annotation import (
    EnsembleTeacher,
    Labeller,
    MirroredTeacher,
    RegionTeacher,
    annotate_dataset,
    judging_teacher,
    refine_dataset,
)
from edge_autotuner.annotation.judge import mirror_boxes
from edge_autotuner.config import AnnotationConfig, JudgingConfig
from edge_autotuner.config.annotation import NO_REFINEMENT
from edge_autotuner.core import Deadline, NoProgress
from support.cameras.plain_scene import LABELS, GreyDetector, boxes_of, paint
from support.runs.dataset_folders import add_frame, new_store

FRAME = (700, 490)
CAR, PERSON = ("car", (20, 20, 60, 50)), ("person", (310, 220, 330, 270))
ALL_LOOKS = AnnotationConfig(test_labels=JudgingConfig(mirrored=True, finer_tiles=True))


def grey(detector: GreyDetector | None = None) -> RegionTeacher:
    return RegionTeacher(detector or GreyDetector(), ALL_LOOKS, labels=LABELS, name="grey")


def test_boxes_are_mirrored_and_back() -> None:
    boxes = np.array([[0, 0, 10, 5], [30, 2, 40, 9]], np.float32)
    assert mirror_boxes(boxes, 40).tolist() == [[30, 0, 40, 5], [0, 2, 10, 9]]
    assert mirror_boxes(mirror_boxes(boxes, 40), 40).tolist() == boxes.tolist()


def test_a_mirrored_teacher_says_the_same_about_what_looks_the_same_in_a_mirror() -> None:
    image = paint(FRAME, [CAR, PERSON])
    region = np.array([[10, 10, 80, 60]], np.float32)
    for regions in (None, region, region[:0]):
        plain, mirrored = (teacher.annotate(image, regions) for teacher in (grey(), MirroredTeacher(grey())))
        assert boxes_of(mirrored.detections) == boxes_of(plain.detections)
        assert mirrored.looked_xyxy.tolist() == plain.looked_xyxy.tolist()


def test_looks_that_agree_change_nothing_and_cost_their_sum() -> None:
    found = judging_teacher([grey()], ALL_LOOKS, labels=LABELS).annotate(paint(FRAME, [CAR, PERSON]), None)
    assert boxes_of(found.detections) == [CAR, PERSON]
    assert found.detections.scores.tolist() == pytest.approx([0.9, 0.9])
    assert found.n_calls == 5 + 5 + 10


def test_what_only_the_finest_look_shows_becomes_uncertain() -> None:
    small = GreyDetector(min_side_px=9.0)  # a person is 20 px wide: 5 px of the 2x2 tiles, and 7.1 px of the 3x3 ones
    finest = grey(GreyDetector(min_side_px=6.5))
    found = judging_teacher([finest], ALL_LOOKS, labels=LABELS).annotate(paint(FRAME, [PERSON]), None)
    assert found.detections.scores.tolist() == pytest.approx([0.3], abs=1e-5)
    assert (
        len(judging_teacher([grey(small)], ALL_LOOKS, labels=LABELS).annotate(paint(FRAME, [PERSON]), None).detections)
        == 0
    )


def test_without_further_looks_it_is_the_teacher_itself() -> None:
    teacher = grey()
    assert judging_teacher([teacher], AnnotationConfig(), labels=LABELS) is teacher


def test_every_teacher_has_one_vote() -> None:
    config = AnnotationConfig(teacher="a,b", test_labels=JudgingConfig(mirrored=True))
    members = [grey(GreyDetector(score=0.9)), grey(GreyDetector(score=0.5))]
    judge = judging_teacher(members, config, labels=LABELS)
    assert isinstance(judge, EnsembleTeacher)
    found = judge.annotate(paint(FRAME, [CAR]), None)
    assert found.detections.scores.tolist() == pytest.approx([0.7])
    assert (judge.name, found.n_calls) == ("grey + grey", 20)


def test_test_frames_are_labelled_by_the_judge_and_training_frames_by_the_teacher(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        for index in range(4):
            add_frame(store, index, "train" if index < 2 else "test", image=paint((200, 100), [CAR]))
        judge = judging_teacher([grey()], ALL_LOOKS, labels=LABELS)
        for _ in range(2):  # the second time nothing is asked
            summary = annotate_dataset(
                store, grey(), ALL_LOOKS, fingerprint="raw", deadline=Deadline(None), progress=NoProgress(),
                for_test=Labeller(judge, "judged"),
            )  # fmt: skip
            assert (summary.n_frames, summary.n_calls) == ({"train": 2, "test": 2}, 2 * 5 + 2 * 20)
            assert (summary.fingerprint, summary.test_teacher) == ("raw", "grey")
        rules = ALL_LOOKS.model_copy(update={"refine": NO_REFINEMENT})
        refine_dataset(
            store, rules, teacher="grey", raw_fingerprint="raw", fingerprint="final", test_fingerprint="judged"
        )
        assert [len(store.labelled(split)) for split in ("train", "test")] == [2, 2]
        assert [a.n_calls for _, a in store.labelled("test")] == [20, 20]
        with pytest.raises(ValueError, match="fingerprint of their own"):
            refine_dataset(
                store, rules, teacher="grey", raw_fingerprint="raw", fingerprint="judged", test_fingerprint="judged"
            )
