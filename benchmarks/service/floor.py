"""What the machine itself takes for what every request does: go over TCP, and go to a thread and back."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable
from statistics import median

_N_ROUNDS = 2000
_BYTES = 100


def machine_floor_ms() -> dict[str, float]:
    """Return the median milliseconds of a bare round trip over loopback, and of one to another thread."""
    return {"tcp_ms": _tcp_ms(), "thread_ms": _thread_ms()}


def _tcp_ms() -> float:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        echo = threading.Thread(target=_echo, args=(listener,))
        echo.start()
        with socket.create_connection(listener.getsockname()) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def go() -> None:
                connection.sendall(b"x" * _BYTES)
                connection.recv(_BYTES, socket.MSG_WAITALL)

            found = _median_ms(go)
        echo.join()
    return found


def _echo(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := connection.recv(_BYTES):
            connection.sendall(data)


def _thread_ms() -> float:
    there: queue.SimpleQueue[bool] = queue.SimpleQueue()
    back: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def work() -> None:
        while there.get():
            back.put(True)

    def go() -> None:
        there.put(True)
        back.get()

    thread = threading.Thread(target=work)
    thread.start()
    found = _median_ms(go)
    there.put(False)
    thread.join()
    return found


def _median_ms(go: Callable[[], None]) -> float:
    times_s = []
    for _ in range(_N_ROUNDS):
        started_s = time.perf_counter()
        go()
        times_s.append(time.perf_counter() - started_s)
    return median(times_s) * 1000
