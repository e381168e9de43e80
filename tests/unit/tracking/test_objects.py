"""What the objects of a camera do, as events and counts."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.core.observations import TrackedObjects
from edge_autotuner.tracking import CameraObjects, TrackingRules
from support.cameras.frames import frame_of

LABELS = LabelMap(("person", "car"))
LINES = {"door": ((0.5, 1.0), (0.5, 0.0))}
ZONES = {"lawn": ((0.6, 0.0), (1.0, 0.0), (1.0, 1.0), (0.6, 1.0))}
IMAGE = np.zeros((400, 800, 3), np.uint8)


def follow(
    objects: CameraObjects, *xs: float | None, first: int = 0, labels: LabelMap = LABELS
) -> list[TrackedObjects]:
    """Show one person at each x in turn; None: nobody."""
    tracked = []
    for index, x in enumerate(xs, start=first):
        boxes = np.array([] if x is None else [[x - 20, 150, x + 20, 250]], np.float32).reshape(-1, 4)
        found = Detections(boxes, np.full(len(boxes), 0.9, np.float32), np.zeros(len(boxes), np.int64))
        tracked.append(objects.update(frame_of(IMAGE, index=index, time_s=index / 5), found, labels))
    return tracked


def told(tracked: list[TrackedObjects]) -> list[tuple[str, str | None, str | None]]:
    return [(event.kind, event.place, event.direction) for one in tracked for event in one.events]


def objects_at(**places: object) -> CameraObjects:
    return CameraObjects(TrackingRules(2, 1.0), **places)  # type: ignore[arg-type]


def test_a_person_walks_through_the_picture() -> None:
    objects = objects_at(lines=LINES, zones=ZONES)
    tracked = follow(objects, *range(300, 700, 20), *[None] * 10)
    assert told(tracked) == [
        ("appeared", None, None),
        ("crossed", "door", "in"),
        ("entered", "lawn", None),
        ("exited", "lawn", None),
        ("left", None, None),
    ]
    assert tracked[-1].places == {"door": {"in": {"person": 1}, "out": {}}, "lawn": {"inside": {}}}
    assert tracked[19].places["lawn"] == {"inside": {"person": 1}}


def test_events_have_a_plain_form() -> None:
    (event,) = follow(objects_at(), 300, 305)[1].events
    assert event.to_json() == {"kind": "appeared", "object_id": 1, "label": "person"}


def test_without_places_nothing_is_counted() -> None:
    assert follow(objects_at(), 300, 305)[-1].places == {}


def test_a_model_with_other_classes_begins_anew_with_new_ids() -> None:
    objects = objects_at(zones=ZONES)
    follow(objects, 700, 700, 700)
    tracked = follow(objects, 700, 700, first=3, labels=LabelMap(("person",)))
    assert told(tracked) == [
        ("exited", "lawn", None),
        ("left", None, None),
        ("appeared", None, None),
        ("entered", "lawn", None),
    ]
    assert tracked[-1].ids.tolist() == [2]


def test_counts_survive_a_camera_that_starts_again() -> None:
    objects = objects_at(lines=LINES)
    follow(objects, *range(300, 600, 20))
    tracked = follow(objects, *range(300, 600, 20))
    assert tracked[-1].places["door"]["in"] == {"person": 2}


def test_nothing_is_kept_of_objects_that_have_left() -> None:
    objects = objects_at(lines=LINES, zones=ZONES)
    for start in range(0, 400, 20):
        follow(objects, 300, 700, 700, *[None] * 8, first=start)
    assert objects.n_kept == 0


def test_after_a_frame_that_could_not_be_followed_everything_begins_anew() -> None:
    objects = objects_at(zones=ZONES)
    follow(objects, 700, 700)
    box = np.array([[0, 0, 9, 9]], np.float32)
    with pytest.raises(IndexError):
        objects.update(frame_of(IMAGE, index=2, time_s=0.4), Detections(box, [0.9], [7]), LABELS)
    tracked = follow(objects, 700, 700, first=3)
    assert [kind for kind, _, _ in told(tracked)] == ["exited", "left", "appeared", "entered"]
    assert tracked[-1].ids.tolist() == [2]


def test_when_the_picture_changes_its_size_objects_are_not_taken_for_others() -> None:
    objects = objects_at(lines=LINES, zones=ZONES)
    follow(objects, 700, 700)
    found = Detections(np.array([[330, 75, 350, 125]], np.float32), [0.9], [0])
    small = [objects.update(frame_of(IMAGE[::2, ::2], index=i, time_s=i / 5), found, LABELS) for i in (2, 3)]
    assert [kind for kind, _, _ in told(small)] == ["exited", "left", "appeared", "entered"]
    assert small[-1].places == {"door": {"in": {}, "out": {}}, "lawn": {"inside": {"person": 1}}}


def test_a_scene_that_is_forgotten_begins_anew_and_counts_go_on() -> None:
    objects = objects_at(lines=LINES)
    follow(objects, *range(300, 600, 20))
    objects.forget_scene()
    tracked = follow(objects, 590, 590, first=16)
    assert [kind for kind, _, _ in told(tracked)] == ["left", "appeared"]
    assert tracked[-1].places["door"]["in"] == {"person": 1}
