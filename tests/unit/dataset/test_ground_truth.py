"""Human boxes are found by frame index or file name, and mistakes in the file are named."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_autotuner.core import LabelMap
from edge_autotuner.dataset import FrameRecord, load_coco_truth
from edge_autotuner.dataset import ground_truth as module
from edge_autotuner.errors import ConfigError, EvaluationError
from helpers import shared_data

LABELS = LabelMap(("person", "car", "truck"))


def coco(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "images": [
            {"id": 10, "file_name": "a/1.jpg", "frame_index": 5, "width": 64, "height": 48},
            {"id": 11, "file_name": "b/1.jpg", "frame_index": 6},
            {"id": 12, "file_name": "b/2.jpg", "frame_index": 8},
        ],
        "categories": [{"id": 3, "name": "car"}, {"id": 7, "name": "truck"}],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 7, "bbox": [1, 2, 10, 20]},
            {"id": 2, "image_id": 10, "category_id": 3, "bbox": [0, 0.5, 4, 4], "iscrowd": 1},
            {"id": 3, "image_id": 12, "category_id": 3, "bbox": [5, 5, 1, 1], "iscrowd": 0},
        ],
    }
    return values | changes


def write(folder: Path, values: object) -> Path:
    path = folder / "gt.json"
    path.write_text(json.dumps(values))
    return path


def load(folder: Path, values: object, **changes: Any) -> module.CocoTruth:
    arguments: dict[str, Any] = {"labels": LABELS, "map_classes": {}}
    return load_coco_truth(write(folder, values), **(arguments | changes))


def frame(index: int, file_name: str | None, size_wh: tuple[int, int] = (64, 48)) -> FrameRecord:
    return FrameRecord("frames/x.jpg", "test", index, 0.0, size_wh, "", file_name, (), 0.0, None, "")


def test_boxes_of_a_video_frame(tmp_path: Path) -> None:
    truth = load(tmp_path, coco())
    found = truth.for_frame(5, None)
    assert found is not None
    boxes, class_ids, is_crowd = found
    np.testing.assert_array_equal(boxes, np.array([[1, 2, 11, 22], [0, 0.5, 4, 4.5]], np.float32))
    assert class_ids.tolist() == [2, 1]
    assert is_crowd.tolist() == [False, True]
    assert boxes.dtype == np.float32


def test_empty_is_not_absent(tmp_path: Path) -> None:
    truth = load(tmp_path, coco())
    empty = truth.for_frame(6, None)
    assert empty is not None
    assert [len(part) for part in empty] == [0, 0, 0]
    assert empty[0].shape == (0, 4)
    assert truth.for_frame(7, None) is None
    assert truth.for_frame(None, None) is None


@pytest.mark.parametrize(
    ("name", "n_boxes"),
    [
        pytest.param("a/1.jpg", 2, id="exact path"),
        pytest.param("b/1.jpg", 0, id="exact path, empty"),
        pytest.param("2.jpg", 1, id="unique base name"),
        pytest.param("elsewhere/2.jpg", 1, id="unique base name in another folder"),
        pytest.param("1.jpg", None, id="base name of two pictures"),
        pytest.param("3.jpg", None, id="unknown"),
    ],
)
def test_frames_of_a_folder(tmp_path: Path, name: str, n_boxes: int | None) -> None:
    found = load(tmp_path, coco()).for_frame(5, name)
    assert (None if found is None else len(found[0])) == n_boxes


def test_backslashes_and_leading_dot_are_paths_too(tmp_path: Path) -> None:
    images = [{"id": 10, "file_name": "a\\1.jpg"}, {"id": 12, "file_name": "./b/1.jpg"}]
    truth = load(tmp_path, coco(images=images))
    assert truth.for_frame(0, "a/1.jpg") is not None
    assert truth.for_frame(0, "b/1.jpg") is not None


def test_classes_are_mapped(tmp_path: Path) -> None:
    found = load(tmp_path, coco(), map_classes={"truck": "car"}).for_frame(5, None)
    assert found is not None
    assert found[1].tolist() == [1, 1]


def test_categories_that_are_not_scored_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        truth = load(tmp_path, coco(), labels=LabelMap(("car",)))
    found = truth.for_frame(5, None)
    assert found is not None
    assert len(found[0]) == 1
    assert truth.n_unknown == {"truck": 1}
    assert "skipped boxes of categories that are not scored: {'truck': 1}" in caplog.text


def bad(key: str, position: int, **changes: Any) -> dict[str, Any]:
    values = coco()
    values[key][position] = {k: v for k, v in (values[key][position] | changes).items() if v is not ...}
    return values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param([], "expected a COCO object, got list", id="list"),
        pytest.param(coco(images=3), "'images' must be a list", id="images"),
        pytest.param({"images": [], "annotations": []}, "'categories' must be", id="categories missing"),
        pytest.param(coco(images=[], annotations=[]), "'images' is empty", id="no images"),
        pytest.param(coco(annotations=[1]), "'annotations' must be a list of objects", id="number"),
        pytest.param(bad("images", 1, id=10), "two images have the same id", id="image id twice"),
        pytest.param(bad("images", 1, id="x"), r"images\[1\]: 'id' must be a whole number, got 'x'", id="image id"),
        pytest.param(bad("images", 1, frame_index=5), "two images have frame_index 5", id="frame twice"),
        pytest.param(bad("images", 1, file_name="a/1.jpg"), "two images have file_name 'a/1.jpg'", id="name twice"),
        pytest.param(bad("images", 1, file_name=7), r"images\[1\]: 'file_name' must be text, got 7", id="name"),
        pytest.param(bad("images", 1, frame_index=1.5), "'frame_index' must be a whole number", id="half frame"),
        pytest.param(
            bad("images", 1, file_name=..., frame_index=...), "neither 'file_name' nor 'frame_index'", id="nameless"
        ),
        pytest.param(bad("categories", 0, name=...), r"categories\[0\]: 'name' must be text", id="category name"),
        pytest.param(bad("categories", 0, id=7), "id 7 is used twice", id="category id twice"),
        pytest.param(bad("annotations", 2, image_id=99), r"annotations\[2\]: image_id 99 does not exist", id="image"),
        pytest.param(bad("annotations", 2, category_id=9), "category_id 9 does not exist", id="category"),
        pytest.param(bad("annotations", 2, category_id=...), "'category_id' must be a whole number", id="no category"),
        pytest.param(bad("annotations", 2, bbox=...), "'bbox' must be", id="no box"),
        pytest.param(bad("annotations", 2, bbox=[1, 2, 3]), "'bbox' must be", id="three numbers"),
        pytest.param(bad("annotations", 2, bbox=[1, 2, -3, 4]), "'bbox' must be", id="negative width"),
        pytest.param(bad("annotations", 2, bbox=[1, 2, 3, True]), "'bbox' must be", id="true"),
        pytest.param(bad("annotations", 2, bbox=[1, 2, 3, float("nan")]), "'bbox' must be", id="nan"),
        pytest.param(bad("annotations", 2, bbox=[1, 2, 0, 4]), "'bbox' must be .* with an area", id="no area"),
        pytest.param(bad("annotations", 0, bbox=[64, 2, 3, 4]), r"inside its image of \(64, 48\)", id="outside"),
        pytest.param(bad("annotations", 2, bbox=[-9, 2, 3, 4]), "inside its image", id="left of it"),
        pytest.param(bad("annotations", 2, bbox="1234"), "'bbox' must be .* got '1234'", id="text for a box"),
        pytest.param(bad("annotations", 2, iscrowd="0"), r"\[2\]: 'iscrowd' must be 0 or 1, got '0'", id="crowd text"),
        pytest.param(bad("annotations", 2, iscrowd=None), "'iscrowd' must be 0 or 1, got null", id="crowd null"),
        pytest.param(bad("annotations", 2, iscrowd=[]), "'iscrowd' must be 0 or 1", id="crowd list"),
        pytest.param(bad("annotations", 2, iscrowd=2), "'iscrowd' must be 0 or 1, got 2", id="crowd of two"),
        pytest.param(bad("annotations", 2, ignore="no"), "'ignore' must be 0 or 1", id="ignore text"),
        pytest.param(bad("annotations", 2, id=1), r"annotations\[2\]: duplicate .* 'id' 1", id="annotation id twice"),
        pytest.param(bad("annotations", 2, id="3"), r"annotations\[2\]: 'id' must be a whole number", id="id text"),
        pytest.param(bad("annotations", 2, image_id=True), "'image_id' must be a whole number, got True", id="true id"),
        pytest.param(bad("images", 0, width="64"), r"images\[0\]: 'width' must be a whole number", id="width text"),
        pytest.param(bad("images", 0, width=0), "'width' must be a whole number from 1 on, got 0", id="no width"),
        pytest.param(bad("images", 0, height=None), "'height' must be a whole number", id="width without height"),
        pytest.param(bad("images", 0, frame_index=-1), "'frame_index' must be a whole number from 0", id="before it"),
        pytest.param(bad("images", 0, file_name=""), "'file_name' must be text, got ''", id="empty name"),
        pytest.param(bad("categories", 1, name="car"), r"\[1\]: two categories have the name 'car'", id="name again"),
        pytest.param(bad("annotations", 2, bbox=[10**400, 2, 3, 4]), "'bbox' must be", id="huge"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, values: object, message: str) -> None:
    with pytest.raises(EvaluationError, match=message) as caught:
        load(tmp_path, values)
    assert "gt.json" in str(caught.value)


def test_no_class_in_common(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"car, truck, the model's classes person. Map them, e.g. car=pers"):
        load(tmp_path, coco(), labels=LabelMap(("person",)))


def test_wrong_class_maps(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="names lorry, neither"):
        load(tmp_path, coco(), map_classes={"lorry": "car"})
    with pytest.raises(ConfigError, match="unknown class 'boat'"):
        load(tmp_path, coco(), map_classes={"truck": "boat"})
    load(tmp_path, coco(), map_classes={"person": "person"})  # a class of the model that this truth lacks


def test_unreadable_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EvaluationError, match=r"cannot read ground truth .*No such file"):
        load_coco_truth(tmp_path / "no.json", labels=LABELS, map_classes={})
    path = tmp_path / "gt.json"
    for text in ("{", "[" * 200_000, ""):
        path.write_text(text)
        with pytest.raises(EvaluationError, match="is not valid JSON"):
            load_coco_truth(path, labels=LABELS, map_classes={})
    path.write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(EvaluationError, match="is not valid JSON"):
        load_coco_truth(path, labels=LABELS, map_classes={})
    monkeypatch.setattr(module, "MAX_JSON_BYTES", 2)
    with pytest.raises(EvaluationError, match="has 3 bytes, more than the limit of 2"):
        load_coco_truth(path, labels=LABELS, map_classes={})


def test_a_key_that_is_there_twice_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "gt.json"
    path.write_text(json.dumps(coco()).replace('"image_id": 12', '"image_id": 12, "image_id": 10'))
    with pytest.raises(EvaluationError, match="the key 'image_id' is a duplicate"):
        load_coco_truth(path, labels=LABELS, map_classes={})


def test_what_is_to_be_ignored_counts_as_a_crowd(tmp_path: Path) -> None:
    found = load(tmp_path, bad("annotations", 2, ignore=1)).for_frame(8, None)
    assert found is not None
    assert found[2].tolist() == [True]


def test_a_box_outside_of_a_frame_whose_picture_says_no_size(tmp_path: Path) -> None:
    truth = load(tmp_path, bad("annotations", 2, bbox=[64, 5, 1, 1]))
    with pytest.raises(EvaluationError, match=r"image 12 has the box \[64.*outside of frame 8 of size \(64, 48\)"):
        truth.check_frames([frame(8, None)])
    truth.check_frames([frame(8, None, (128, 96))])


def test_check_frames(tmp_path: Path) -> None:
    truth = load(tmp_path, coco())
    truth.check_frames([frame(5, None), frame(99, None)])
    truth.check_frames([frame(0, "a/1.jpg"), frame(1, "b/1.jpg")])
    with pytest.raises(EvaluationError, match=r"lists none of the 2 frames.* frame_index 5 to 8.* such as 'a/1.jpg'"):
        truth.check_frames([frame(0, None), frame(1, None)])
    with pytest.raises(EvaluationError, match="none of the 0 frames"):
        truth.check_frames([])
    with pytest.raises(EvaluationError, match=r"frames 'x/2.jpg' and 'y/2.jpg' both match the picture 'b/2.jpg'"):
        truth.check_frames([frame(0, "x/2.jpg"), frame(1, "y/2.jpg")])
    with pytest.raises(EvaluationError, match=r"frame 5 has size \(32, 24\), its labelled picture \(64, 48\)"):
        truth.check_frames([frame(5, None, (32, 24))])
    truth.check_frames([frame(6, None, (32, 24))])  # this picture does not say its size


def test_shared_ground_truths() -> None:
    pets = load_coco_truth(
        shared_data("scenes/pets2009_s2l1/gt_coco.json"), labels=LabelMap(("person",)), map_classes={}
    )
    assert (len(pets.pictures), sum(len(p.boxes_xyxy) for p in pets.pictures)) == (795, 4650)
    first = pets.for_frame(0, None)
    assert first is not None
    np.testing.assert_allclose(first[0][0], [499.2, 157.69, 530.23, 232.86], atol=1e-3)  # float32 sums
    ngsim = load_coco_truth(
        shared_data("scenes/ngsim_us101_seq1/gt_coco.json"), labels=LABELS, map_classes={"truck": "car"}
    )
    assert sum(len(p.boxes_xyxy) for p in ngsim.pictures) == 6292
    assert ngsim.for_frame(3, "test/99.jpg") is not None
    assert ngsim.for_frame(98, None) is None


@pytest.mark.parametrize(
    "bbox", [[0, 0, 1e300, 5], [0, 0, 5, 1e-300], [1e300, 0, 5, 5], [1e8, 0, 0.5, 5], [0, -1e300, 5, 5]]
)
def test_a_box_that_single_precision_does_not_hold(tmp_path: Path, bbox: list[float]) -> None:
    annotation = {"id": 1, "image_id": 11, "category_id": 3, "bbox": bbox}
    with pytest.raises(EvaluationError, match="'bbox' must be"):
        load(tmp_path, coco(annotations=[annotation]))
