"""The form in which detections leave the node."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from edge_autotuner.core import Detections
from edge_autotuner.core.observations import ObjectEvent, TrackedObjects
from support.service.output_samples import make_report


def test_the_form_is_stable() -> None:
    report = make_report(0, 1, index=7, captured_at=datetime(2026, 5, 4, 12, 30, 1, 250000, tzinfo=UTC))
    assert report.to_json() == {
        "camera": "front",
        "model": "bundle-1",
        "frame_index": 7,
        "time_s": 1.4,
        "captured_at": "2026-05-04T12:30:01.250000+00:00",
        "width": 640,
        "height": 480,
        "objects": [
            {"class": "person", "score": 0.8765, "box_xyxy": [10.0, 20.0, 30.3, 60.0]},
            {"class": "traffic light", "score": 0.8765, "box_xyxy": [10.0, 20.0, 30.3, 60.0]},
        ],
    }


def test_a_recording_has_no_wall_time() -> None:
    report = dataclasses.replace(make_report(), captured_at=None)
    assert report.to_json()["captured_at"] is None
    assert report.to_json()["objects"] == []


def test_the_text_is_one_line_of_the_same() -> None:
    report = make_report(0)
    assert json.loads(report.json_text) == report.to_json()
    assert "\n" not in report.json_text
    assert report.json_text.isascii()


def test_another_time_zone_keeps_its_offset() -> None:
    at = datetime(2026, 5, 4, 12, tzinfo=timezone(timedelta(hours=2)))
    assert make_report(captured_at=at).to_json()["captured_at"] == "2026-05-04T12:00:00+02:00"


@pytest.mark.parametrize(
    ("class_ids", "counts"),
    [
        pytest.param((), {}, id="empty"),
        pytest.param((1,), {"traffic light": 1}, id="one"),
        pytest.param((0, 1, 0), {"person": 2, "traffic light": 1}, id="several"),
    ],
)
def test_counts(class_ids: tuple[int, ...], counts: dict[str, int]) -> None:
    assert make_report(*class_ids).counts == counts


def test_a_number_that_json_does_not_know_is_an_error() -> None:
    nan = Detections(np.full((1, 4), np.nan, np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="finite"):
        dataclasses.replace(make_report(), detections=nan)


@pytest.mark.parametrize("class_id", [-1, 2])
def test_a_class_that_the_model_does_not_know_is_an_error(class_id: int) -> None:
    with pytest.raises(ValueError, match="class_ids"):
        make_report(0, class_id)


def test_followed_objects_have_their_id_and_say_what_they_did() -> None:
    crossed = ObjectEvent("crossed", 4, "person", "door", "in")
    tracked = TrackedObjects(np.array([4, 0]), (crossed,), {"door": {"in": {"person": 3}, "out": {}}})
    report = dataclasses.replace(make_report(0, 1), tracked=tracked).to_json()
    assert [row["id"] for row in report["objects"]] == [4, None]
    assert report["events"] == [
        {"kind": "crossed", "object_id": 4, "label": "person", "place": "door", "direction": "in"}
    ]
    assert report["places"] == {"door": {"in": {"person": 3}, "out": {}}}


def test_ids_must_fit_the_boxes() -> None:
    with pytest.raises(ValueError, match="1 object ids for 2 boxes"):
        dataclasses.replace(make_report(0, 1), tracked=TrackedObjects(np.array([4])))
