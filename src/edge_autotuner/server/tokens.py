"""The tokens of the service: created, shown once, recognised, rotated and revoked.

A token is `eat_ID_SECRET`: the ID is public and finds the row, the secret is 256 random bits. Only the SHA-256 of the
whole text is stored: a slow password hash protects guessable secrets only, and would cost every request.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from starlette.concurrency import run_in_threadpool

from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.errors import ConfigError
from edge_autotuner.server.access import SCOPES, Caller, Scope
from edge_autotuner.server.audit import COMMAND_LINE, AuditLog
from edge_autotuner.server.database import Database
from edge_autotuner.server.schema import tokens
from edge_autotuner.server.token_notes import TokenNotes

READ_EVERY_S = 0.1
"""Shortest time between two reads of the database for unknown tokens; their requests wait for the next read."""

REVOCATION_DELAY_S = 5.0
"""How long other processes may accept a token after it was revoked."""

_TOKEN = re.compile(r"eat_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
_CLIENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NO_SUCH_SHA256 = hashlib.sha256(secrets.token_bytes(32)).hexdigest()


@dataclass(frozen=True)
class NewToken:
    """A new token.

    Attributes:
        text: that the client sends; it cannot be shown again.
        expires_at: aware UTC time; None for never.
    """

    text: str = field(repr=False)
    client: str
    expires_at: datetime | None


@dataclass(frozen=True)
class TokenInfo:
    """Facts about a token.

    Attributes:
        id: the public part of its text.
        state: current, replaced (an older one in its overlap), expired or revoked.
        expires_at: None for never.
        last_used_at: to about ten minutes; None for never.
    """

    id: str
    client: str
    scopes: tuple[Scope, ...]
    state: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True)
class _Known:
    """A row as it was read."""

    caller: Caller
    sha256: str
    expires_at: datetime | None
    is_revoked: bool


class Tokens:
    """Creates and recognises tokens; the service's `Authenticator`.

    All rows are cached for `REVOCATION_DELAY_S`, so that most requests need no database. Unknown tokens and wrong
    secrets wait together for the next read: a new token counts at once, a flood of wrong ones costs ten reads a second,
    and the time of a refusal does not reveal which IDs exist.
    """

    def __init__(self, database: Database, audit: AuditLog, clock: Clock | None = None) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock or SystemClock()
        self._known: dict[str, _Known] = {}
        self._read_at_s = -math.inf
        self._next_read: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()
        self._last_read_s = -math.inf
        self._notes = TokenNotes(database, audit, self._clock)

    def add(self, client: str, scopes: Iterable[str], *, expires_after_s: float | None = None) -> NewToken:
        """Create the first token of a client.

        Raises:
            ConfigError: the name or a scope is not a valid one, or the client has a token.
        """
        if not _CLIENT.fullmatch(client):
            raise ConfigError(
                f"a client's name may have letters, digits, dots, dashes and underscores, got {client!r:.80}"
            )
        checked = _checked_scopes(scopes)
        with self._database.writing() as connection:
            row = self._current(connection, client)
            if row is not None and not _has_passed(row.expires_at, self._clock.now()):
                raise ConfigError(f"'{client}' already has a token; use `tokens rotate {client}`, or revoke it first")
            if row is not None:
                self._replace(connection, row, overlap_s=0.0)
            made = self._insert(connection, client, checked, expires_after_s)
            self._audit.append(connection, "token-added", client=COMMAND_LINE, subject=client, detail=" ".join(checked))
        return made

    def rotate(self, client: str, *, overlap_s: float = 0.0, expires_after_s: float | None = None) -> NewToken:
        """Replace a client's token by a new one with the same scopes.

        Args:
            client: its name.
            overlap_s: time for which the old token stays valid.
            expires_after_s: lifetime of the new one; None: as the old one.

        Raises:
            ConfigError: the client has no valid token.
        """
        with self._database.writing() as connection:
            row = self._current(connection, client)
            if row is None:
                raise ConfigError(f"'{client}' has no token to rotate; use `tokens add {client} --scope ...`")
            self._replace(connection, row, overlap_s=overlap_s)
            lifetime_s = row.lifetime_s if expires_after_s is None else expires_after_s
            made = self._insert(connection, client, tuple(row.scopes.split()), lifetime_s)
            detail = f"the old one stays valid for {overlap_s:g} s"
            self._audit.append(connection, "token-rotated", client=COMMAND_LINE, subject=client, detail=detail)
        self._forget()
        return made

    def revoke(self, client: str) -> int:
        """Revoke all tokens of a client, and return how many were valid; raises `ConfigError` if there was none."""
        now = self._clock.now()
        of_client = (tokens.c.client == client) & tokens.c.revoked_at.is_(None)
        with self._database.writing() as connection:
            expiries = connection.execute(select(tokens.c.expires_at).where(of_client)).scalars()
            n_valid = len([expires_at for expires_at in expiries if expires_at is None or expires_at > now])
            if not n_valid:
                raise ConfigError(f"'{client}' has no valid token; see `tokens list`")
            connection.execute(update(tokens).where(of_client).values(revoked_at=now, is_current=False))
            self._audit.append(connection, "token-revoked", client=COMMAND_LINE, subject=client)
        self._forget()
        return n_valid

    def all(self) -> list[TokenInfo]:
        """Return all tokens, by client and time."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tokens).order_by(tokens.c.client, tokens.c.created_at)).all()
        now = self._clock.now()
        return [_info(row, now) for row in rows]

    async def recognise(self, token: str) -> Caller | None:
        """Return the owner of a token; None for one that is unknown, expired or revoked.

        Raises:
            StorageError: the database cannot be read.
        """
        match = _TOKEN.fullmatch(token)
        if match is None:
            self._notes.add_refusal("not a token", "")
            return None
        known = self._recall(match)
        if known is None:
            await self._read_next()
            known = self._compare(match)
        return self._conclude(match, known)

    def identify(self, token: str) -> Caller | None:
        """Return the same without an event loop, reading the database at once if the cache does not suffice."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            self._notes.add_refusal("not a token", "")
            return None
        known = self._recall(match)
        if known is None:
            self._read()
            known = self._compare(match)
        return self._conclude(match, known)

    def close(self) -> None:
        """Write pending records."""
        self._notes.close()

    def _conclude(self, match: re.Match[str], known: _Known | None) -> Caller | None:
        """Return the owner of a token, or None, and record it."""
        if known is None:
            self._notes.add_refusal("unknown", "")
            return None
        if known.is_revoked or (known.expires_at is not None and known.expires_at <= self._clock.now()):
            self._notes.add_refusal("revoked" if known.is_revoked else "expired", known.caller.client)
            return None
        self._notes.add_use(match[1])
        return known.caller

    def _recall(self, match: re.Match[str]) -> _Known | None:
        """Return the cached row of a token, if the cache is fresh."""
        is_fresh = self._clock.monotonic_s() - self._read_at_s < REVOCATION_DELAY_S
        return self._compare(match) if is_fresh else None

    def _compare(self, match: re.Match[str]) -> _Known | None:
        """Return the row of a token whose secret is right.

        The hash is compared in constant time, and for an unknown id with a hash that nothing has.
        """
        known = self._known.get(match[1])
        shown = hashlib.sha256(match[0].encode("ascii")).hexdigest()
        is_right = hmac.compare_digest(shown, _NO_SUCH_SHA256 if known is None else known.sha256)
        return known if is_right else None

    async def _read_next(self) -> None:
        """Wait for a read that begins after this call, shared by all requests that wait."""
        if self._next_read is None:
            self._next_read = asyncio.create_task(self._read_soon())
        await asyncio.shield(self._next_read)

    async def _read_soon(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(self._last_read_s + READ_EVERY_S - loop.time())
            await self._reading.acquire()
        finally:
            self._next_read = None  # later requests need a later read
        try:
            self._last_read_s = loop.time()
            await run_in_threadpool(self._read)
        finally:
            self._reading.release()

    def _read(self) -> None:
        """Read all tokens."""
        now_s = self._clock.monotonic_s()
        with self._database.reading() as connection:
            rows = connection.execute(select(tokens)).all()
        self._known = {row.id: _known(row) for row in rows}
        self._read_at_s = now_s

    def _forget(self) -> None:
        self._read_at_s = -math.inf

    def _current(self, connection: Connection, client: str) -> Row[Any] | None:
        return connection.execute(select(tokens).where(tokens.c.client == client, tokens.c.is_current)).first()

    def _replace(self, connection: Connection, row: Row[Any], *, overlap_s: float) -> None:
        """Let a token expire after the overlap, if not earlier."""
        ends_at = self._clock.now() + timedelta(seconds=overlap_s)
        expires_at = ends_at if row.expires_at is None else min(ends_at, row.expires_at)
        connection.execute(update(tokens).where(tokens.c.id == row.id).values(is_current=False, expires_at=expires_at))

    def _insert(
        self, connection: Connection, client: str, scopes: tuple[str, ...], lifetime_s: float | None
    ) -> NewToken:
        now = self._clock.now()
        token_id = secrets.token_hex(8)
        text = f"eat_{token_id}_{secrets.token_urlsafe(32)}"
        expires_at = None if lifetime_s is None else now + timedelta(seconds=lifetime_s)
        values = {
            "id": token_id,
            "client": client,
            "scopes": " ".join(scopes),
            "sha256": hashlib.sha256(text.encode("ascii")).hexdigest(),
            "is_current": True,
            "lifetime_s": lifetime_s,
            "created_at": now,
            "expires_at": expires_at,
        }
        connection.execute(insert(tokens).values(values))
        return NewToken(text, client, expires_at)


def open_authenticator(database_url: str) -> Tokens:
    """Return the tokens of a database; raises as `Database`."""
    database = Database(database_url)
    return Tokens(database, AuditLog(database))


def _known(row: Row[Any]) -> _Known:
    return _Known(
        caller=Caller(row.client, frozenset(_known_scopes(row.scopes))),
        sha256=row.sha256,
        expires_at=row.expires_at,
        is_revoked=row.revoked_at is not None,
    )


def _checked_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    asked = set(scopes)
    wrong = sorted(asked - set(SCOPES))
    if wrong or not asked:
        raise ConfigError(f"scopes must be among {', '.join(SCOPES)}, got {', '.join(wrong) or 'none'}")
    return tuple(scope for scope in SCOPES if scope in asked)


def _known_scopes(text: str) -> list[Scope]:
    return [scope for scope in SCOPES if scope in text.split()]


def _has_passed(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and expires_at <= now


def _info(row: Row[Any], now: datetime) -> TokenInfo:
    if row.revoked_at is not None:
        state = "revoked"
    elif _has_passed(row.expires_at, now):
        state = "expired"
    else:
        state = "current" if row.is_current else "replaced"
    return TokenInfo(
        id=row.id,
        client=row.client,
        scopes=tuple(_known_scopes(row.scopes)),
        state=state,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
