"""The audit log: security events in an append-only table.

Each entry holds a hash of itself and of the previous one, so that `verify` detects entries that were edited, removed or
inserted. Whoever may write to the database could compute all hashes anew; only the position and hash of an entry kept
elsewhere reveal that. Every entry is therefore also a line of the program's log; if its transaction is undone after
that line, the next entry reuses its position.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.core.redaction import redact_text
from edge_autotuner.server.database import Database
from edge_autotuner.server.schema import StoredTime, audit

logger = logging.getLogger(__name__)

COMMAND_LINE = "(command line)"
"""Client of commands on this machine; no other client can have this name."""

_BEFORE_THE_FIRST = "0" * 64
_TEXTS = ("at", "client", "action", "subject", "outcome", "detail")  # what is hashed, in this order
_PAGE = 1000


@dataclass(frozen=True)
class AuditEntry:
    """An entry of the audit log.

    Attributes:
        seq: its position, from 1.
        at: aware UTC time.
        action: for example `bundle-promoted`.
        subject: for example a camera and a bundle.
        outcome: `done`, or why not.
        detail: for people; never a secret.
        sha256: hash of this entry and of the previous hash.
    """

    seq: int
    at: datetime
    client: str
    action: str
    subject: str
    outcome: str
    detail: str
    sha256: str


@dataclass(frozen=True)
class AuditCheck:
    """The result of `AuditLog.verify`.

    Attributes:
        n_entries: number of intact entries, from the first on.
        head_sha256: hash of the last of them.
        damage: of the next one; None if all are intact.
    """

    n_entries: int
    head_sha256: str
    damage: str | None


class AuditLog:
    """Adds entries and reads them."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    def record(self, action: str, *, client: str, subject: str, outcome: str = "done", detail: str = "") -> None:
        """Add an entry in a transaction of its own."""
        with self._database.writing() as connection:
            self.append(connection, action, client=client, subject=subject, outcome=outcome, detail=detail)

    def append(
        self,
        connection: Connection,
        action: str,
        *,
        client: str,
        subject: str,
        outcome: str = "done",
        detail: str = "",
    ) -> None:
        """Add an entry to a writing transaction: the change and its entry happen together or not at all."""
        last = connection.execute(select(audit.c.seq, audit.c.sha256).order_by(audit.c.seq.desc()).limit(1)).first()
        seq, before = (last.seq + 1, last.sha256) if last is not None else (1, _BEFORE_THE_FIRST)
        texts = [StoredTime.text(self._clock.now()), client, action, subject, outcome, redact_text(detail)]
        sha256 = _chained(before, seq, texts)
        connection.execute(insert(audit).values(seq=seq, sha256=sha256, **dict(zip(_TEXTS, texts, strict=True))))
        logger.info("audit %d %s by %s: %s, %s %s [%s]", seq, action, client, subject, outcome, detail, sha256)

    def entries(self, *, after: int = 0) -> Iterator[AuditEntry]:
        """Yield the entries after a position, oldest first."""
        return map(_entry, self._rows(after))

    def last(self, n: int) -> list[AuditEntry]:
        """Return the last entries, oldest first."""
        query = select(audit).order_by(audit.c.seq.desc()).limit(n)
        with self._database.reading() as connection:
            return [_entry(row) for row in reversed(connection.execute(query).all())]

    def last_of(self, connection: Connection, action: str) -> AuditEntry | None:
        """Return the last entry of an action within a transaction; None if there is none."""
        query = select(audit).where(audit.c.action == action).order_by(audit.c.seq.desc()).limit(1)
        row = connection.execute(query).first()
        return None if row is None else _entry(row)

    def verify(self, known: tuple[int, str] | None = None) -> AuditCheck:
        """Compute all hashes again.

        Args:
            known: position and hash of an entry, kept elsewhere; without one, a log that was cut off or computed anew
                looks intact.
        """
        n_entries, before = 0, _BEFORE_THE_FIRST
        for entry in self._rows(0):
            if entry.seq != n_entries + 1:
                return AuditCheck(n_entries, before, f"entry {n_entries + 1} is missing: {entry.seq} is the next one")
            if _chained(before, entry.seq, [entry._mapping[name] for name in _TEXTS]) != entry.sha256:
                return AuditCheck(n_entries, before, f"entry {entry.seq} or the one before it was modified")
            if known is not None and known[0] == entry.seq and known[1] != entry.sha256:
                return AuditCheck(n_entries, before, f"entry {entry.seq} has the hash {entry.sha256}, not {known[1]}")
            n_entries, before = entry.seq, entry.sha256
        if known is not None and known[0] > n_entries:
            return AuditCheck(n_entries, before, f"entry {known[0]} is missing: the log ends earlier")
        return AuditCheck(n_entries, before, None)

    def _rows(self, after: int) -> Iterator[Row[Any]]:
        while True:
            query = select(audit).where(audit.c.seq > after).order_by(audit.c.seq).limit(_PAGE)
            with self._database.reading() as connection:
                rows = connection.execute(query).all()
            yield from rows
            if len(rows) < _PAGE:
                return
            after = rows[-1].seq


def _chained(before: str, seq: int, texts: list[str]) -> str:
    return hashlib.sha256(json.dumps([before, seq, *texts]).encode()).hexdigest()


def _entry(row: Row[Any]) -> AuditEntry:
    values = row._mapping
    return AuditEntry(**{**values, "at": datetime.fromisoformat(values["at"])})
