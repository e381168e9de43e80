"""How the service listens."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from edge_autotuner.config.server import ServerConfig
from edge_autotuner.errors import ConfigError
from edge_autotuner.server.process import check_settings, listen


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


def test_the_check_before_the_start_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The server took the stand-in for an application as a factory of applications, and warned at every start."""
    check_settings(ServerConfig(data=tmp_path / "data"))
    assert caplog.records == []
