"""Connections to PostgreSQL that do not wait without end for a server, or a network, that has stopped answering.

Neither libpq nor PostgreSQL bounds this: `statement_timeout` and `lock_timeout` are kept by the server that hangs. The
work ends with the answer: the connection is closed, and its thread is free again.
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
"""Of libpq; what the URL says instead counts. One that is 1 by default is not here: `keepalives`."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server has sent nothing for too long after it was asked."""

    silence_s = _SILENCE_S

    def wait(self, gen: PQGen[_T], *args: Any, **kwargs: Any) -> _T:  # noqa: ANN401 (the driver's own)
        """Run an operation of the driver.

        Raises:
            psycopg.OperationalError: the server does not answer, or what the driver raises.
        """
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, gen: PQGen[_T]) -> PQGen[_T]:
        """Pass on what an operation waits for and what comes, until nothing has come for too long."""
        until_s = time.monotonic() + self.silence_s
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    until_s = time.monotonic() + self.silence_s
                elif time.monotonic() >= until_s:
                    self.close()
                    raise psycopg.OperationalError(f"the server has not answered for {self.silence_s:g} s")
                wanted = gen.send(ready)
        except StopIteration as stop:
            result: _T = stop.value
            return result


def connect(_dialect: object, _record: object, arguments: list[Any], parameters: dict[str, Any]) -> BoundedConnection:
    """Connect as SQLAlchemy asks for it (its event `do_connect`).

    Raises:
        psycopg.OperationalError: the server cannot be reached in time, or refuses.
    """
    return BoundedConnection.connect(*arguments, **(_LIMITS | parameters))
