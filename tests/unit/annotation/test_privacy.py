"""A teacher behind the privacy filter: what it is shown, what it is not asked, and what is said about hidden places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_autotuner.annotation import PrivacyFilter, ProtectedTeacher, RegionTeacher, without_hidden
from edge_autotuner.config import AnnotationConfig, PrivacyConfig
from edge_autotuner.core import Annotation, Detections, LabelMap
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.types import ImageArray
from support.cameras.plain_scene import LABELS, GreyDetector, boxes_of, paint

FRAME = (400, 300)
CAR, PERSON = ("car", (40, 40, 80, 70)), ("person", (200, 150, 220, 200))
PERSONS = LabelMap(("person",))


class Onlooker(GreyDetector):
    """A detector that remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[ImageArray] = []

    def detect(self, image_bgr: ImageArray) -> Detections:
        self.shown.append(image_bgr.copy())
        return super().detect(image_bgr)


def guarded(privacy: dict[str, Any], **annotation: Any) -> tuple[ProtectedTeacher, Onlooker]:
    onlooker = Onlooker()
    config = AnnotationConfig.model_validate({"crop_margin": 0.0, "min_crop_px": 16, **annotation})
    teacher = RegionTeacher(onlooker, config, labels=LABELS, name="grey")
    finder = GreyDetector() if "hide_classes" in privacy else None
    return ProtectedTeacher(teacher, PrivacyFilter(PrivacyConfig(**privacy), config, finder)), onlooker


def scene() -> ImageArray:
    return paint(FRAME, [CAR, PERSON])


def test_a_hidden_object_is_not_shown_and_not_labelled() -> None:
    teacher, onlooker = guarded({"hide_classes": ("person",), "hide_margin": 0.2})
    image = scene()
    before = image.copy()
    annotation = teacher.annotate(image, None)
    assert (image == before).all(), "the picture itself stays"
    assert boxes_of(annotation.detections) == [CAR]
    assert onlooker.shown[0][145:205, 195:225].std() < before[145:205, 195:225].std() / 3
    looked = annotation.looked_xyxy
    x, y = 210, 175
    assert not ((looked[:, 0] < x) & (x < looked[:, 2]) & (looked[:, 1] < y) & (y < looked[:, 3])).any()
    n_hidden = round((20 * 1.4) * (50 * 1.4))
    areas = (looked[:, 2:] - looked[:, :2]).prod(axis=1).sum()
    assert areas == pytest.approx(400 * 300 - n_hidden, abs=150)


@pytest.mark.parametrize("privacy", [{"send": "crops"}, {"outside": "blur"}, {"outside": "background"}])
def test_without_regions_nothing_is_shown(privacy: dict[str, Any]) -> None:
    teacher, onlooker = guarded(privacy)
    for look in ("tiles", "full", "crops"):
        annotation = teacher.looking(look).annotate(scene(), None)  # type: ignore[arg-type]
        assert (annotation.n_calls, len(annotation.looked_xyxy), len(annotation.detections)) == (0, 0, 0)
    assert teacher.annotate(scene(), as_boxes([])).n_calls == 0
    assert onlooker.shown == []


def test_crops_stay_crops_however_it_is_asked_to_look() -> None:
    teacher, onlooker = guarded({"send": "crops"})
    annotation = teacher.looking("tiles").annotate(scene(), as_boxes([[30, 30, 90, 80]]))
    assert [image.shape for image in onlooker.shown] == [(50, 60, 3)]
    assert boxes_of(annotation.detections) == [CAR]
    assert annotation.looked_xyxy.tolist() == [[30, 30, 90, 80]]


def test_whole_frames_show_only_what_moves() -> None:
    teacher, onlooker = guarded({"outside": "blur"}, look="full")
    annotation = teacher.annotate(scene(), as_boxes([[30, 30, 90, 80]]))
    (shown,) = onlooker.shown
    assert shown.shape == (300, 400, 3)
    assert (shown[30:80, 30:90] == scene()[30:80, 30:90]).all()
    assert shown[150:200, 200:220].std() > 0, "colours run into each other"
    assert boxes_of(annotation.detections) == [CAR]
    assert annotation.looked_xyxy.tolist() == [[30, 30, 90, 80]]


def test_an_unwanted_object_of_the_background_is_hidden_too() -> None:
    config = AnnotationConfig(crop_margin=0.0, min_crop_px=16)
    rules = PrivacyConfig(outside="background", hide_classes=("person",))
    privacy = PrivacyFilter(rules, config, GreyDetector())
    background = paint(FRAME, [PERSON])[:, :, 1]
    treated = privacy.treat(paint(FRAME, [CAR]), as_boxes([[30, 30, 90, 80]]), background)
    assert len(GreyDetector().detect(treated.image_bgr).above(0.1)) >= 1
    assert treated.image_bgr[150:200, 200:220].std() < background[145:205, 195:225].std() / 2


@pytest.mark.parametrize(("rules", "is_flat"), [({"outside": "blur"}, True), ({"outside": "background"}, False)])
def test_a_stored_background(rules: dict[str, Any], is_flat: bool) -> None:
    config = AnnotationConfig()
    stripes = np.zeros((120, 160), np.uint8)
    stripes[:, ::2] = 255
    seen = PrivacyFilter(PrivacyConfig(**rules), config, None).treat_background(stripes)
    assert seen.shape == stripes.shape
    assert (seen.std() < 30) == is_flat


def test_what_finds_objects_must_know_them() -> None:
    config = AnnotationConfig()
    with pytest.raises(ValueError, match="needs a detector"):
        PrivacyFilter(PrivacyConfig(hide_classes=("person",)), config, None)
    with pytest.raises(Exception, match="dog"):
        PrivacyFilter(PrivacyConfig(hide_classes=("dog",)), config, GreyDetector())


def test_a_label_that_is_mostly_visible_stays() -> None:
    detections = Detections(as_boxes([[0, 0, 10, 10], [0, 0, 10, 10]]), [0.9, 0.8], [0, 1])  # type: ignore[arg-type]
    said = Annotation(detections, as_boxes([[0, 0, 100, 100]]), 3, 7)
    kept = without_hidden(said, as_boxes([[0, 0, 10, 2], [0, 1, 10, 2]]))
    assert len(kept.detections) == 2
    assert len(without_hidden(said, as_boxes([[0, 0, 10, 2], [0, 2, 10, 4]])).detections) == 0
    assert (kept.n_calls, kept.n_pixels) == (3, 7)
    assert without_hidden(said, as_boxes([])) is said
