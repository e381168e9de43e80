"""How the service listens."""

from __future__ import annotations

import socket

import pytest

from edge_autotuner.config.server import ServerConfig
from edge_autotuner.errors import ConfigError
from edge_autotuner.server.process import listen


def test_an_answer_leaves_at_once() -> None:
    """With Nagle's algorithm, what follows an answer's head waits for an acknowledgement: 40 ms."""
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_an_address_that_is_taken_is_named() -> None:
    """Who starts the service twice reads why it does not listen."""
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1, port {port}"):
            listen(ServerConfig().host, port)
