"""What tests of the node's outputs need: reports, a listener at a broker, and an address that is posted to."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import numpy as np

from edge_autotuner.config.node import CameraConfig
from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.node.outputs import DetectionReport
from support.machine.free_ports import free_port

LABELS = LabelMap(("person", "traffic light"))
FRONT = CameraConfig(name="front", source="rtsp://camera/1", place="Front yard")
GARAGE = CameraConfig(name="garage.2", source="rtsp://camera/2")

_LIMIT_S = 60.0


def make_report(
    *class_ids: int,
    camera: str = "front",
    index: int = 0,
    labels: LabelMap = LABELS,
    captured_at: datetime | None = None,
) -> DetectionReport:
    """Return a report with one object of each of the classes."""
    n = len(class_ids)
    boxes = np.tile(np.array([[10.04, 20.0, 30.26, 60.0]], np.float32), (n, 1))
    found = Detections(boxes, np.full(n, 0.87654321, np.float32), np.array(class_ids, np.int64))
    at = captured_at or datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
    return DetectionReport(camera, "bundle-1", labels, index, index / 5, at, (640, 480), found)


def wait_until(is_so: Callable[[], object]) -> None:
    """Return as soon as something is so; fail when it does not come about."""
    until_s = time.monotonic() + _LIMIT_S
    while not is_so():
        assert time.monotonic() < until_s, "it did not come about"
        time.sleep(0.01)


class Listener:
    """Hears everything at a broker, with a connection of its own.

    Attributes:
        heard: topic, message and whether it was retained, in order.
        last: by topic.
    """

    def __init__(self, port: int, *topics: str) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.heard: list[tuple[str, bytes, bool]] = []
        self.last: dict[str, bytes] = {}
        self._is_subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe([(topic, 0) for topic in topics or ("#",)])
        self._client.on_subscribe = lambda *_: self._is_subscribed.set()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._is_subscribed.wait(_LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, topic: str, message: bytes, *, is_retained: bool = False) -> None:
        """Publish something, and wait until the broker has it."""
        self._client.publish(topic, message, qos=1, retain=is_retained).wait_for_publish(_LIMIT_S)

    def expect(self, **last: bytes) -> None:
        """Wait until the last messages are these; in names of topics, __ stands for /."""
        wanted = {topic.replace("__", "/"): message for topic, message in last.items()}
        wait_until(lambda: wanted.items() <= self.last.items())

    def _hear(self, _client: object, _data: object, message: Any) -> None:
        self.heard.append((message.topic, message.payload, message.retain))
        self.last[message.topic] = message.payload


class Hook:
    """An address that takes reports, or does not.

    Attributes:
        bodies: what was posted and accepted, in order.
        headers: of the last request.
        n_requests: how many came.
        answer: status and headers of the answers from now on.
        gate: requests wait for it before they are answered.

    Args:
        context: for https.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self.bodies: list[dict[str, Any]] = []
        self.headers: Mapping[str, str] = {}
        self.n_requests = 0
        self.answer: tuple[int, dict[str, str]] = (204, {})
        self.gate = threading.Event()
        self.gate.set()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._port = free_port()
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self.stop()

    @property
    def origin(self) -> str:
        """Scheme, host and port: what messages may show."""
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """Where it listens; the path is a secret, as with many services."""
        return f"{self.origin}/hooks/very-secret?key=also-secret"

    def start(self) -> None:
        """Listen, at the same port as before."""
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook._take(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        if self._context is not None:
            self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
        self._server = None

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.headers = dict(request.headers)
        self.n_requests += 1
        status, headers = self.answer
        if not self.gate.is_set():
            self.gate.wait(_LIMIT_S)
        if status < 300:
            self.bodies.append(json.loads(body))
        try:
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name, value)
            request.end_headers()
        except OSError:
            pass  # whoever asked has given up
