"""Topics of the MQTT output, and the messages by which Home Assistant finds cameras as devices.

Each class of a camera's model becomes two entities of the camera's device: whether one is there, and how many. They are
available while the node is there and the camera gives pictures. Two more entities report the condition of the camera.
The form is that of single components, one retained message each, so that a class that a new model does not know is
removed by one empty message: https://www.home-assistant.io/integrations/mqtt/#discovery-messages,
https://www.home-assistant.io/integrations/binary_sensor.mqtt/, https://www.home-assistant.io/integrations/sensor.mqtt/,
https://www.home-assistant.io/integrations/event.mqtt/
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

from edge_autotuner._version import __version__
from edge_autotuner.config.node import CameraConfig, MqttConfig
from edge_autotuner.core import LabelMap
from edge_autotuner.core.json_limits import load_json

ONLINE, OFFLINE = b"online", b"offline"
PRESENT, ABSENT = b"ON", b"OFF"
STATE_QOS = 1

_DEFAULT_BIRTH_TOPIC = "homeassistant/status"  # Home Assistant's own, whatever its discovery topic is
_KINDS_OF_CLASSES = ("count", "present")
_PLACES = "places"
_OF_CAMERA = "camera"  # in place of a class; the kinds of classes are others
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_-]")


class Topics:
    """Names of all topics of a node."""

    def __init__(self, config: MqttConfig) -> None:
        self._root, self._discovery = config.topic, config.discovery_topic
        self.status = f"{config.topic}/status"
        """Retained: `online`, or `offline` by the node itself or as its last will."""

    def detections(self, camera: str) -> str:
        """Topic of a camera's reports, not retained."""
        return f"{self._root}/{camera}/detections"

    def count(self, camera: str, class_id: str) -> str:
        """Topic of the number of objects of a class, retained."""
        return f"{self._root}/{camera}/{class_id}/count"

    def present(self, camera: str, class_id: str) -> str:
        """Topic of `ON` or `OFF`, retained."""
        return f"{self._root}/{camera}/{class_id}/present"

    def place(self, camera: str, name: str, kind: str) -> str:
        """Topic of the number of objects that crossed a line (`in`, `out`) or are in a zone (`inside`), retained."""
        return f"{self._root}/{camera}/{_PLACES}/{name}/{kind}"

    def availability(self, camera: str) -> str:
        """Topic of `online` while a camera delivers pictures, else `offline`; retained."""
        return f"{self._root}/{camera}/availability"

    def problem(self, camera: str) -> str:
        """Topic of `ON` while a camera is lost, else `OFF`; retained."""
        return f"{self._root}/{camera}/problem"

    def camera_state(self, camera: str) -> str:
        """Topic of a camera's condition and its start, JSON, retained."""
        return f"{self._root}/{camera}/state"

    def events(self, camera: str) -> str:
        """Topic of `camera_lost` and `camera_back`, not retained."""
        return f"{self._root}/{camera}/events"

    def camera_of_state(self, topic: str) -> str | None:
        """Return the camera whose class, line or zone a topic counts; None for other topics."""
        root, camera, *rest = [*topic.split("/"), "", ""][:4]
        is_state = rest[0] == _PLACES or rest[1] in _KINDS_OF_CLASSES
        return camera if root == self._root and is_state else None

    def is_of_camera(self, topic: str, camera: str) -> bool:
        """Whether a topic is one of a camera's states."""
        return topic.startswith(f"{self._root}/{camera}/") and not {"+", "#"} & set(topic)

    def config(self, component: str, camera: str, class_id: str, kind: str) -> str:
        """Topic on which one entity is announced."""
        object_id = plain_id(f"{camera}:{class_id}:{kind}")
        return f"{self._discovery}/{component}/{plain_id(self._root)}/{object_id}/config"

    @property
    def configs(self) -> str | None:
        """Matches all announcements of this node; None if it makes none."""
        return f"{self._discovery}/+/{plain_id(self._root)}/+/config" if self._discovery else None

    @property
    def of_interest(self) -> list[str]:
        """Topics that the node subscribes to."""
        return [self.status, *([self.configs] if self.configs else self._states), *sorted(self.births)]

    @property
    def _states(self) -> list[str]:
        """Matches the states of all cameras, which no announcement lists."""
        classes = [f"{self._root}/+/+/{kind}" for kind in _KINDS_OF_CLASSES]
        return [*classes, f"{self._root}/+/{_PLACES}/+/+"]

    @property
    def births(self) -> frozenset[str]:
        """Topics on which Home Assistant announces its start."""
        return frozenset({_DEFAULT_BIRTH_TOPIC, f"{self._discovery}/status"}) if self._discovery else frozenset()


def plain_id(name: str) -> str:
    """Return a name in letters, digits, `_` and `-`; different names stay different by a checksum.

    >>> plain_id("front-door")
    'front-door'
    >>> plain_id("garage.2")
    'garage_2-5b485d70'
    """
    plain = _NOT_PLAIN.sub("_", name)
    return plain if plain == name and name else f"{plain}-{zlib.crc32(name.encode()):08x}"


def class_ids_in_topics(labels: LabelMap) -> dict[str, str]:
    """Return the name of each class in topics: blanks become `_`, other characters as in `plain_id`.

    >>> class_ids_in_topics(LabelMap(("person", "traffic light")))
    {'person': 'person', 'traffic light': 'traffic_light'}
    """
    names: dict[str, str] = {}
    without_blanks = {plain_id(label): label for label in labels}
    for label in labels:
        name = plain_id(label.replace(" ", "_"))
        is_taken = without_blanks.get(name, label) != label or name in names.values()
        names[label] = plain_id(label) if is_taken else name
    return names


def state_topics(topics: Topics, camera: CameraConfig, labels: LabelMap) -> set[str]:
    """Return the topics of everything that is counted at a camera."""
    class_ids = class_ids_in_topics(labels).values()
    of_classes = {topic(camera.name, class_id) for topic in (topics.count, topics.present) for class_id in class_ids}
    return of_classes | {topics.place(camera.name, name, kind) for name, kind in _kinds_of_places(camera)}


def discovery_messages(config: MqttConfig, camera: CameraConfig, labels: LabelMap) -> dict[str, bytes]:
    """Return the messages, by topic, that make a camera a device with two entities per class."""
    if config.discovery_topic is None:
        return {}
    topics = Topics(config)
    messages = {}
    for label, class_id in class_ids_in_topics(labels).items():
        title = label[:1].upper() + label[1:]
        presence = {
            "name": title,
            "state_topic": topics.present(camera.name, class_id),
            "device_class": "occupancy",
            "payload_on": PRESENT.decode(),
            "payload_off": ABSENT.decode(),
        }
        count = {
            "name": f"{title} count",
            "state_topic": topics.count(camera.name, class_id),
            "state_class": "measurement",
            "icon": "mdi:counter",
        }
        for component, kind, entity in (("binary_sensor", "present", presence), ("sensor", "count", count)):
            shared = _shared(config, camera, f"{config.topic}:{camera.name}:{class_id}:{kind}")
            messages[topics.config(component, camera.name, class_id, kind)] = _encode(entity | shared)
    return messages


def camera_messages(config: MqttConfig, camera: CameraConfig) -> dict[str, bytes]:
    """Return the messages, by topic, that announce condition, lines and zones of a camera; empty without discovery.

    The condition stays available while the camera is away, because that is what it reports.
    """
    if config.discovery_topic is None:
        return {}
    topics = Topics(config)
    problem = {
        "name": "Problem",
        "state_topic": topics.problem(camera.name),
        "json_attributes_topic": topics.camera_state(camera.name),
        "device_class": "problem",
        "entity_category": "diagnostic",
        "payload_on": PRESENT.decode(),
        "payload_off": ABSENT.decode(),
    }
    events = {
        "name": "Camera",
        "state_topic": topics.events(camera.name),
        "event_types": ["camera_lost", "camera_back"],
        "entity_category": "diagnostic",
        "icon": "mdi:cctv",
    }
    messages = _place_messages(config, camera)
    for component, kind, entity in (("binary_sensor", "problem", problem), ("event", "events", events)):
        shared = _shared(config, camera, f"{config.topic}:{camera.name}:{_OF_CAMERA}:{kind}")
        shared["availability"] = shared["availability"][:1]
        messages[topics.config(component, camera.name, _OF_CAMERA, kind)] = _encode(entity | shared)
    return messages


def _kinds_of_places(camera: CameraConfig) -> list[tuple[str, str]]:
    """Return name and kind of everything that is counted at a camera's lines and zones."""
    lines = [(name, direction) for name in camera.lines for direction in ("in", "out")]
    return lines + [(name, "inside") for name in camera.zones]


def _place_messages(config: MqttConfig, camera: CameraConfig) -> dict[str, bytes]:
    topics = Topics(config)
    messages = {}
    for name, kind in _kinds_of_places(camera):
        entity = {
            "name": f"{name} {kind}",
            "state_topic": topics.place(camera.name, name, kind),
            "state_class": "measurement" if kind == "inside" else "total_increasing",
            "icon": "mdi:counter",
        }
        shared = _shared(config, camera, f"{config.topic}:{camera.name}:{name}:{kind}")
        messages[topics.config("sensor", camera.name, name, kind)] = _encode(entity | shared)
    return messages


def camera_of_announcement(payload: bytes) -> tuple[str, str] | None:
    """Return camera and state topic of an earlier announcement of this node; None for others."""
    try:
        entity = load_json(payload)
        _, camera, _, _ = entity["unique_id"].split(":")
        return camera, str(entity["state_topic"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _shared(config: MqttConfig, camera: CameraConfig, unique_id: str) -> dict[str, Any]:
    device = {
        "identifiers": [f"{config.topic}:{camera.name}"],
        "name": camera.name,
        "manufacturer": "Edge AutoTuner",
        "sw_version": __version__,
    }
    return {
        "unique_id": unique_id,
        "availability": [{"topic": Topics(config).status}, {"topic": Topics(config).availability(camera.name)}],
        "availability_mode": "all",
        "qos": STATE_QOS,
        "device": device | ({"suggested_area": camera.place} if camera.place else {}),
        "origin": {"name": "edge-autotuner", "sw_version": __version__},
    }


def _encode(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")
