"""Serves a simulated world as a camera: MJPEG over HTTP, in real time, to a bounded number of viewers."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2

from edge_autotuner.errors import StorageError
from edge_autotuner.simulation.world.world import SimulatedWorld

MAX_VIEWERS = 16
"""More viewers than these are refused with status 503."""

_MAX_WAITING = 64  # clients that have not asked for anything yet
_REQUEST_S, _FRAME_S = 5.0, 10.0  # a client that takes longer to ask, or to take one frame, is left
_POLL_S = 0.1
_BOUNDARY = "simulated-frame"
_JPEG_QUALITY = 85
_PATH = "/video.mjpeg"


class LiveWorld:
    """A simulated camera that runs: its clock starts with the server, and its video begins again after its end.

    Use it as a context manager; it listens in threads of its own until the block ends. A viewer that is too slow for
    the rate misses frames, and one that takes no frame for 10 seconds is left; others see nothing of it.

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
        self._viewers = threading.BoundedSemaphore(MAX_VIEWERS)
        self.stopped = threading.Event()
        live = self

        class Handler(_Handler):
            camera = live

        try:
            self._server = _server_at(host, port, Handler)
        except (OSError, UnicodeError) as exc:
            reason = getattr(exc, "strerror", None) or exc
            raise StorageError(f"cannot listen on {host}:{port}: {reason}; choose another --serve address") from exc
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="simulated-camera", daemon=True
        )

    @property
    def url(self) -> str:
        """Address of the camera."""
        host, port = self._server.server_address[:2]
        shown = f"[{host!s}]" if self._server.address_family == socket.AF_INET6 else str(host)
        return f"http://{shown}:{port}{_PATH}"

    @property
    def is_private(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(str(self._server.server_address[0]).partition("%")[0]).is_loopback

    def __enter__(self) -> LiveWorld:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._thread.join()
        self.close()

    def close(self) -> None:
        """Free the address, also of a camera that was never started."""
        self._server.server_close()

    @contextlib.contextmanager
    def viewing(self) -> Iterator[bool]:
        """Take the place of a viewer for a while; False if all are taken."""
        has_place = self._viewers.acquire(blocking=False)
        try:
            yield has_place
        finally:
            if has_place:
                self._viewers.release()

    def jpegs(self) -> Iterator[bytes]:
        """Yield the frames of one viewer as they become due; late ones are left out, as a camera does."""
        shown = -1
        while not self.stopped.is_set():
            number = int((time.monotonic() - self._started) * self._world.info.rate_hz)
            if number == shown:
                due = self._started + (number + 1) / self._world.info.rate_hz
                self.stopped.wait(max(0.001, due - time.monotonic()))
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


class _Server(ThreadingHTTPServer):
    """A server of few clients, that leaves those who do not ask for anything."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = _MAX_WAITING

    def __init__(self, address: tuple[Any, ...], handler: type[_Handler]) -> None:
        self._waiting: dict[socket.socket, float] = {}
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Listen, without the name look-up of the base class, which can take seconds."""
        socketserver.TCPServer.server_bind(self)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401 (the base class's)
        """Take a client in; where too many have not asked for anything, the first of them is left."""
        while len(self._waiting) >= _MAX_WAITING:
            self._leave(next(iter(self._waiting)))
        self._waiting[request] = time.monotonic()
        return True

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Serve a client."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.has_asked(request)

    def has_asked(self, request: socket.socket) -> None:
        """Note that a client has sent its request."""
        self._waiting.pop(request, None)

    def service_actions(self) -> None:
        """Close connections whose request has not come in time, byte by byte ones too."""
        for request, since in list(self._waiting.items()):
            if time.monotonic() - since > _REQUEST_S:
                self._leave(request)

    def _leave(self, request: socket.socket) -> None:
        self.has_asked(request)
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Say nothing of clients that have gone; anything else is an error of ours, and shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    camera: LiveWorld
    default_request_version = "HTTP/1.0"  # else errors have no status line
    timeout = _FRAME_S
    server_version, sys_version = "edge-autotuner", ""

    def parse_request(self) -> bool:
        """Read the request; from then on the client may wait."""
        is_good = super().parse_request()
        assert isinstance(self.server, _Server), "it makes the handlers"
        self.server.has_asked(self.connection)
        return is_good

    def do_GET(self) -> None:
        with contextlib.suppress(OSError), self.camera.viewing() as has_place:  # OSError: the viewer has gone
            if self._begin(has_place=has_place):
                for jpeg in self.camera.jpegs():
                    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")

    def do_HEAD(self) -> None:
        self._begin(has_place=True)

    def do_POST(self) -> None:
        self.send_response(HTTPStatus.METHOD_NOT_ALLOWED)
        self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_POST

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 (the base class's)
        """Say nothing: a viewer comes and goes."""

    def _begin(self, *, has_place: bool) -> bool:
        """Send the head of the answer; return whether frames follow it."""
        if self.path.split("?")[0] != _PATH:
            self.send_error(HTTPStatus.NOT_FOUND, f"the camera is at {_PATH}")
            return False
        if not has_place:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, f"{MAX_VIEWERS} viewers are the most")
            return False
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        return True


def _server_at(host: str, port: int, handler: type[_Handler]) -> _Server:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]

    class Server(_Server):
        address_family = family

    return Server(address, handler)
