"""One link to a broker: what its owner hears, and how much it may publish."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edge_autotuner.config.node import MqttConfig
from edge_autotuner.node.outputs.mqtt_link import Connected, Disconnected, MqttLink, Received
from support.cameras.live_servers import CameraServer
from support.machine.free_ports import free_port
from support.service.output_samples import Listener, wait_until

pytest.importorskip("paho.mqtt.client")


class Heard:
    """Keeps the events of a link."""

    def __init__(self) -> None:
        self.events: list[Connected | Disconnected | Received] = []
        self.woken = threading.Event()

    def take(self, link: MqttLink) -> list[Connected | Disconnected | Received]:
        self.events += link.take_events()
        return self.events


@contextmanager
def linked(port: int, heard: Heard) -> Iterator[MqttLink]:
    link = MqttLink(
        MqttConfig(host="127.0.0.1", port=port),
        client_id="test",
        password=None,
        ssl_context=None,
        will=("node/status", b"offline"),
        subscriptions=["node/asked"],
        retry_s=(0.02, 0.1),
        wake=heard.woken.set,
    )
    try:
        yield link
    finally:
        link.close()


@pytest.fixture
def broker() -> Iterator[CameraServer]:
    with CameraServer("mqtt_broker.py") as server:
        yield server


def test_the_owner_is_woken_and_hears_what_it_subscribed_to(broker: CameraServer) -> None:
    heard = Heard()
    with linked(broker.port, heard) as link, Listener(broker.port, "none") as listener:
        assert link.is_up is None
        wait_until(lambda: heard.take(link))
        assert heard.events == [Connected()]
        assert heard.woken.is_set()
        assert link.is_up
        listener.say("node/asked", b"yes")
        wait_until(lambda: len(heard.take(link)) == 2)
    assert heard.events[1] == Received("node/asked", b"yes", was_retained=False)


def test_states_are_limited_until_the_broker_acknowledges_them(broker: CameraServer) -> None:
    heard = Heard()
    with linked(broker.port, heard) as link, Listener(broker.port) as listener:
        wait_until(lambda: heard.take(link))
        n_published = 0
        while link.takes_states:
            link.publish_state(f"node/{n_published}", b"1")
            n_published += 1
        assert not link.is_settled
        wait_until(lambda: heard.take(link) and link.is_settled)
        assert link.takes_states
        wait_until(lambda: len(listener.last) >= n_published)


def test_without_a_connection_nothing_is_published() -> None:
    heard = Heard()
    with linked(free_port(), heard) as link:
        wait_until(lambda: heard.take(link))
        assert link.is_up is False
        assert not link.takes_states
        assert not link.publish_event("node/x", "1")
        assert not link.publish_notice("node/x", "1")
    assert isinstance(heard.events[0], Disconnected)
    assert heard.events[0].reason.startswith("no connection to 127.0.0.1:")


def test_a_goodbye_leaves_no_will(broker: CameraServer) -> None:
    heard = Heard()
    with Listener(broker.port, "node/status") as listener:
        with linked(broker.port, heard) as link:
            wait_until(lambda: heard.take(link))
        with linked(broker.port, Heard()) as other:
            wait_until(lambda: list(other.take_events()))
        assert listener.heard == []
