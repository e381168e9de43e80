"""Serves a simulated world as a camera: MJPEG over HTTP, in real time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2

from edge_autotuner.errors import StorageError
from edge_autotuner.simulation.world.world import SimulatedWorld

_BOUNDARY = "simulated-frame"
_JPEG_QUALITY = 85
_PATH = "/video.mjpeg"


class LiveWorld:
    """A simulated camera that runs: its clock starts with the server, and its video begins again after its end.

    Use it as a context manager; it listens in threads of its own until the block ends.

    Args:
        world: what it shows.
        host, port: where it listens; port 0 for any free one.

    Raises:
        StorageError: it cannot listen there.
    """

    def __init__(self, world: SimulatedWorld, host: str, port: int) -> None:
        self._world = world
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._latest: tuple[int, bytes] = (-1, b"")
        self._stopped = threading.Event()
        live = self

        class Handler(_Handler):
            camera = live

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as exc:
            raise StorageError(
                f"cannot listen on {host}:{port}: {exc.strerror}; choose another --serve address"
            ) from exc
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="simulated-camera", daemon=True)

    @property
    def url(self) -> str:
        """Address of the camera."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}{_PATH}"

    def __enter__(self) -> LiveWorld:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def jpegs(self) -> Iterator[bytes]:
        """Yield the frames of one viewer as they become due; late ones are left out, as a camera does."""
        shown = -1
        while not self._stopped.is_set():
            number = int((time.monotonic() - self._started) * self._world.info.rate_hz)
            if number == shown:
                due = self._started + (number + 1) / self._world.info.rate_hz
                self._stopped.wait(max(0.001, due - time.monotonic()))
                continue
            shown = number
            yield self._jpeg(number)

    def _jpeg(self, number: int) -> bytes:
        with self._lock:  # several viewers share one world
            if self._latest[0] != number:
                image = self._world.image(number % self._world.n_frames)
                encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
                self._latest = number, encoded.tobytes()
            return self._latest[1]


class _Handler(BaseHTTPRequestHandler):
    camera: LiveWorld

    def do_GET(self) -> None:
        if self.path.split("?")[0] != _PATH:
            self.send_error(HTTPStatus.NOT_FOUND, f"the camera is at {_PATH}")
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.end_headers()
        try:
            for jpeg in self.camera.jpegs():
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
        except OSError:
            return  # the viewer has gone

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 (the base class's)
        """Say nothing: a viewer comes and goes."""
