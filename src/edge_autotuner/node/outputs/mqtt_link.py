"""One connection to an MQTT broker, from start to end.

It belongs to one thread, which is paho's network loop as well: nothing waits for a lock, and nothing of a lost
connection is repeated on the next one, where paho would send old retained states after newer ones.
"""

from __future__ import annotations

import select
import ssl
from typing import TYPE_CHECKING, Any

from edge_autotuner.config.node import MqttConfig
from edge_autotuner.core import Clock
from edge_autotuner.core.link_failures import connection_failure
from edge_autotuner.errors import EdgeAutotunerError, MissingDependency

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

_KEEPALIVE_S = 30
_CONNECT_S = 5.0
_ACKNOWLEDGE_S = 30.0
_MAX_UNACKNOWLEDGED = 16  # paho's own limit is 20
_TICK_S = 1.0  # paho checks its keep-alive when it is asked to


def require_paho() -> None:
    """Check that the MQTT library is there.

    Raises:
        MissingDependency: paho-mqtt is not installed.
    """
    try:
        import paho.mqtt.client  # noqa: F401
    except ImportError as exc:
        raise MissingDependency(
            "the MQTT output needs paho-mqtt; install it with: pip install 'edge-autotuner[edge]'"
        ) from exc


class LinkLost(EdgeAutotunerError):
    """There is no connection, or no longer; the message says why, without secrets."""


class MqttLink:
    """A connection to the broker; one that is lost stays lost.

    Args:
        config: where to, and how to log in.
        client_id: how the broker tells clients apart; a new connection of the same ends the old one.
        password: for `config.username`.
        ssl_context: None: not encrypted.
        will: topic and retained message that the broker publishes when this connection breaks.
        clock: of time limits.

    Raises:
        LinkLost: the broker cannot be reached or refuses.
    """

    def __init__(
        self,
        config: MqttConfig,
        *,
        client_id: str,
        password: str | None,
        ssl_context: ssl.SSLContext | None,
        will: tuple[str, bytes],
        clock: Clock,
    ) -> None:
        self.received: list[tuple[str, bytes, bool]] = []
        """Topic, message, and whether it was retained before: what came since the owner last looked."""
        self._where = f"{config.host}:{config.port}"
        self._clock = clock
        self._is_up = False
        self._end: str | None = None
        self._unacknowledged: set[int] = set()
        self._acknowledged_s = clock.monotonic_s()
        self._client = self._make_client(client_id)
        if config.username is not None:
            self._client.username_pw_set(config.username, password)
        if ssl_context is not None:
            self._client.tls_set_context(ssl_context)
        self._client.will_set(will[0], will[1], qos=1, retain=True)
        try:
            self._connect(config)
        except BaseException:
            self.close()
            raise

    @property
    def takes_states(self) -> bool:
        """Whether another retained message can be published now."""
        return len(self._unacknowledged) < _MAX_UNACKNOWLEDGED

    @property
    def is_settled(self) -> bool:
        """Whether the broker has acknowledged all that it must."""
        return not self._unacknowledged

    def subscribe(self, topics: list[str]) -> None:
        """Ask for messages; a broker that forbids it is no problem."""
        self._client.subscribe([(topic, 1) for topic in topics])

    def publish_state(self, topic: str, payload: bytes) -> None:
        """Publish a retained message that the broker must acknowledge; only while `takes_states`."""
        if self.is_settled:
            self._acknowledged_s = self._clock.monotonic_s()
        self._unacknowledged.add(self._client.publish(topic, payload, qos=1, retain=True).mid)

    def publish_event(self, topic: str, payload: str) -> bool:
        """Publish a passing message, unless earlier ones still wait for the network; return whether."""
        if self._client.want_write():
            return False
        return self._client.publish(topic, payload, qos=0).rc == 0

    def publish_notice(self, topic: str, payload: str) -> None:
        """Publish a passing message that is rare and matters: the broker must acknowledge it, and it waits its turn."""
        self._client.publish(topic, payload, qos=1)

    def pump(self, timeout_s: float, wake: int | None = None) -> None:
        """Let bytes flow: wait until some come, `wake` is readable, or so much time has passed.

        Raises:
            LinkLost: the connection has ended.
        """
        socket = self._client.socket()
        if socket is not None:
            handle = socket.fileno()
            poll = select.poll()
            poll.register(handle, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
            if wake is not None:
                poll.register(wake, select.POLLIN)
            is_buffered = isinstance(socket, ssl.SSLSocket) and socket.pending() > 0
            ready = dict(poll.poll(0 if is_buffered else max(0.0, min(timeout_s, _TICK_S)) * 1000))
            if is_buffered or ready.get(handle, 0) & ~select.POLLOUT:
                self._client.loop_read()
            if ready.get(handle, 0) & select.POLLOUT:
                self._client.loop_write()
            self._client.loop_misc()
        self._check()

    def disconnect(self) -> None:
        """Say goodbye, so that the broker does not publish the will."""
        self._client.disconnect()

    def close(self) -> None:
        """Give the socket back."""
        socket = self._client.socket()
        if socket is not None:
            socket.close()

    def _connect(self, config: MqttConfig) -> None:
        try:
            self._client.connect(config.host, config.port, keepalive=_KEEPALIVE_S)
        except OSError as exc:  # ssl.SSLError is one
            raise LinkLost(f"no connection to {self._where}: {connection_failure(exc)}") from exc
        until_s = self._clock.monotonic_s() + _CONNECT_S
        while not self._is_up:
            self.pump(_TICK_S)
            if not self._is_up and self._clock.monotonic_s() >= until_s:
                raise LinkLost(f"{self._where} accepts connections, but does not speak MQTT")

    def _check(self) -> None:
        if self._end is not None:
            raise LinkLost(f"{self._where}: {self._end}")
        if self._client.socket() is None:
            raise LinkLost(f"{self._where}: the connection was closed")
        waits_s = self._clock.monotonic_s() - self._acknowledged_s
        if self._unacknowledged and waits_s >= _ACKNOWLEDGE_S:
            raise LinkLost(f"{self._where} does not acknowledge what it gets")

    def _make_client(self, client_id: str) -> Client:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True, reconnect_on_failure=False
        )
        client.connect_timeout = _CONNECT_S
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _on_connect(self, _client: Client, _data: object, _flags: object, reason: Any, _more: object) -> None:  # noqa: ANN401
        if reason.is_failure:
            self._end = f"the broker refuses: {reason}"
        else:
            self._is_up = True

    def _on_disconnect(self, _client: Client, _data: object, _flags: object, reason: Any, _more: object) -> None:  # noqa: ANN401
        self._end = self._end or f"the connection broke: {reason}"

    def _on_publish(self, _client: Client, _data: object, mid: int, _reason: object, _more: object) -> None:
        self._unacknowledged.discard(mid)
        self._acknowledged_s = self._clock.monotonic_s()

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.received.append((message.topic, bytes(message.payload), message.retain))
