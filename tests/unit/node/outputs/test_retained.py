"""What the broker should hold."""

from __future__ import annotations

from edge_autotuner.node.outputs.mqtt_states import RetainedMessages


def say_all(messages: RetainedMessages) -> list[tuple[str, bytes]]:
    said = []
    while (message := messages.next_unsaid()) is not None:
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
