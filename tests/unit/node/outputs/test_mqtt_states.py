"""Retained states: what the broker should hold, and counts that do not flicker and that only frames let fall."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.config.node import MqttConfig
from edge_autotuner.core.observations import TrackedObjects
from edge_autotuner.node.outputs.mqtt_states import Presence, RetainedMessages, RetainedStates
from support.service.output_samples import FRONT, make_report


def counts_of(looks: list[tuple[float, int]]) -> list[int]:
    """Return the count after each frame."""
    presence = Presence(5.0)
    counts = []
    for at_s, count in looks:
        presence.see({"person": count} if count else {}, at_s)
        counts.append(presence.count("person"))
    return counts


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param([], [], id="no frame"),
        pytest.param([(0, 0), (1, 0)], [0, 0], id="never seen"),
        pytest.param([(0, 1), (2, 0), (4, 0), (4.9, 0), (5, 0)], [1, 1, 1, 1, 0], id="gone after the time"),
        pytest.param([(0, 1), (1, 0), (2, 1), (4, 0), (6, 0), (6.9, 0), (7, 0)], [1] * 6 + [0], id="flicker"),
        pytest.param(
            [(0, 1), (1, 3), (2, 2), (4, 0), (5.9, 0), (6, 0), (6.9, 0), (7, 0)],
            [1, 3, 3, 3, 3, 2, 2, 0],
            id="falls in steps",
        ),
        pytest.param(
            [(0, 2), (1, 1), (2, 2), (4, 0), (6, 0), (6.9, 0), (7, 0)], [2] * 6 + [0], id="equal counts last longer"
        ),
        pytest.param([(0, 1), (1000, 0), (1000.5, 0), (1003, 0)], [1, 1, 1, 0], id="silence is not watched time"),
        pytest.param([(0, 1), (10, 0), (20, 0)], [1, 1, 0], id="a camera of few pictures"),
    ],
)
def test_counts_rise_at_once_and_fall_late(looks: list[tuple[float, int]], expected: list[int]) -> None:
    assert counts_of(looks) == expected


@given(st.integers(1, 5), st.floats(0, 1e9, allow_nan=False))
def test_one_frame_after_silence_makes_nothing_go(count: int, silent_s: float) -> None:
    """Whatever the silence was, a detector that misses the object once does not turn it off."""
    assert counts_of([(0.0, count), (silent_s, 0)])[1] == count


def test_forgotten_classes_are_gone_and_others_stay() -> None:
    presence = Presence(5.0)
    presence.see({"person": 1, "car": 2}, 0.0)
    presence.keep_only(["car"])
    assert presence.count("person") == 0
    assert presence.count("car") == 2


def test_lines_and_zones_have_retained_numbers_and_become_entities() -> None:
    door = FRONT.model_copy(update={"lines": {"door": ((0, 0), (1, 1))}, "zones": {"lawn": ((0, 0), (1, 0), (1, 1))}})
    states = RetainedStates(MqttConfig(host="broker", topic="house"), [door])
    places = {"door": {"in": {"person": 2, "car": 1}, "out": {}}, "lawn": {"inside": {"person": 1}}}
    states.see(dataclasses.replace(make_report(0), tracked=TrackedObjects(np.array([1]), places=places)), 0.0)
    said = dict(say_all(states.retained))
    assert said["house/front/places/door/in"] == b"3"
    assert said["house/front/places/door/out"] == b"0"
    assert said["house/front/places/lawn/inside"] == b"1"
    announced = {json.loads(payload)["state_topic"] for topic, payload in said.items() if topic.endswith("/config")}
    assert {topic for topic in said if "/places/" in topic} <= announced


def test_without_announcements_what_earlier_settings_counted_is_removed() -> None:
    door = FRONT.model_copy(update={"lines": {"gate": ((0, 0), (1, 1))}})
    states = RetainedStates(MqttConfig(host="broker", topic="house", discovery_topic=None), [door])
    stale = ["house/front/places/door/in", "house/front/places/lawn/inside", "house/front/dog/count"]
    others = [
        "house/front/places/gate/in",
        "house/front/person/count",
        "house/back/places/door/in",
        "house/front/state",
    ]
    for topic in [*stale[:2], *others]:
        states.listen(topic, b"3", was_retained=True)
    states.set_labels("front", make_report(0).labels)
    states.listen(stale[2], b"3", was_retained=True)
    states.listen("house/front/places/new/in", b"3", was_retained=False)
    assert sorted(topic for topic, payload in say_all(states.retained) if not payload) == sorted(stale)


def say_all(messages: RetainedMessages) -> list[tuple[str, bytes]]:
    said = []
    while (message := messages.next_unpublished()) is not None:
        said.append(message)
    return said


def test_only_changes_are_said() -> None:
    messages = RetainedMessages()
    messages.set("a", b"1")
    messages.set("b", b"1")
    messages.set("a", b"1")
    assert say_all(messages) == [("a", b"1"), ("b", b"1")]
    messages.set("a", b"1")
    assert say_all(messages) == []


def test_the_newest_replaces_what_was_not_said() -> None:
    messages = RetainedMessages()
    messages.set("a", b"1")
    messages.set("b", b"1")
    messages.set("a", b"2")
    assert say_all(messages) == [("b", b"1"), ("a", b"2")]


def test_a_new_broker_hears_everything_once() -> None:
    messages = RetainedMessages()
    for topic in ("status", "b", "c"):
        messages.set(topic, topic.encode())
    say_all(messages)
    messages.set("b", b"")
    messages.repeat_all(last="status")
    assert say_all(messages) == [("b", b""), ("c", b"c"), ("status", b"status")]
