"""What can be done with the detections of one picture."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.core import COCO_80, STREET_6, Detections, LabelMap
from support.marked_detections import Marked, three


def detections() -> Detections:
    boxes = np.array([[0, 0, 10, 10], [5, 5, 25, 25], [-8, 2, -1, 9]], np.float64)
    return Detections(boxes, np.array([0.5, 0.9, 0.5]), np.array([2, 0, 1], np.int32))


def test_arrays_get_one_type() -> None:
    found = detections()
    assert (found.boxes_xyxy.dtype, found.scores.dtype, found.class_ids.dtype) == (np.float32, np.float32, np.int64)
    assert len(found) == 3


def test_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have one length, got \(1, 2, 1\)"):
        Detections(np.zeros((1, 4), np.float32), np.zeros(2, np.float32), np.zeros(1, np.int64))


def test_empty_detections_pass_every_operation() -> None:
    empty = Detections.empty()
    labels = LabelMap(("a",))
    for result in (
        empty.above(0.1),
        empty.sorted_by_score(5),
        empty.shifted(3, 4),
        empty.clipped((10, 10)),
        empty.relabelled(labels, labels),
        empty.select(np.zeros(0, bool)),
        Detections.concatenate([]),
        Detections.concatenate([empty, empty]),
    ):
        assert (len(result), result.boxes_xyxy.shape) == (0, (0, 4))


def test_sorting_is_stable_and_limited() -> None:
    assert detections().sorted_by_score().class_ids.tolist() == [0, 2, 1]
    assert detections().sorted_by_score(2).class_ids.tolist() == [0, 2]
    assert len(detections().sorted_by_score(0)) == 0


def test_the_threshold_is_inclusive() -> None:
    assert len(detections().above(0.5)) == 3
    assert detections().above(0.51).class_ids.tolist() == [0]


def test_shifting_moves_both_corners() -> None:
    assert detections().shifted(100, 20).boxes_xyxy[0].tolist() == [100, 20, 110, 30]


def test_clipping_drops_what_is_outside() -> None:
    clipped = detections().clipped((20, 20))
    assert clipped.boxes_xyxy.tolist() == [[0, 0, 10, 10], [5, 5, 20, 20]]
    assert clipped.class_ids.tolist() == [2, 0]


def test_concatenation_keeps_the_order() -> None:
    joined = Detections.concatenate([detections(), Detections.empty(), detections().above(0.9)])
    assert joined.class_ids.tolist() == [2, 0, 1, 0]


def test_selecting_by_index_may_reorder_and_repeat() -> None:
    assert detections().select(np.array([1, 0, 1])).class_ids.tolist() == [0, 2, 0]


def test_relabelling_drops_classes_that_the_target_does_not_know() -> None:
    names = LabelMap(("bus", "dog", "person"))
    relabelled = detections().relabelled(names, STREET_6)  # person, bus, dog
    assert [STREET_6[i] for i in relabelled.class_ids] == ["person", "bus"]
    assert relabelled.scores.tolist() == pytest.approx([0.5, 0.9])


def test_relabelling_from_coco_to_street_classes() -> None:
    ids = np.array(COCO_80.ids_of(["truck", "cat", "bicycle"]))
    found = Detections(np.tile([0, 0, 4, 4], (3, 1)), np.ones(3), ids).relabelled(COCO_80, STREET_6)
    assert [STREET_6[i] for i in found.class_ids] == ["truck", "bicycle"]


def test_scaling_and_mirroring_move_both_corners() -> None:
    found = detections().select(np.array([1]))
    scaled = found.scaled(from_size_wh=(100, 50), to_size_wh=(200, 25))
    assert scaled.boxes_xyxy.tolist() == [[10, 2.5, 50, 12.5]]
    assert found.mirrored(100).boxes_xyxy.tolist() == [[75, 5, 95, 25]]


def test_classes_of_other_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"class_ids must be in 0\.\.1, got \[0, 1, 2\]"):
        detections().require_classes_of(LabelMap(("a", "b")))


@pytest.mark.parametrize("name", ["boxes_xyxy", "scores", "class_ids"])
def test_any_difference_counts(name: str) -> None:
    found = detections().select(np.array([0, 1]))
    assert found.equals(detections().select(np.array([0, 1])))
    changed = {"boxes_xyxy": found.with_boxes, "scores": found.with_scores, "class_ids": found.with_classes}[name]
    assert not found.equals(changed(getattr(found, name)[::-1]))


def test_every_method_keeps_further_fields() -> None:
    found, labels = three(), LabelMap(("a", "b", "c"))
    results = {
        "select": found.select(np.array([2, 0])),
        "above": found.above(0.6),
        "sorted": found.sorted_by_score(2),
        "with_boxes": found.with_boxes(found.boxes_xyxy + 1),
        "with_scores": found.with_scores(found.scores / 2),
        "with_classes": found.with_classes(found.class_ids.copy()),
        "shifted": found.shifted(3, 4),
        "scaled": found.scaled(from_size_wh=(10, 10), to_size_wh=(20, 30)),
        "mirrored": found.mirrored(100),
        "clipped": found.clipped((100, 10)),
        "relabelled": found.relabelled(labels, labels),
        "concatenate": Detections.concatenate([found, found.above(0.6)]),
    }
    for name, result in results.items():
        assert isinstance(result, Marked), name
        assert len(result) > 0, name
        assert result.is_whole, name
    assert [len(result) for result in (results["select"], results["sorted"], results["concatenate"])] == [2, 2, 5]


def test_a_further_field_of_another_length_is_refused() -> None:
    found = three()
    with pytest.raises(ValueError, match=r"serials must have one length, got \(3, 3, 3, 2\)"):
        Marked(found.boxes_xyxy, found.scores, found.class_ids, found.serials[:2])
