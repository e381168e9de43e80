"""The objects of one camera: which boxes they are, when they come and leave, and what they cross."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_autotuner.core import Detections, Frame, LabelMap
from edge_autotuner.core.observations import ObjectEvent, TrackedObjects
from edge_autotuner.core.types import SizeWH
from edge_autotuner.tracking.places import GroundPoint, Point, open_places
from edge_autotuner.tracking.tracker import NO_ID, Followed, ObjectTracker, TrackingRules


@dataclass(frozen=True)
class _Seen:
    """An object in the present frame."""

    object_id: int
    label: str
    at: GroundPoint


class CameraObjects:
    """Follows the objects of one camera, and counts what they do at its lines and zones.

    Args:
        lines: name -> two points, as shares of width and height.
        zones: name -> three or more such points.
    """

    def __init__(
        self,
        rules: TrackingRules,
        lines: Mapping[str, tuple[Point, Point]] | None = None,
        zones: Mapping[str, Sequence[Point]] | None = None,
    ) -> None:
        self._rules = rules
        self._lines, self._zones = open_places(lines or {}, zones or {})
        self._crossings: dict[str, dict[str, Counter[str]]] = {
            name: {"in": Counter(), "out": Counter()} for name in self._lines
        }
        self._label_of: dict[int, str] = {}  # of the objects that count
        self._scene: tuple[LabelMap, SizeWH] | None = None  # None: the next frame begins anew
        self._tracker = ObjectTracker(0, rules)

    @property
    def n_kept(self) -> int:
        """Objects that are remembered."""
        return len(self._label_of)

    def update(self, frame: Frame, found: Detections, labels: LabelMap) -> TrackedObjects:
        """Follow the objects into the next frame that the model looked at.

        All objects have left, and others begin, where the model has other classes or the frames another size, and after
        a frame that could not be followed.
        """
        scene = labels, frame.size_wh
        events = list(self._restart(labels)) if scene != self._scene else []
        self._scene = None
        followed = self._tracker.update(frame.time_s, frame.image_bgr, found)
        events += self._leave([(object_id, labels[class_id]) for object_id, class_id in followed.left])
        for seen in _seen(followed, found, labels):
            self._label_of[seen.object_id] = seen.label
            if seen.object_id in followed.began:
                events.append(ObjectEvent("appeared", seen.object_id, seen.label))
            events += self._move(seen, frame.size_wh)
        self._scene = scene
        return TrackedObjects(followed.ids, tuple(events), self._places())

    def forget_scene(self) -> None:
        """Begin anew with the next frame: what happened before it is not known."""
        self._scene = None

    def _restart(self, labels: LabelMap) -> Iterator[ObjectEvent]:
        left, next_id = list(self._label_of.items()), self._tracker.next_id
        self._tracker = ObjectTracker(len(labels), self._rules, first_id=next_id)
        return self._leave(left)

    def _leave(self, objects: Sequence[tuple[int, str]]) -> Iterator[ObjectEvent]:
        for object_id, label in objects:
            self._label_of.pop(object_id, None)
            for line in self._lines.values():
                line.forget(object_id)
            for name, zone in self._zones.items():
                if zone.forget(object_id):
                    yield ObjectEvent("exited", object_id, label, name)
            yield ObjectEvent("left", object_id, label)

    def _move(self, seen: _Seen, size_wh: SizeWH) -> Iterator[ObjectEvent]:
        for name, line in self._lines.items():
            direction = line.cross(seen.object_id, seen.at, size_wh)
            if direction is not None:
                self._crossings[name][direction][seen.label] += 1
                yield ObjectEvent("crossed", seen.object_id, seen.label, name, direction)
        for name, zone in self._zones.items():
            kind = zone.move(seen.object_id, seen.at, size_wh)
            if kind is not None:
                yield ObjectEvent(kind, seen.object_id, seen.label, name)

    def _places(self) -> dict[str, dict[str, dict[str, int]]]:
        lines = {
            name: {direction: dict(counts) for direction, counts in by_direction.items()}
            for name, by_direction in self._crossings.items()
        }
        zones = {
            name: {"inside": dict(Counter(self._label_of[object_id] for object_id in zone.inside))}
            for name, zone in self._zones.items()
        }
        return lines | zones


def _seen(followed: Followed, found: Detections, labels: LabelMap) -> Iterator[_Seen]:
    for position in np.flatnonzero(followed.ids != NO_ID).tolist():
        label = labels[int(followed.class_ids[position])]
        yield _Seen(int(followed.ids[position]), label, GroundPoint.of(found.boxes_xyxy[position].tolist()))
