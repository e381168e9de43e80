"""Ports for servers that are started again where they were."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_RANGE_OF_OTHERS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
_random = random.SystemRandom()  # every test begins with the same seed


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses, and that the system gives to nobody who asks for any.

    What the system gives out (port 0, and the near end of each connection) may be taken while the server is away.
    """
    while True:
        port = _random.randrange(_LOWEST, int(_RANGE_OF_OTHERS.read_text().split()[0]))
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
