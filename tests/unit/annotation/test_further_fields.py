"""What a teacher says keeps every field on its way through views, rules and fusion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_autotuner.annotation import EnsembleTeacher, RegionTeacher, fuse_boxes, merge_views, refine_over_time
from edge_autotuner.annotation.background_labels import join_still_objects
from edge_autotuner.annotation.labels import split_labels
from edge_autotuner.annotation.second_look import UsualClasses, fuse_with_student
from edge_autotuner.annotation.static_places import find_static_places
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Detections, DetectorBase, LabelMap
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.types import ImageArray
from support.marked_detections import Marked, marked, three

LABELS = LabelMap(("a", "b", "c"))
CONFIG = AnnotationConfig(look="full")
IMAGE = np.zeros((48, 64, 3), np.uint8)
WHOLE = as_boxes([[0, 0, 64, 48]])


class MarkingDetector(DetectorBase):
    """Sees the same three objects in every picture."""

    labels = LABELS
    input_size_wh = (64, 48)

    def detect(self, image_bgr: ImageArray) -> Detections:
        return three()


def is_whole(found: Detections, n: int = 3) -> bool:
    return isinstance(found, Marked) and found.is_whole and len(found) == n


def teacher() -> RegionTeacher:
    return RegionTeacher(MarkingDetector(), CONFIG, labels=LABELS, name="t")


def test_a_teacher_and_an_ensemble_keep_them() -> None:
    assert is_whole(teacher().annotate(IMAGE, None).detections)
    ensemble = EnsembleTeacher([teacher(), teacher()], CONFIG, labels=LABELS)
    assert is_whole(ensemble.annotate(IMAGE, None).detections)


def test_merging_and_fusing_keep_them() -> None:
    assert is_whole(merge_views([three(), three()], merge_iou=0.5, max_detections=9, same_object_iou=0.9))
    knows = np.ones((2, 3), np.bool_)
    assert is_whole(fuse_boxes([three(), three()], weights=(1, 2), knows=knows, fusion_iou=0.5, same_object_iou=0.9))


def test_still_objects_and_training_labels_keep_them() -> None:
    moving = three().select(np.array([0]))
    joined = join_still_objects(moving, three(), as_boxes([[0, 0, 40, 40]]), CONFIG)
    assert is_whole(joined)
    assert is_whole(split_labels(Annotation(three(), WHOLE), CONFIG).objects)


def test_the_rules_about_time_keep_them() -> None:
    times_s = [0.1 * i for i in range(5)]
    seen = [Annotation(three().shifted(2.0 * i, 0), WHOLE) for i in range(5)]
    seen[2] = replace(seen[2], detections=three().shifted(4, 0).select(np.array([0, 1])))  # the third is missed once
    found, counts = refine_over_time(times_s, seen, CONFIG.model_copy(), size_wh=(64, 48))
    assert counts.n_smoothed > 0
    assert counts.n_filled == 1
    assert all(is_whole(one) for one in found)


def test_a_second_look_keeps_them() -> None:
    usual = UsualClasses([three()], 0.3)
    assert is_whole(fuse_with_student(Annotation(three(), WHOLE), teacher(), IMAGE, CONFIG, usual).detections)


def test_static_places_are_found_in_any_value() -> None:
    stone = marked([[10, 10, 20, 20]], [0.4], [1])
    places = find_static_places([stone] * 12, [WHOLE] * 12, CONFIG.refine, span_s=1e6)
    assert len(places) == 1
