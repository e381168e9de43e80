"""Names that users choose never meet those that this program, MQTT or Home Assistant keep for themselves."""

from __future__ import annotations

import ast
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import edge_autotuner
from edge_autotuner.config.node import CameraConfig, MqttConfig, NodeConfig
from edge_autotuner.core import LabelMap
from edge_autotuner.node.outputs.discovery import (
    Topics,
    camera_messages,
    class_ids_in_topics,
    discovery_messages,
    plain_id,
)

SOURCE = "rtsp://127.0.0.1:1/s"
ALIKE = ("Front-Door", "front-door", "front_door", "front.door", "a.b", "a_b", "a-b", "camera", "status", "problem")
CLASSES = ("person", "Person", "traffic light", "traffic_light", "a b!", "a_b!", "a/b", "a+b", "#", "$SYS", "", " ",
           "problem", "events", "state", "availability", "detections", "camera", "count", "status")  # fmt: skip


def node(name: str) -> NodeConfig:
    return NodeConfig.model_validate({"cameras": [{"name": name, "source": SOURCE}]})


def names_in_node_folder() -> set[str]:
    """Return what the code of the node calls files beside the cameras' folders: `config.folder / NAME`."""
    found = set()
    for path in (Path(edge_autotuner.__file__).parent / "node").rglob("*.py"):
        tree = ast.parse(path.read_text())
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for step in ast.walk(tree):
            if not (isinstance(step, ast.BinOp) and isinstance(step.op, ast.Div)):
                continue
            if ast.unparse(step.left).endswith("config.folder"):
                name = (
                    step.right.value if isinstance(step.right, ast.Constant) else constants.get(ast.unparse(step.right))
                )
                found |= {name} if isinstance(name, str) else set()
    return found


def test_no_camera_has_the_name_of_a_file_of_the_node() -> None:
    own = names_in_node_folder()
    assert "status.json" in own
    for name in {*own, ".lock"}:
        with pytest.raises(ValidationError):
            node(name)
        with pytest.raises(ValidationError):
            node(name.upper())


@pytest.mark.parametrize(
    "name", ["$SYS", "a/b", "+", "#", "a+", "", " ", "..", ".", ".hidden", "a\nb", "a\0", "é", "x" * 300]
)
def test_what_topics_and_paths_cannot_hold(name: str) -> None:
    with pytest.raises(ValidationError):
        node(name)
    with pytest.raises(ValidationError):
        MqttConfig(host="h", topic=name)
    with pytest.raises(ValidationError):
        MqttConfig(host="h", discovery_topic=name)


def test_names_that_differ_in_case_only_are_one_folder_on_some_disks() -> None:
    with pytest.raises(ValidationError, match="names must be unique"):
        NodeConfig.model_validate({"cameras": [{"name": name, "source": SOURCE} for name in ("door", "Door")]})


@pytest.mark.parametrize("settings", [{"topic": "homeassistant"}, {"topic": "ha", "discovery_topic": "ha"},
                                      {"topic": "homeassistant", "discovery_topic": None}])  # fmt: skip
def test_home_assistant_s_own_topic(settings: dict[str, str | None]) -> None:
    """Its status and that of the node would be one topic: each would take the other's words for its own."""
    with pytest.raises(ValidationError, match="is used by Home Assistant"):
        MqttConfig.model_validate({"host": "h", **settings})


def every_topic(config: MqttConfig, cameras: tuple[str, ...], labels: LabelMap) -> list[str]:
    topics = Topics(config)
    found = [topics.status, *sorted(topics.births)]
    for name in cameras:
        camera = CameraConfig(name=name, source=SOURCE)
        found += [topics.detections(name), topics.availability(name), topics.problem(name)]
        found += [topics.camera_state(name), topics.events(name)]
        for class_id in class_ids_in_topics(labels).values():
            found += [topics.count(name, class_id), topics.present(name, class_id)]
        found += [*discovery_messages(config, camera, labels), *camera_messages(config, camera)]
    return found


def test_no_two_things_have_one_topic() -> None:
    found = every_topic(MqttConfig(host="h"), ALIKE, LabelMap(CLASSES))
    assert len(found) == len(set(found))
    assert not [topic for topic in found if set("+#$ ") & set(topic) or "//" in topic]
    assert len({topic.lower() for topic in found if topic.endswith("/config")}) == sum(
        topic.endswith("/config") for topic in found
    )


def test_entities_of_home_assistant_differ() -> None:
    """Home Assistant makes lower case, digits and `_` of what it is given."""
    labels = LabelMap(CLASSES)
    ids = set()
    for name in ALIKE:
        camera = CameraConfig(name=name, source=SOURCE)
        config = MqttConfig(host="h")
        messages = [*discovery_messages(config, camera, labels).values(), *camera_messages(config, camera).values()]
        ids |= {message.split(b'"unique_id":"')[1].split(b'"')[0] for message in messages}
    assert len(ids) == len(ALIKE) * (2 * len(CLASSES) + 2)


def test_names_that_become_alike_stay_different() -> None:
    names = ("Front Door", "front_door", "front-door", "front.door", "a.b", "a_b", "")
    assert all(plain_id(one) != plain_id(other) for one, other in combinations(names, 2))


@given(st.lists(st.text(st.sampled_from("aA _-.!/+#$"), max_size=4), min_size=1, max_size=12, unique=True))
def test_classes_never_share_a_topic(names: list[str]) -> None:
    ids = class_ids_in_topics(LabelMap(tuple(names)))
    assert len(set(ids.values())) == len(names)
    assert all(value and not set("/+#$ ") & set(value) for value in ids.values())
