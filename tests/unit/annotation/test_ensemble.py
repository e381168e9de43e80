"""Several teachers asked together."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.annotation import EnsembleTeacher, RegionTeacher, known_classes
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import LabelMap
from edge_autotuner.errors import ConfigError
from support.cameras.plain_scene import LABELS, GreyDetector, boxes_of, paint

FRAME = (700, 490)
CAR, PERSON = ("car", (20, 20, 60, 50)), ("person", (310, 220, 330, 270))


def member(detector: GreyDetector, labels: LabelMap = LABELS, name: str = "grey", **settings: object) -> RegionTeacher:
    return RegionTeacher(detector, AnnotationConfig.model_validate(settings), labels=labels, name=name)


def ensemble(*members: RegionTeacher, **settings: object) -> EnsembleTeacher:
    names = ",".join(f"t{i}" for i in range(len(members)))
    config = AnnotationConfig.model_validate({"teacher": names} | settings)
    return EnsembleTeacher(members, config, labels=LABELS)


def test_scores_are_averaged_and_costs_add_up() -> None:
    teacher = ensemble(
        member(GreyDetector(score=0.9), name="big"),
        member(GreyDetector(score=0.5, input_size_wh=(120, 100)), name="small"),
    )
    found = teacher.annotate(paint(FRAME, [CAR, PERSON]), None)
    assert boxes_of(found.detections) == [CAR, PERSON]
    assert found.detections.scores.tolist() == pytest.approx([0.7, 0.7])
    assert (found.n_calls, found.n_pixels) == (10, 2 * (700 * 490 + 4 * 400 * 280))
    assert found.looked_xyxy.tolist() == [[0, 0, *FRAME]]
    assert (teacher.name, teacher.input_size_wh, teacher.labels) == ("big + small", (120, 100), LABELS)


def test_what_only_one_sees_becomes_uncertain_or_goes() -> None:
    blind = GreyDetector(min_side_px=1000)
    image = paint(FRAME, [CAR])
    for score, expected in ((0.5, [0.25]), (0.18, [])):
        found = ensemble(member(GreyDetector(score=score)), member(blind)).annotate(image, None)
        assert found.detections.scores.tolist() == pytest.approx(expected), "below 0.1 nothing is kept"


def test_each_class_needs_one_member_that_knows_it() -> None:
    people = member(GreyDetector(labels=LabelMap(("person", "car"))), LabelMap(("person",)))
    cars = member(GreyDetector(), LabelMap(("car",)))
    found = ensemble(cars, people).annotate(paint(FRAME, [CAR, PERSON]), None)
    assert boxes_of(found.detections) == [CAR, PERSON]
    assert found.detections.scores.tolist() == pytest.approx([0.9, 0.9]), "nobody votes against what it does not know"
    with pytest.raises(ConfigError, match="none of the teachers grey, grey supports the classes person"):
        ensemble(cars, cars)


def test_looking_is_passed_on() -> None:
    one = member(GreyDetector(), look="crops", min_crop_px=100)
    teacher = ensemble(one, one)
    image, region = paint(FRAME, [CAR]), np.array([[20, 20, 60, 50]], np.float32)
    assert teacher.annotate(image, region).n_calls == 2, "one crop each"
    assert teacher.looking("tiles").annotate(image, region).n_calls == 10


def test_one_weight_for_each() -> None:
    weighted = ensemble(member(GreyDetector(score=0.9)), member(GreyDetector(score=0.5)), teacher_weights=(1.0, 3.0))
    assert weighted.annotate(paint(FRAME, [CAR]), None).detections.scores.tolist() == pytest.approx([0.6])
    config = AnnotationConfig(teacher="a", teacher_weights=(1.0,))
    with pytest.raises(ConfigError, match="teacher_weights has 1 numbers for 2 teachers"):
        EnsembleTeacher([member(GreyDetector())] * 2, config, labels=LABELS)


def test_known_classes() -> None:
    assert known_classes(LABELS, LabelMap(("boat", "car")), teacher="t") == LabelMap(("car",))
    with pytest.raises(ConfigError, match="teacher t supports none of the classes person, car"):
        known_classes(LABELS, LabelMap(("boat",)), teacher="t")
