"""A camera with a web server for tests: MJPEG over HTTP, well and ill behaved.

Runs as a process of its own: prints "ready PORT" when it can be connected to; `--port` chooses one. The path of a
request chooses the behaviour, see `_BEHAVIOURS`. Below /private/ it wants the user "viewer" with the password
of the environment variable CAMERA_PASSWORD.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import itertools
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

SIZE_WH = (160, 120)
N_FINITE = 12
"""Pictures of a stream that ends."""

_RATE_HZ = 20.0
_BOUNDARY = "frame"
_MULTIPART = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
_BLOCK_BYTES = 16 * 1024
_BLOCKS_PER_S = 64  # of the endless answers: 1 MB/s


def picture(index: int) -> bytes:
    """Return a JPEG with a square whose place depends on the index."""
    image = np.full((SIZE_WH[1], SIZE_WH[0], 3), 90, np.uint8)
    left = index * 5 % (SIZE_WH[0] - 24)
    image[40:64, left : left + 24] = (40, 200, 220)
    return bytes(cv2.imencode(".jpg", image)[1])


def part(jpeg: bytes) -> bytes:
    """Return one part of a multipart answer."""
    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return head.encode() + jpeg + b"\r\n"


class _Camera(BaseHTTPRequestHandler):
    """Answers one request."""

    def do_GET(self) -> None:
        """Behave as the path says."""
        path = self.path.partition("?")[0]
        if path.startswith("/private/"):
            if not self._is_allowed():
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.end_headers()
                return
            path = path.removeprefix("/private")
        behaviour = _BEHAVIOURS.get(path)
        if behaviour is None:
            self.send_error(404)
            return
        with contextlib.suppress(OSError):  # the viewer has gone
            behaviour(self)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def send_parts(self, jpegs: Iterable[bytes]) -> None:
        """Send pictures at the camera's pace."""
        self.send_head(_MULTIPART)
        for jpeg in jpegs:
            self.wfile.write(part(jpeg))
            time.sleep(1 / _RATE_HZ)

    def send_head(self, content_type: str, n_bytes: int | None = None) -> None:
        """Begin a good answer."""
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        if n_bytes is not None:
            self.send_header("Content-Length", str(n_bytes))
        self.end_headers()

    def send_whole(self, content_type: str, content: bytes) -> None:
        """Send an answer of known length."""
        self.send_head(content_type, len(content))
        self.wfile.write(content)

    def send_blocks(self, blocks: Iterable[bytes]) -> None:
        """Send 1 MB/s until the blocks end or the viewer goes."""
        for block in blocks:
            self.wfile.write(block)
            time.sleep(1 / _BLOCKS_PER_S)

    def _is_allowed(self) -> bool:
        login = f"viewer:{os.environ['CAMERA_PASSWORD']}".encode()
        return self.headers.get("Authorization") == "Basic " + base64.b64encode(login).decode()


def _moving(camera: _Camera) -> None:
    camera.send_parts(picture(index) for index in itertools.count())


def _frozen(camera: _Camera) -> None:
    camera.send_parts(itertools.repeat(picture(0)))


def _finite(camera: _Camera) -> None:
    camera.send_whole(_MULTIPART, b"".join(part(picture(index)) for index in range(N_FINITE)))


def _broken_off(camera: _Camera) -> None:
    camera.send_parts(picture(index) for index in range(N_FINITE))


def _short(camera: _Camera) -> None:
    camera.send_head(_MULTIPART)
    camera.wfile.write(b"".join(part(picture(index)) for index in range(3)))


def _stalled(camera: _Camera) -> None:
    camera.send_parts(picture(index) for index in range(N_FINITE))
    time.sleep(3600)


def _silent(camera: _Camera) -> None:
    time.sleep(3600)


def _garbage(camera: _Camera) -> None:
    camera.send_head("video/mp4")
    camera.send_blocks(_noise())


def _garbage_parts(camera: _Camera) -> None:
    rng = random.Random(1)
    camera.send_parts(rng.randbytes(4000) for _ in itertools.count())


def _garbage_later(camera: _Camera) -> None:
    camera.send_parts(picture(index) for index in range(N_FINITE))
    camera.send_blocks(_noise())


def _endless_part(camera: _Camera) -> None:
    camera.send_parts(picture(index) for index in range(N_FINITE))
    camera.wfile.write(f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff".encode("latin-1"))
    camera.send_blocks(_noise())


def _half_damaged(camera: _Camera) -> None:
    """Every other picture is cut off."""
    jpegs = (picture(index) for index in itertools.count())
    camera.send_parts(jpeg if index % 2 else jpeg[:50] for index, jpeg in enumerate(jpegs))


def _endless_header(camera: _Camera) -> None:
    camera.wfile.write(b"HTTP/1.0 200 OK\r\n")
    camera.send_blocks(b"X-Name: value\r\n" * (_BLOCK_BYTES // 15) for _ in itertools.count())


def _huge_header(camera: _Camera) -> None:
    camera.wfile.write(b"HTTP/1.0 200 OK\r\nX-Name: ")
    camera.send_blocks(b"v" * _BLOCK_BYTES for _ in itertools.count())


def _web_page(camera: _Camera) -> None:
    camera.send_whole("text/html", b"<!DOCTYPE html><html><body>Please log in.</body></html>\n" * 40)


def _spying_playlist(camera: _Camera) -> None:
    """Send a playlist that names a local file, given in the query as ?file=PATH."""
    path = camera.path.partition("?file=")[2]
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2,", f"file://{path}", "#EXT-X-ENDLIST", ""]
    camera.send_whole("application/vnd.apple.mpegurl", "\n".join(lines).encode())


def _overloaded(camera: _Camera) -> None:
    camera.send_error(503)


def _noise() -> Iterator[bytes]:
    rng = random.Random(1)
    return (rng.randbytes(_BLOCK_BYTES) for _ in itertools.count())


_BEHAVIOURS: dict[str, Callable[[_Camera], None]] = {
    "/moving": _moving,
    "/frozen": _frozen,
    "/finite": _finite,
    "/broken-off": _broken_off,
    "/short": _short,
    "/stalled": _stalled,
    "/silent": _silent,
    "/garbage": _garbage,
    "/garbage-parts": _garbage_parts,
    "/garbage-later": _garbage_later,
    "/endless-part": _endless_part,
    "/half-damaged": _half_damaged,
    "/endless-header": _endless_header,
    "/huge-header": _huge_header,
    "/page": _web_page,
    "/playlist.m3u8": _spying_playlist,
    "/overloaded": _overloaded,
}


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for any free one")
    server = ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), _Camera)
    print(f"ready {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
