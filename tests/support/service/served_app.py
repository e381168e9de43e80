"""Serves an app over real HTTP from a thread of the test."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

_POLL_S = 0.02


@contextmanager
def served(config: uvicorn.Config) -> Iterator[tuple[str, int]]:
    """Serve an app on a free port of this machine until the end of the block; give host and port."""
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            thread.join()


def wait_until_ready(url: str, limit_s: float) -> None:
    """Return when a service says that it is ready; fail when it does not in time."""
    until_s = time.monotonic() + limit_s
    while True:
        try:
            urllib.request.urlopen(f"{url}/v1/ready", timeout=limit_s).close()
        except OSError:
            assert time.monotonic() < until_s, "the service does not become ready"
            time.sleep(_POLL_S)
        else:
            return
