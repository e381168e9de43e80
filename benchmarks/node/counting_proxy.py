"""A proxy on the loopback interface that counts the bytes of every connection, whatever they mean."""

from __future__ import annotations

import socket
import threading
from typing import Self

_BLOCK_BYTES = 1 << 16


class CountingProxy:
    """Forwards connections to `127.0.0.1:upstream_port`; closed at the end of the `with` block.

    What is counted is what HTTP sends: request lines, headers and bodies. Headers of TCP/IP and TLS come on top.

    Attributes:
        n_up: bytes from clients to the server so far.
        n_down: bytes back.
    """

    def __init__(self, upstream_port: int) -> None:
        self.n_up = self.n_down = 0
        self._upstream_port = upstream_port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._links: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for link in self._links:
                _hang_up(link)
            threads = list(self._threads)
        for thread in threads:
            thread.join()
        for link in self._links:
            link.close()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            upstream = socket.create_connection(("127.0.0.1", self._upstream_port))
            with self._lock:
                self._links += [client, upstream]
                for arguments in ((client, upstream, True), (upstream, client, False)):
                    thread = threading.Thread(target=self._forward, args=arguments, daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _forward(self, source: socket.socket, target: socket.socket, is_up: bool) -> None:
        try:
            while block := source.recv(_BLOCK_BYTES):
                with self._lock:
                    if is_up:
                        self.n_up += len(block)
                    else:
                        self.n_down += len(block)
                target.sendall(block)
        except OSError:
            pass  # one side has hung up; so does the other
        _hang_up(source)
        _hang_up(target)


def _hang_up(link: socket.socket) -> None:
    try:
        link.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
