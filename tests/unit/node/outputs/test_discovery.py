"""Topics, and the messages by which Home Assistant finds a camera."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.config.node import MqttConfig
from edge_autotuner.core import COCO_80, LabelMap
from edge_autotuner.node.outputs.discovery import (
    Topics,
    camera_messages,
    camera_of_announcement,
    class_ids_in_topics,
    discovery_messages,
    plain_id,
)
from support.service.output_samples import FRONT, GARAGE, LABELS

CONFIG = MqttConfig(host="broker", topic="node.7")
# Home Assistant's own pattern for topics below the prefix (homeassistant/components/mqtt/discovery.py)
TOPIC_MATCHER = re.compile(r"(\w+)/(?:([a-zA-Z0-9_-]+)/)?([a-zA-Z0-9_-]+)/config")


def test_one_class_becomes_two_entities() -> None:
    messages = discovery_messages(CONFIG, FRONT, LabelMap(("traffic light",)))
    entities = [json.loads(payload) for payload in messages.values()]
    shared = {
        "availability": [{"topic": "node.7/status"}, {"topic": "node.7/front/availability"}],
        "availability_mode": "all",
        "qos": 1,
        "device": entities[0]["device"],
        "origin": entities[0]["origin"],
    }
    assert entities == [
        {
            "name": "Traffic light",
            "unique_id": "node.7:front:traffic_light:present",
            "state_topic": "node.7/front/traffic_light/present",
            "device_class": "occupancy",
            "payload_on": "ON",
            "payload_off": "OFF",
            **shared,
        },
        {
            "name": "Traffic light count",
            "unique_id": "node.7:front:traffic_light:count",
            "state_topic": "node.7/front/traffic_light/count",
            "state_class": "measurement",
            "icon": "mdi:counter",
            **shared,
        },
    ]
    assert entities[0]["device"]["identifiers"] == ["node.7:front"]
    assert entities[0]["device"]["name"] == "front"
    assert entities[0]["device"]["suggested_area"] == "Front yard"
    assert entities[0]["origin"]["name"] == "edge-autotuner"


@pytest.mark.parametrize("camera", [FRONT, GARAGE], ids=lambda camera: camera.name)
def test_topics_are_such_as_home_assistant_takes(camera: object) -> None:
    messages = discovery_messages(CONFIG, camera, LABELS) | camera_messages(CONFIG, camera)  # type: ignore[arg-type]
    parts = [TOPIC_MATCHER.fullmatch(topic.removeprefix("homeassistant/")) for topic in messages]
    assert [part and part[1] for part in parts] == ["binary_sensor", "sensor"] * 2 + ["binary_sensor", "event"]
    assert len({part[2] for part in parts if part}) == 1


# what Home Assistant's schemas of these platforms know besides `MQTT_ENTITY_COMMON_SCHEMA`
# (homeassistant/components/mqtt: binary_sensor.py, sensor.py, event.py, config.py)
COMMON_KEYS = {
    "availability", "availability_mode", "device", "entity_category", "icon", "json_attributes_topic", "name", "origin",
    "qos", "unique_id",
}  # fmt: skip
KEYS = {
    "binary_sensor": {"state_topic", "device_class", "payload_on", "payload_off"},
    "sensor": {"state_topic", "state_class"},
    "event": {"state_topic", "event_types"},
}


def test_only_keys_that_home_assistant_knows_are_used() -> None:
    for topic, payload in (discovery_messages(CONFIG, FRONT, LABELS) | camera_messages(CONFIG, FRONT)).items():
        component = topic.split("/")[1]
        assert set(json.loads(payload)) <= COMMON_KEYS | KEYS[component], topic


def test_how_a_camera_does_is_available_while_the_node_is() -> None:
    problem, events = (json.loads(payload) for payload in camera_messages(CONFIG, FRONT).values())
    assert problem["availability"] == events["availability"] == [{"topic": "node.7/status"}]
    assert problem["state_topic"] == "node.7/front/problem"
    assert problem["json_attributes_topic"] == "node.7/front/state"
    assert (problem["device_class"], problem["entity_category"]) == ("problem", "diagnostic")
    assert events["state_topic"] == "node.7/front/events"
    assert events["event_types"] == ["camera_lost", "camera_back"]


def test_no_class_is_mistaken_for_the_camera() -> None:
    """A class may be called `camera`, and its entities stay others than those of the camera."""
    of_class = discovery_messages(CONFIG, FRONT, LabelMap(("camera", "availability", "state", "events", "problem")))
    of_camera = camera_messages(CONFIG, FRONT)
    assert not of_class.keys() & of_camera.keys()
    both = [json.loads(payload) for payload in (*of_class.values(), *of_camera.values())]
    assert len({entity["unique_id"] for entity in both}) == len(both)
    assert len({entity["state_topic"] for entity in both}) == len(both)


def test_a_camera_without_a_place_suggests_none() -> None:
    entity = json.loads(next(iter(discovery_messages(CONFIG, GARAGE, LABELS).values())))
    assert "suggested_area" not in entity["device"]


def test_cameras_and_classes_are_devices_and_entities_of_their_own() -> None:
    both = [json.loads(p) for c in (FRONT, GARAGE) for p in discovery_messages(CONFIG, c, COCO_80).values()]
    assert len({entity["unique_id"] for entity in both}) == len(both) == 2 * 2 * 80
    assert len({entity["state_topic"] for entity in both}) == len(both)
    assert len({entity["device"]["identifiers"][0] for entity in both}) == 2


def test_no_discovery_means_none() -> None:
    silent = CONFIG.model_copy(update={"discovery_topic": None})
    assert discovery_messages(silent, FRONT, LABELS) == camera_messages(silent, FRONT) == {}
    assert Topics(silent).of_interest == [
        "node.7/status", "node.7/+/+/count", "node.7/+/+/present", "node.7/+/places/+/+",
    ]  # fmt: skip


def test_what_the_node_listens_to() -> None:
    assert Topics(CONFIG.model_copy(update={"topic": "node", "discovery_topic": "ha"})).of_interest == [
        "node/status", "ha/+/node/+/config", "ha/status", "homeassistant/status",
    ]  # fmt: skip


def test_an_announcement_tells_whose_it_is() -> None:
    payload = next(iter(discovery_messages(CONFIG, GARAGE, LABELS).values()))
    assert camera_of_announcement(payload) == ("garage.2", "node.7/garage.2/person/present")


@pytest.mark.parametrize(
    "payload",
    [b"", b"nonsense", b"[]", b"{}", b'{"unique_id": 3}', b'{"unique_id": "a:b", "state_topic": "x"}', b"\xff"],
)
def test_other_announcements_are_nobodys(payload: bytes) -> None:
    assert camera_of_announcement(payload) is None


@pytest.mark.parametrize(
    ("topic", "is_of_camera"),
    [("node.7/front/person/count", True), ("node.7/frontdoor/person/count", False), ("node.7/front/#", False)],
)
def test_topics_of_a_camera(topic: str, is_of_camera: bool) -> None:
    assert Topics(CONFIG).is_of_camera(topic, "front") is is_of_camera


@given(st.sets(st.text(max_size=8), max_size=6))
def test_different_classes_have_different_plain_names(names: set[str]) -> None:
    ids = class_ids_in_topics(LabelMap(tuple(names))).values()
    assert len(set(ids)) == len(names)
    assert all(re.fullmatch("[A-Za-z0-9_-]+", name) for name in ids)


@given(st.text(max_size=8), st.text(max_size=8))
def test_different_names_stay_different(one: str, other: str) -> None:
    assert (plain_id(one) == plain_id(other)) == (one == other)
