"""A small annotation service for tests of the client: the part of the interface that annotation needs, in one process.

It has the model of an ONNX file under the name `changes`.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from contextlib import suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np

from edge_autotuner.core import Detections
from edge_autotuner.models import describe_onnx
from edge_autotuner.models.onnx_detector import OnnxDetector

MODEL = "changes"
TOKEN = "token-of-the-tests"


class StubService:
    """The service as a thread of this process.

    Attributes:
        sha256: of the model; tests may replace it.
        asked: hashes of the pictures that the model looked at, in order.
        max_pictures: a larger batch is refused with 413.
        busy_for: so many pictures are refused with 429 first.
        loading_for: so often the service says that it is not ready.
        n_bytes: of the pictures that the model looked at.
    """

    def __init__(self, model: Path, *, port: int = 0, adapter: str | None = "yolox") -> None:
        self.spec = describe_onnx(model, adapter)
        self.detector = OnnxDetector(model, self.spec, n_threads=1)
        self.sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        self.asked: list[str] = []
        self.max_pictures = 64
        self.busy_for = 0
        self.loading_for = 0
        self.n_bytes = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.stub = self

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for link in self._server.links:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self) -> None:
        """Serve until the process is killed."""
        self._server.serve_forever()

    def ready(self) -> dict[str, Any]:
        """Return 503 as often as tests want; the model is listed afterwards."""
        self.loading_for -= 1
        return problem(503, "not-ready") if self.loading_for > 0 else {}

    def models(self) -> dict[str, Any]:
        """Return the list of models."""
        if self.loading_for > 0:
            return {"models": []}
        spec = self.spec
        info = {"name": MODEL, "sha256": self.sha256, "classes": list(spec.labels.names), "resize": spec.resize}
        return {"models": [info | {"input_size_wh": list(spec.input_size_wh)}]}

    def annotate(self, picture: bytes, min_score: float, max_detections: int) -> dict[str, Any]:
        """Return the answer to one picture."""
        image_bgr = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        if image_bgr is None:
            return problem(422, "not-a-picture")
        if self._is_busy():
            return problem(429, "queue-full")
        with self._lock:
            found = self.detector.detect(np.asarray(image_bgr, np.uint8))
            self.n_bytes += len(picture)
            self.asked.append(hashlib.sha256(picture).hexdigest())
        return self._answer(found.above(min_score).sorted_by_score(max_detections), picture)

    def _is_busy(self) -> bool:
        with self._lock:
            self.busy_for -= 1
            return self.busy_for >= 0

    def _answer(self, found: Detections, picture: bytes) -> dict[str, Any]:
        return {
            "model": MODEL,
            "model_sha256": self.sha256,
            "boxes_xyxy": found.boxes_xyxy.tolist(),
            "scores": found.scores.tolist(),
            "class_ids": found.class_ids.tolist(),
            "is_cached": False,
            "picture_sha256": hashlib.sha256(picture).hexdigest(),
        }


def problem(status: int, kind: str) -> dict[str, Any]:
    """Return a problem in the form of RFC 9457."""
    return {"type": kind, "title": kind, "status": status, "detail": f"this is {kind}"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stub: StubService

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.links: list[socket.socket] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 60

    def setup(self) -> None:
        super().setup()
        self.server.links.append(self.connection)

    def do_GET(self) -> None:
        if not self._may_ask():
            return
        answers = {"/v1/models": self.server.stub.models, "/v1/ready": self.server.stub.ready}
        answer = answers[self.path]() if self.path in answers else problem(404, "unknown-path")
        self._reply(answer.get("status", 200), answer)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._may_ask():
            return
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path == f"/v1/models/{MODEL}/annotations":
            answer = self.server.stub.annotate(body, float(query["min_score"]), int(query["max_detections"]))
            self._reply(answer.get("status", 200), answer)
        elif parts.path == f"/v1/models/{MODEL}/annotations/batch":
            self._batch(body)
        else:
            self._reply(404, problem(404, "unknown-model"))

    def _batch(self, body: bytes) -> None:
        form = parts_of(self.headers["Content-Type"], body)
        request = json.loads(form[0][1])
        pictures = [content for name, content in form if name == "pictures"]
        if len(pictures) > self.server.stub.max_pictures:
            self._reply(413, problem(413, "too-large"))
            return
        answers = [self.server.stub.annotate(p, request["min_score"], request["max_detections"]) for p in pictures]
        self._reply(200, {"results": answers})

    def _may_ask(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self._reply(401, problem(401, "no-valid-token"))
        return False

    def _reply(self, status: int, values: dict[str, Any]) -> None:
        content = json.dumps(values).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
        self.send_header("Content-Length", str(len(content)))
        if status == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def parts_of(content_type: str, body: bytes) -> list[tuple[str, bytes]]:
    """Return the names and contents of a multipart body."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = b"--" + str(header.get_param("boundary")).encode()
    parts = []
    for part in (b"\r\n" + body).split(b"\r\n" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = head.split(b'name="')[1].split(b'"')[0]
        parts.append((name.decode(), content))
    return parts
