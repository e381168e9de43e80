"""A connection to an MQTT broker, which paho's network thread opens, keeps alive and opens again.

paho would send retained states of a lost connection after newer ones of the next. So whatever is unacknowledged is
dropped on connecting (`drop_out_messages`, the reason for paho-mqtt 2.2), and the owner publishes its states again.
"""

from __future__ import annotations

import random
import ssl
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edge_autotuner.config.node import MqttConfig
from edge_autotuner.core.backoff import UNEVEN
from edge_autotuner.core.link_failures import connection_failure
from edge_autotuner.errors import MissingDependency

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

KEEPALIVE_S = 15
"""After this long in silence the broker is asked for a sign of life, and has as long again to give one."""

_CONNECT_S = 5.0
_MAX_UNACKNOWLEDGED = 16
_MAX_UNSENT = 64  # passing messages; paho's own queue of them has no limit
_MAX_RECEIVED = 10_000
_CALLBACKS = ("on_pre_connect", "on_connect", "on_connect_fail", "on_disconnect", "on_publish", "on_message")


@dataclass(frozen=True)
class Connected:
    """The broker accepted a new connection; it may know nothing."""


@dataclass(frozen=True)
class Disconnected:
    """An attempt failed or the connection ended; `reason` contains no secrets."""

    reason: str


@dataclass(frozen=True)
class Received:
    """A message from a subscribed topic."""

    topic: str
    payload: bytes
    was_retained: bool


class MqttLink:
    """Connects at once and until `close`, from paho's thread; all methods are for one other thread.

    Args:
        config: where to, and how to log in.
        client_id: a new connection with the same ID ends the old one.
        password: for `config.username`.
        ssl_context: None: not encrypted.
        will: topic and retained message that the broker publishes when the connection breaks.
        subscriptions: topics; a broker that forbids one is no problem.
        retry_s: first and longest delay between attempts to connect.
        wake: called from paho's thread when `take_events` has something new.

    Raises:
        MissingDependency: paho-mqtt is not installed.
    """

    def __init__(
        self,
        config: MqttConfig,
        *,
        client_id: str,
        password: str | None,
        ssl_context: ssl.SSLContext | None,
        will: tuple[str, bytes],
        subscriptions: Sequence[str],
        retry_s: tuple[float, float],
        wake: Callable[[], None],
    ) -> None:
        self.is_up: bool | None = None
        """Whether there is a connection, as of the last `take_events`; None during the first attempt."""
        self._where = f"{config.host}:{config.port}"
        self._subscriptions = [(topic, 1) for topic in subscriptions]
        self._wake = wake
        self._events: deque[Connected | Disconnected | Received | int] = deque()
        self._unacknowledged: set[int] = set()
        self._unsent: set[int] = set()
        self._state: Literal["connecting", "up", "over"] = "connecting"  # of an attempt; only for paho's thread
        self._client = self._make_client(client_id)
        if config.username is not None:
            self._client.username_pw_set(config.username, password)
        if ssl_context is not None:
            self._client.tls_set_context(ssl_context)
        self._client.will_set(will[0], will[1], qos=1, retain=True)
        share = random.uniform(1 - UNEVEN, 1.0)  # nodes that lose their broker together return at different times
        self._client.reconnect_delay_set(retry_s[0] * share, retry_s[1] * share)  # type: ignore[arg-type]  # any number
        self._client.connect_async(config.host, config.port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    @property
    def takes_states(self) -> bool:
        """Whether another retained message can be published now."""
        return bool(self.is_up) and len(self._unacknowledged) < _MAX_UNACKNOWLEDGED

    @property
    def is_settled(self) -> bool:
        """Whether the broker has acknowledged everything that it must."""
        return not self._unacknowledged

    def take_events(self) -> Iterator[Connected | Disconnected | Received]:
        """Yield what happened since the last call."""
        while self._events:
            event = self._events.popleft()
            if isinstance(event, int):
                self._unacknowledged.discard(event)
                self._unsent.discard(event)
                continue
            if not isinstance(event, Received):
                self.is_up = isinstance(event, Connected)
                self._unacknowledged.clear()
                self._unsent.clear()
            yield event

    def publish_state(self, topic: str, payload: bytes) -> None:
        """Publish a retained message that the broker must acknowledge; only while `takes_states`."""
        self._unacknowledged.add(self._client.publish(topic, payload, qos=1, retain=True).mid)

    def publish_event(self, topic: str, payload: str) -> bool:
        """Publish a passing message, unless too many earlier ones wait for the network; return whether."""
        if not self.is_up or len(self._unsent) >= _MAX_UNSENT:
            return False
        sent = self._client.publish(topic, payload, qos=0)
        if sent.rc == 0:
            self._unsent.add(sent.mid)
        return sent.rc == 0

    def publish_notice(self, topic: str, payload: str) -> bool:
        """Publish a rare passing message that the broker must acknowledge; return whether there is a connection."""
        return bool(self.is_up) and self._client.publish(topic, payload, qos=1).rc == 0

    def revive(self) -> None:
        """Start paho's thread again if an error ended it; nothing happens while it runs."""
        self._client.loop_start()

    def close(self) -> None:
        """Say goodbye, so that the broker does not publish the will; waits for what paho is doing."""
        self._client.disconnect()
        self._client.loop_stop()
        for callback in _CALLBACKS:  # without this cycle, paho closes its pair of sockets with the last reference
            setattr(self._client, callback, None)

    def _make_client(self, client_id: str) -> Client:
        try:
            from paho.mqtt import client as paho
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as exc:
            raise MissingDependency(
                "the MQTT output needs paho-mqtt; install it with: pip install 'edge-autotuner[edge]'"
            ) from exc
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True)
        client.connect_timeout = _CONNECT_S
        client.max_inflight_messages_set(0)  # `takes_states` is the limit
        for callback in _CALLBACKS:
            setattr(client, callback, getattr(self, f"_{callback}"))
        return client

    def _on_pre_connect(self, _client: Client, _data: object) -> None:
        self._state = "connecting"

    def _on_connect(self, client: Client, _data: object, _flags: object, reason: Any, _more: object) -> None:  # noqa: ANN401
        if reason.is_failure:
            self._state = "over"
            self._add(Disconnected(f"{self._where}: the broker refused the connection: {reason}"))
            return
        self._state = "up"
        client.drop_out_messages()
        client.subscribe(self._subscriptions)
        self._add(Connected())

    def _on_connect_fail(self, _client: Client, _data: object) -> None:
        error = sys.exception() or OSError()  # paho calls this while it handles the exception
        self._add(Disconnected(f"no connection to {self._where}: {connection_failure(error)}"))

    def _on_disconnect(self, _client: Client, _data: object, _flags: object, reason: Any, _more: object) -> None:  # noqa: ANN401
        if self._state == "connecting" and reason == "Keep alive timeout":
            self._add(Disconnected(f"{self._where} accepts connections but is not an MQTT broker"))
        elif self._state != "over":  # paho 2.2.0 calls this twice when the keep-alive times out
            self._add(Disconnected(f"{self._where}: the connection was lost: {reason}"))
        self._state = "over"

    def _on_publish(self, _client: Client, _data: object, mid: int, _reason: object, _more: object) -> None:
        self._add(mid)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if len(self._events) < _MAX_RECEIVED:
            self._add(Received(message.topic, bytes(message.payload), message.retain))

    def _add(self, event: Connected | Disconnected | Received | int) -> None:
        self._events.append(event)
        self._wake()
