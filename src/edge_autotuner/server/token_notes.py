"""Records uses and refusals of tokens in batches, so that no request waits for the disk."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime

from sqlalchemy import update

from edge_autotuner.core.clock import Clock
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.database import Database
from edge_autotuner.server.schema import tokens

logger = logging.getLogger(__name__)

_USE_NOTED_EVERY_S = 600.0
_REFUSALS_NOTED_EVERY_S = 60.0


class TokenNotes:
    """Collects uses and refusals, and writes them in a thread."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._lock = threading.Lock()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="token-notes")
        self._noted_at_s: dict[str, float] = {}
        self._uses: dict[str, datetime] = {}
        self._refusals: Counter[tuple[str, str]] = Counter()
        self._refusals_written_at_s = -_REFUSALS_NOTED_EVERY_S

    def add_use(self, token_id: str) -> None:
        """Record the use of a token, at most every ten minutes."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            if now_s - self._noted_at_s.get(token_id, -_USE_NOTED_EVERY_S) < _USE_NOTED_EVERY_S:
                return
            self._noted_at_s[token_id] = now_s
            self._uses[token_id] = self._clock.now()
        self._wake_writer()

    def add_refusal(self, reason: str, client: str) -> None:
        """Count a refusal; the first is written at once, later ones together once a minute."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            self._refusals[reason, client] += 1
            if now_s - self._refusals_written_at_s < _REFUSALS_NOTED_EVERY_S:
                return
            self._refusals_written_at_s = now_s
        self._wake_writer()

    def close(self) -> None:
        """Write the rest."""
        self._writer.shutdown()
        self._write()

    def _wake_writer(self) -> None:
        with suppress(RuntimeError):  # closed: a last request while the service stops
            self._writer.submit(self._write)

    def _write(self) -> None:
        with self._lock:
            uses, refusals = self._uses, self._refusals
            self._uses, self._refusals = {}, Counter()
        if not uses and not refusals:
            return
        try:
            with self._database.writing() as connection:
                for token_id, used_at in uses.items():
                    connection.execute(update(tokens).where(tokens.c.id == token_id).values(last_used_at=used_at))
                for (reason, client), count in sorted(refusals.items()):
                    detail = f"{count} requests"
                    self._audit.append(
                        connection, "token-refused", client=client or "-", subject="-", outcome=reason, detail=detail
                    )
        except EdgeAutotunerError as exc:  # requests go on; the next write includes these
            logger.warning("uses and refusals of tokens cannot be recorded now: %s", exc)
            with self._lock:
                self._uses = uses | self._uses
                self._refusals += refusals
