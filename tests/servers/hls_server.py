"""A camera behind a web server that sends HLS: a playlist of parts of one second, three of them at once.

Runs as a process of its own: prints "ready PORT" when it can be connected to. /live.m3u8 goes on for ever,
/recorded.m3u8 says that it is over.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np
from av.video.stream import VideoStream

RATE_HZ = 10
N_RECORDED = 3
"""Parts of the recorded playlist."""

_N_LISTED = 3
_N_PARTS = 60
_WIDTH, _HEIGHT = 160, 120


def _encode_part(number: int) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE_HZ), options={"tune": "zerolatency"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        for index in range(number * RATE_HZ, (number + 1) * RATE_HZ):
            container.mux(stream.encode(_picture(index)))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _picture(index: int) -> av.VideoFrame:
    image = np.full((_HEIGHT, _WIDTH), 80, np.uint8)
    left = index * 5 % (_WIDTH - 24)
    image[40:64, left : left + 24] = 200
    picture = av.VideoFrame.from_ndarray(image, format="gray")
    picture.pts, picture.time_base = index, Fraction(1, RATE_HZ)
    return picture


class _Camera(BaseHTTPRequestHandler):
    """Answers one request."""

    began_s = 0.0

    def do_GET(self) -> None:
        """Send a playlist or a part."""
        if self.path.endswith(".m3u8"):
            self._send("application/vnd.apple.mpegurl", self._playlist().encode())
        else:
            number = int(self.path.strip("/").removesuffix(".ts"))
            self._send("video/mp2t", _encode_part(number))

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def _playlist(self) -> str:
        is_recorded = self.path.startswith("/recorded")
        first = 0 if is_recorded else min(int(time.monotonic() - self.began_s), _N_PARTS)
        parts = range(first, first + (N_RECORDED if is_recorded else _N_LISTED))
        head = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        body = [line for number in parts for line in ("#EXTINF:1.0,", f"{number}.ts")]
        return "\n".join([*head, *body, *(["#EXT-X-ENDLIST"] if is_recorded else []), ""])

    def _send(self, content_type: str, content: bytes) -> None:
        with contextlib.suppress(OSError):  # the viewer has gone
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for any free one")
    server = ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), _Camera)
    _Camera.began_s = time.monotonic()
    print(f"ready {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
