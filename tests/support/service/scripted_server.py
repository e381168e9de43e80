"""A server for tests that answers each connection with a function: whatever a real one would never send."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

Script = Callable[[socket.socket], None]


class ScriptedServer:
    """Plays one script for each connection, in order, and the last one for all that follow; then closes it.

    Attributes:
        n_connections: how many came.
        stop: set at the end; scripts that wait must wait for it.
    """

    def __init__(self, *scripts: Script) -> None:
        self._scripts: Sequence[Script] = scripts
        self.n_connections = 0
        self.stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        for thread in self._threads:
            thread.join()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.n_connections, len(self._scripts) - 1)]
            self.n_connections += 1
            thread = threading.Thread(target=self._play, args=(script, link))
            self._threads.append(thread)
            thread.start()

    def _play(self, script: Script, link: socket.socket) -> None:
        with link, suppress(OSError):
            link.settimeout(10.0)
            script(link)


def read_request(link: socket.socket) -> bytes:
    """Return one request: its head and as much of a body as it announces."""
    received = b""
    while b"\r\n\r\n" not in received:
        block = link.recv(65536)
        if not block:
            return received
        received += block
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    n_left = int(lengths[0]) - len(body) if lengths else 0
    while n_left > 0 and (block := link.recv(65536)):
        received += block
        n_left -= len(block)
    return received


def sending(*parts: bytes) -> Script:
    """Return a script that reads a request and sends bytes."""

    def script(link: socket.socket) -> None:
        read_request(link)
        for part in parts:
            link.sendall(part)

    return script


def reply(body: bytes, *, status: str = "200 OK", headers: str = "Content-Type: application/json") -> bytes:
    """Return a whole HTTP reply."""
    head = f"HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
