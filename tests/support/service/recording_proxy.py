"""A proxy in front of a service that keeps every byte that clients send, whatever it is."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Self

_BLOCK = 1 << 16


class RecordingProxy:
    """Passes connections on to a port of this machine.

    Args:
        upstream_port: where the service listens.
    """

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sent: list[bytearray] = []
        self._links: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        for link in self._links:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for link in self._links:
            link.close()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def sent(self) -> bytes:
        """All that clients have sent, one connection after the other."""
        return b"".join(bytes(one) for one in self._sent)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                service = socket.create_connection(("127.0.0.1", self._upstream_port))
            except OSError:
                return
            record = bytearray()
            self._sent.append(record)
            self._links += [client, service]
            for source, target, kept in ((client, service, record), (service, client, bytearray())):
                thread = threading.Thread(target=_pump, args=(source, target, kept))
                self._threads.append(thread)
                thread.start()


def pictures_in(stream: bytes) -> list[bytes]:
    """Return every PNG, JPEG and WebP file that lies somewhere in a stream, in whatever frame or form."""
    return [*_pngs(stream), *_jpegs(stream), *_webps(stream)]


def _pump(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    with suppress(OSError):
        while block := source.recv(_BLOCK):
            kept += block
            target.sendall(block)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _pngs(stream: bytes) -> list[bytes]:
    found, at = [], stream.find(b"\x89PNG\r\n\x1a\n")
    while at >= 0:
        end = stream.index(b"IEND", at) + 8
        found.append(stream[at:end])
        at = stream.find(b"\x89PNG\r\n\x1a\n", end)
    return found


def _jpegs(stream: bytes) -> list[bytes]:
    found, at = [], stream.find(b"\xff\xd8\xff")
    while at >= 0:
        end = stream.find(b"\xff\xd9", at)
        found.append(stream[at : end + 2] if end > 0 else stream[at:])
        at = stream.find(b"\xff\xd8\xff", at + 3)
    return found


def _webps(stream: bytes) -> list[bytes]:
    found, at = [], stream.find(b"RIFF")
    while at >= 0:
        if stream[at + 8 : at + 12] == b"WEBP":
            found.append(stream[at : at + 8 + struct.unpack_from("<I", stream, at + 4)[0]])
        at = stream.find(b"RIFF", at + 4)
    return found
