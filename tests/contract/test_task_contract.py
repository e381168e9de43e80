"""What every task must do; a task is tested by being listed in `TASKS`, with sample values in `task_values`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.core.tasks import TASKS, Task, task_named, task_of
from edge_autotuner.errors import ConfigError
from support.task_values import LABELS, SIZE_WH, VALUES

SOME = 5


@pytest.fixture(params=TASKS.names)
def task(request: pytest.FixtureRequest) -> Task:
    return task_named(request.param)


@pytest.fixture(params=[0, 1, SOME], ids=["empty", "one", "some"])
def found(request: pytest.FixtureRequest, task: Task) -> Detections:
    return VALUES[task.name](request.param)


def labels_of(task: Task) -> LabelMap:
    return LabelMap(LABELS.names, task.name)


def test_every_task_has_sample_values() -> None:
    assert set(VALUES) == set(TASKS.names), "tests/support/task_values.py makes values of every task"


def test_every_part_is_there(task: Task) -> None:
    assert [getattr(task, part) is None for part in task.parts] == [False] * len(task.parts)
    assert issubclass(task.value, Detections)
    assert len(task.value.empty()) == 0


def test_a_label_map_names_its_task(task: Task) -> None:
    labels = labels_of(task)
    assert task_of(labels) is task
    assert task_of(labels.with_names(["a"])) is task
    assert LabelMap.from_json(Fields(labels.to_json(), "")) == labels


def test_the_value_is_of_the_task_s_type(task: Task, found: Detections) -> None:
    assert type(found) is task.value


def test_json_keeps_every_number(task: Task, found: Detections) -> None:
    text = json.dumps(task.codec.to_json(found), allow_nan=False)
    assert task.codec.from_json(Fields(json.loads(text) | {"beside": 1}, "")).equals(found)


def test_columns_keep_every_number(task: Task, found: Detections) -> None:
    text = json.dumps(task.codec.to_columns(found), allow_nan=False)
    assert task.codec.from_columns(json.loads(text)).equals(found)


def test_bytes_keep_every_number(task: Task, found: Detections) -> None:
    content = task.codec.to_bytes(found)
    assert task.codec.from_bytes(content).equals(found)
    assert task.codec.to_bytes(task.codec.from_bytes(content)) == content


@pytest.mark.parametrize("content", [b"", b"\x01", b"\xff" * 40])
def test_other_bytes_are_refused(task: Task, content: bytes) -> None:
    with pytest.raises(ValueError, match="not"):
        task.codec.from_bytes(content)


def test_json_without_a_column_is_refused(task: Task) -> None:
    columns = task.codec.to_json(VALUES[task.name](SOME))
    for name in columns:
        rest = {key: value for key, value in columns.items() if key != name}
        with pytest.raises(ValueError, match=name):
            task.codec.from_json(Fields(rest, ""))


def test_rows_and_records_describe_every_item(task: Task, found: Detections) -> None:
    for rows in (
        task.codec.to_rows(found, LABELS),
        task.codec.to_coco_results(found),
        task.codec.to_coco_labels(found),
    ):
        assert len(rows) == len(found)
        json.dumps(rows, allow_nan=False)
    assert [row["class"] for row in task.codec.to_rows(found, LABELS)] == [LABELS[i] for i in found.class_ids]


def test_similarity_is_symmetric_and_within_0_and_1(task: Task, found: Detections) -> None:
    others = VALUES[task.name](SOME + 2)
    table = task.similarity(found, others)
    assert table.shape == (len(found), len(others))
    np.testing.assert_allclose(table, task.similarity(others, found).T, atol=1e-6)
    assert ((table >= 0) & (table <= 1)).all()
    np.testing.assert_allclose(np.diag(task.similarity(found, found)), 1, atol=1e-6)


def test_mirroring_twice_changes_nothing(task: Task, found: Detections) -> None:
    width = SIZE_WH[0]
    once = found.mirrored(width)
    assert type(once) is task.value
    assert once.mirrored(width).equals(found)
    if len(found) > 1:
        assert not once.equals(found)


def test_shifting_and_scaling_can_be_undone(task: Task, found: Detections) -> None:
    assert found.shifted(16, 8).shifted(-16, -8).equals(found)
    larger = (SIZE_WH[0] * 2, SIZE_WH[1] * 4)
    there = found.scaled(from_size_wh=SIZE_WH, to_size_wh=larger)
    assert there.scaled(from_size_wh=larger, to_size_wh=SIZE_WH).equals(found)


def test_merging_returns_some_of_the_items_whole(task: Task, found: Detections) -> None:
    merged = task.merge([found, found], merge_iou=0.5, max_detections=100, same_object_iou=None)
    assert type(merged) is task.value
    assert len(merged) <= len(found)
    assert (np.diff(merged.scores) <= 0).all()
    for i in range(len(merged)):
        one = merged.select(np.array([i]))
        assert any(one.equals(found.select(np.array([j]))) for j in range(len(found)))


def test_fusing_a_teacher_with_itself_changes_nothing(task: Task, found: Detections) -> None:
    alone = task.merge([found], merge_iou=0.5, max_detections=100, same_object_iou=None)
    knows = np.ones((2, len(LABELS)), np.bool_)
    fused = task.fuse([alone, alone], weights=(1.0, 1.0), knows=knows, fusion_iou=0.5, same_object_iou=None)
    assert type(fused) is task.value
    assert len(fused) == len(alone)
    np.testing.assert_allclose(fused.boxes_xyxy, alone.boxes_xyxy, atol=1e-3)
    np.testing.assert_allclose(fused.scores, alone.scores, atol=1e-6)


def test_drawing_names_every_item(task: Task, found: Detections) -> None:
    svg = task.draw(found, labels_of(task), highlighted=np.zeros(len(found), np.bool_), width=SIZE_WH[0])
    assert svg.count("<title>") == len(found)


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no task 'cubes'; choose from boxes"):
        task_of(LabelMap(("a",), "cubes"))
