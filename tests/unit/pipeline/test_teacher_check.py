"""A teacher that is worse than the model it teaches is noticed without human labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.annotation import MirroredTeacher, RegionTeacher
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import STREET_6, Detections
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.pipeline.teacher_check import TeacherCheck, check_against_start, compare_looks
from support.cameras.plain_scene import LABELS, GreyDetector, paint
from support.runs.dataset_folders import add_frame, new_store

CONFIG = AnnotationConfig(check_teacher_frames=3)
CAR, TRUCK = STREET_6.id_of("car"), STREET_6.id_of("truck")
N = 20


def cars(rng: np.random.Generator, *, found: float, jitter_px: float, class_id: int = CAR) -> list[Detections]:
    """Return ten cars per frame as somebody sees them who misses some, and is inexact."""
    frames = []
    for _ in range(N):
        corners = np.stack([np.arange(10) * 60.0, np.full(10, 20.0)], axis=1)
        boxes = np.concatenate([corners, corners + 40], axis=1) + rng.normal(0, jitter_px, (10, 4))
        seen = rng.random(10) < found
        frames.append(Detections(as_boxes(boxes[seen]), np.full(seen.sum(), 0.7), np.full(seen.sum(), class_id)))
    return frames


def compared(teacher: dict[str, float], start: dict[str, float], **of_start: int) -> TeacherCheck:
    rng = np.random.default_rng(0)
    looks = [cars(rng, **teacher) for _ in range(2)] + [cars(rng, **start, **of_start) for _ in range(2)]
    check = compare_looks(*looks, labels=STREET_6, config=CONFIG)
    assert check is not None
    return check


def test_the_side_that_sees_less_and_wavers_is_the_worse_one() -> None:
    good, bad = {"found": 0.95, "jitter_px": 1.0}, {"found": 0.6, "jitter_px": 5.0}
    assert compared(bad, good).may_be_worse
    assert compared(bad, good).warning.startswith("The teacher may be worse on this camera than the model")
    assert not compared(good, bad).may_be_worse
    assert compared(good, good).warning == "", "equal sides say nothing"


def test_car_or_truck_does_not_count() -> None:
    good = {"found": 0.95, "jitter_px": 1.0}
    assert compared(good, good, class_id=TRUCK).teacher_ap == pytest.approx(compared(good, good).teacher_ap, abs=0.05)


def test_nothing_to_compare() -> None:
    nothing = [Detections.empty()] * 3
    assert compare_looks(nothing, nothing, nothing, nothing, labels=STREET_6, config=CONFIG) is None


def test_some_training_frames_are_looked_at_once_more(tmp_path: Path) -> None:
    teacher = RegionTeacher(GreyDetector(), CONFIG, labels=LABELS, name="grey")
    with new_store(tmp_path) as store:
        for index in range(8):
            image = paint((200, 100), [("car", (20, 20, 60, 50))])
            record = add_frame(store, index, "train", image=image)
            store.add_annotation(record, teacher.annotate(image, None), teacher="grey", fingerprint="raw")
        blind = GreyDetector(min_side_px=1000)
        check = check_against_start(store, "raw", MirroredTeacher(teacher), GreyDetector(), CONFIG)
        assert check is not None
        assert (check.n_frames, check.n_calls, check.teacher_ap, check.start_ap) == (3, 15, 1.0, 1.0)
        check = check_against_start(store, "raw", MirroredTeacher(teacher), blind, CONFIG)
        assert check is not None
        assert (check.may_be_worse, check.start_ap) == (False, 0.0)
    assert TeacherCheck.from_json(Fields(check.to_json(), "")) == check
