"""The retained states of all cameras at an MQTT broker: what is present, how many, and each camera's condition."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from edge_autotuner.config.node import CameraConfig, MqttConfig
from edge_autotuner.core import LabelMap
from edge_autotuner.node.camera_health import CameraState
from edge_autotuner.node.outputs.discovery import (
    ABSENT,
    OFFLINE,
    ONLINE,
    PRESENT,
    Topics,
    camera_messages,
    camera_of_announcement,
    class_ids_in_topics,
    discovery_messages,
    state_topics,
)
from edge_autotuner.node.outputs.report import DetectionReport


class RetainedStates:
    """Collects what Home Assistant should know about all cameras; used by one thread."""

    def __init__(self, config: MqttConfig, cameras: Sequence[CameraConfig]) -> None:
        self.topics = Topics(config)
        self.retained = RetainedMessages()
        self._config = config
        self._cameras = {camera.name: camera for camera in cameras}
        self._labels: dict[str, LabelMap] = {}
        self._class_ids: dict[str, dict[str, str]] = {}  # by camera and class: how topics call it
        self._presence = {camera.name: Presence(config.clear_after_s) for camera in cameras}
        self._is_looked_at: set[str] = set()  # cameras whose present model has looked at a frame
        self._found: dict[str, set[str]] = {}  # by camera: topics of states at the broker; without announcements
        self._announced: dict[str, bytes] = {}  # announcements of earlier runs or models at the broker, by topic
        for camera in cameras:
            self.set_condition(CameraState(camera.name, "starting", None, datetime.now(UTC)))
            for topic, payload in camera_messages(config, camera).items():
                self.retained.set(topic, payload)

    def see(self, report: DetectionReport, at_s: float) -> None:
        """Take a report into account."""
        self.set_labels(report.camera, report.labels)
        self._is_looked_at.add(report.camera)
        self._presence[report.camera].see(report.counts, at_s)
        if report.tracked is not None:
            self._set_places(report.camera, report.tracked.places)

    def _set_places(self, camera: str, places: Mapping[str, Mapping[str, Mapping[str, int]]]) -> None:
        for name, kinds in places.items():
            for kind, by_class in kinds.items():
                self.retained.set(self.topics.place(camera, name, kind), b"%d" % sum(by_class.values()))

    def set_labels(self, camera: str, labels: LabelMap) -> None:
        """Announce the classes of a camera's model; those that only an earlier one knew are removed."""
        if self._labels.get(camera) == labels:
            return
        if camera in self._labels:
            self._announced |= discovery_messages(self._config, self._cameras[camera], self._labels[camera])
            self._clear_states(camera, keep=labels)
        self._labels[camera] = labels
        self._is_looked_at.discard(camera)
        self._class_ids[camera] = class_ids_in_topics(labels)
        self._presence[camera].keep_only(labels)
        for topic, payload in discovery_messages(self._config, self._cameras[camera], labels).items():
            self.retained.set(topic, payload)
        self._remove_leftovers(camera)

    def set_condition(self, state: CameraState) -> None:
        """Update a camera's condition; its counts stay, and are unavailable while it is lost."""
        topics, camera = self.topics, state.camera
        self.retained.set(topics.camera_state(camera), json.dumps(state.to_json()).encode("ascii"))
        self.retained.set(topics.problem(camera), PRESENT if state.condition == "lost" else ABSENT)
        self.retained.set(topics.availability(camera), ONLINE if state.is_available else OFFLINE)

    def update(self) -> None:
        """Update the counts of all cameras that the model has looked at."""
        for camera in self._is_looked_at:
            for label, class_id in self._class_ids[camera].items():
                count = self._presence[camera].count(label)
                self.retained.set(self.topics.count(camera, class_id), b"%d" % count)
                self.retained.set(self.topics.present(camera, class_id), PRESENT if count else ABSENT)

    def publish_all(self) -> None:
        """Publish everything to a broker that may know nothing; `online` comes last."""
        self.retained.set(self.topics.status, ONLINE)
        self.retained.repeat_all(last=self.topics.status)

    def listen(self, topic: str, payload: bytes, *, was_retained: bool) -> None:
        """React to a message from the broker."""
        if topic == self.topics.status:
            if payload != ONLINE:  # the will of an earlier connection, whose end the broker noticed late
                self.retained.repeat(topic)
        elif topic in self.topics.births:
            if payload == ONLINE and not was_retained:
                self.publish_all()
        elif was_retained and payload and (camera := self.topics.camera_of_state(topic)) in self._cameras:
            self._found.setdefault(camera, set()).add(topic)
            if camera in self._labels:
                self._remove_leftovers(camera)
        elif was_retained and payload:
            self._announced[topic] = payload
            made_by = camera_of_announcement(payload)
            if made_by is not None and made_by[0] in self._labels:
                self._remove_leftovers(made_by[0])

    def _remove_leftovers(self, camera: str) -> None:
        """Remove what earlier settings, models or runs counted or announced, and these do not."""
        counted = state_topics(self.topics, self._cameras[camera], self._labels[camera])
        for topic in self._found.pop(camera, set()) - counted:
            self.retained.set(topic, b"")
        wanted = discovery_messages(self._config, self._cameras[camera], self._labels[camera])
        wanted |= camera_messages(self._config, self._cameras[camera])
        for topic, payload in list(self._announced.items()):
            made_by = camera_of_announcement(payload)
            if made_by is None or made_by[0] != camera:
                continue
            del self._announced[topic]
            if topic not in wanted:
                self.retained.set(topic, b"")
                if self.topics.is_of_camera(made_by[1], camera):
                    self.retained.set(made_by[1], b"")

    def _clear_states(self, camera: str, *, keep: LabelMap) -> None:
        """Remove the states of classes that a new model does not know."""
        kept = set(class_ids_in_topics(keep).values())
        for class_id in self._class_ids[camera].values():
            if class_id not in kept:
                self.retained.set(self.topics.count(camera, class_id), b"")
                self.retained.set(self.topics.present(camera, class_id), b"")


class RetainedMessages:
    """The last message of each topic; a broker that was away gets the newest one only."""

    def __init__(self) -> None:
        self._wanted: dict[str, bytes] = {}
        self._unpublished: dict[str, bytes] = {}

    def set(self, topic: str, payload: bytes) -> None:
        """Set the message of a topic; empty removes it from the broker. The same message again changes nothing."""
        if self._wanted.get(topic) != payload:
            self._wanted[topic] = payload
            self.repeat(topic)

    def repeat(self, topic: str) -> None:
        """Publish a message again."""
        self._unpublished.pop(topic, None)
        self._unpublished[topic] = self._wanted[topic]

    def repeat_all(self, *, last: str) -> None:
        """Publish everything again, in the order of the first messages, with one topic at the end."""
        self._unpublished = dict(self._wanted)
        self.repeat(last)

    def next_unpublished(self) -> tuple[str, bytes] | None:
        """Take the next unpublished topic and message; None when there is none."""
        for topic in self._unpublished:
            return topic, self._unpublished.pop(topic)
        return None


class Presence:
    """Counts of one camera's classes that rise at once, and fall when frames have not supported them for a while.

    The count of a class is the largest one of the last `clear_after_s` of watched time. Only a frame lets a count fall:
    while no frames come, every count stays, and the time does not count as watched.

    Args:
        clear_after_s: how long a count outlives the frame that it was seen in, seconds.
    """

    def __init__(self, clear_after_s: float) -> None:
        self._clear_after_s = clear_after_s
        self._watched_s = 0.0
        self._looked_s: float | None = None
        self._seen: dict[str, deque[tuple[float, int]]] = {}  # by class: times rise, counts fall

    def see(self, counts: Mapping[str, int], now_s: float) -> None:
        """Take the counts of one frame; classes that are left out were absent. `now_s` never decreases."""
        gap_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._watched_s += min(gap_s, self._clear_after_s / 2)  # a longer gap is silence: two frames have to agree
        self._looked_s = now_s
        for name, count in counts.items():
            seen = self._seen.setdefault(name, deque())
            while seen and seen[-1][1] <= count:
                seen.pop()
            if count > 0:
                seen.append((self._watched_s, count))

    def count(self, name: str) -> int:
        """Return the count of a class by the frames so far."""
        seen = self._seen.get(name)
        while seen and self._watched_s >= seen[0][0] + self._clear_after_s:
            seen.popleft()
        return seen[0][1] if seen else 0

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget all other classes."""
        kept = set(names)
        self._seen = {name: seen for name, seen in self._seen.items() if name in kept}
