"""Connections to PostgreSQL with a time limit for a server or network that stops answering.

Neither libpq nor PostgreSQL bounds this: `statement_timeout` and `lock_timeout` are enforced by the server that hangs.
The connection is closed, which frees its thread.
"""

from __future__ import annotations

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

_SILENCE_S = 20.0  # more than any wait for a lock
_CONNECT_S = 5
_T = TypeVar("_T")

_LIMITS = {
    "connect_timeout": _CONNECT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": int(_SILENCE_S * 1000),
}
"""Defaults of libpq's parameters, which the URL overrides; `keepalives` is 1 by itself."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server does not answer for too long."""

    silence_s = _SILENCE_S

    def wait(self, gen: PQGen[_T], *args: Any, **kwargs: Any) -> _T:  # noqa: ANN401 (the driver's own)
        """Run an operation of the driver; raises `psycopg.OperationalError` if the server does not answer."""
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, gen: PQGen[_T]) -> PQGen[_T]:
        """Drive an operation until nothing has arrived for too long."""
        until_s = time.monotonic() + self.silence_s
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    until_s = time.monotonic() + self.silence_s
                elif time.monotonic() >= until_s:
                    self.close()
                    raise psycopg.OperationalError(f"no response from the server for {self.silence_s:g} s")
                wanted = gen.send(ready)
        except StopIteration as stop:
            result: _T = stop.value
            return result


def connect(_dialect: object, _record: object, arguments: list[Any], parameters: dict[str, Any]) -> BoundedConnection:
    """Connect for SQLAlchemy's event `do_connect`; raises `psycopg.OperationalError`."""
    return BoundedConnection.connect(*arguments, **(_LIMITS | parameters))
