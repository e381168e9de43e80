"""The service's database: SQLite in one file by default, PostgreSQL by URL, the same SQL for both.

Writers take turns, also across processes: `writing()` begins as the only one. So whatever a transaction has read is
still true when it writes, and no caller ever sees "database is locked".
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, ProgrammingError, SQLAlchemyError

from edge_autotuner.dataset.atomic import make_folder, storage_errors
from edge_autotuner.errors import ConfigError, MissingDependency, StorageError
from edge_autotuner.server.migrations import STEPS
from edge_autotuner.server.schema import schema_version

_LOCK_WAIT_S = 60.0
_RETRY_S = 0.02
_WRITES = "edge_autotuner_writes"


class Database:
    """Transactions on the service's database; safe to share between threads.

    Args:
        url: for example sqlite:////var/lib/edge-autotuner/service.db or postgresql://user:password@host/name.

    Raises:
        ConfigError: the URL cannot be used, or the database was written by a newer version.
        MissingDependency: the driver of that kind of database is not installed.
        StorageError: the database cannot be opened.
    """

    def __init__(self, url: str) -> None:
        parsed = _parsed_url(url)
        self._name = parsed.render_as_string(hide_password=True)
        self._writer = threading.Lock()  # threads wait here in line; SQLite's own waiting is a lottery
        if parsed.get_backend_name() == "sqlite":
            _make_file(parsed)
        self._engine = _engine(parsed)
        with self._errors():
            if parsed.get_backend_name() == "sqlite":
                _use_write_ahead_log(self._engine)
            self._migrate()

    @property
    def engine(self) -> Engine:
        """The connections; for tests and diagnosis, everything else goes through transactions."""
        return self._engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a transaction that sees one state of everything and never waits for writers.

        Raises:
            StorageError: the database cannot be used.
        """
        with self._errors(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction that is the only writing one until it ends; an exception undoes it.

        Raises:
            StorageError: the database cannot be used, or a newer version has taken it over.
        """
        with self._errors(), self._only_writer() as connection:
            version = connection.execute(select(schema_version.c.version).with_for_update()).scalar_one()
            if version != len(STEPS):
                raise StorageError(f"{self._name} is in use by another version of edge-autotuner; restart this one")
            yield connection

    def close(self) -> None:
        """Close the connections; the object opens new ones when it is used again."""
        self._engine.dispose()

    def _migrate(self) -> None:
        try:
            self._take_steps()
        except (IntegrityError, ProgrammingError):  # PostgreSQL: another process made the tables at this moment
            self._take_steps()

    def _take_steps(self) -> None:
        """Take the steps that are missing, in one transaction, so that a kill leaves the old version."""
        with self._only_writer() as connection:
            version = _current_version(connection)
            if version > len(STEPS):
                raise ConfigError(
                    f"{self._name} has schema version {version}, this installation knows {len(STEPS)}; "
                    "install the version of edge-autotuner that wrote it, or use another database"
                )
            for statement in (statement for step in STEPS[version:] for statement in step):
                connection.execute(text(statement))
            if version < len(STEPS):
                connection.execute(schema_version.update().values(version=len(STEPS)))

    @contextmanager
    def _only_writer(self) -> Iterator[Connection]:
        with self._writer, self._engine.connect() as connection:
            connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as exc:  # the latter from setting up a connection
            reason = str(exc.__cause__ or exc).strip().splitlines()[0]
            raise StorageError(f"cannot use the database {self._name}: {reason}") from exc


def to_stored_time(time: datetime) -> str:
    """Return an aware time as text that sorts like the times.

    >>> to_stored_time(datetime(2026, 1, 1, tzinfo=UTC))
    '2026-01-01T00:00:00.000000+00:00'
    """
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def from_stored_time(text: str) -> datetime:
    """Return the aware UTC time of a stored text."""
    return datetime.fromisoformat(text)


def _parsed_url(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise ConfigError(
            "the database URL cannot be read; write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
        ) from None  # the text may hold a password
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
            raise ConfigError("the database must be a file: write sqlite:///FILE")
        return parsed.set(drivername="sqlite+pysqlite")
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg") if "+" not in parsed.drivername else parsed
    raise ConfigError(f"'{backend}' databases are not supported; use sqlite:///FILE or postgresql://...")


def _make_file(url: URL) -> None:
    """Create an empty file that only its owner reads: SQLite gives its other files the same permissions."""
    path = Path(url.database or "")
    make_folder(path.parent)
    with storage_errors(path), suppress(FileExistsError):  # not even opened then: closing it would end SQLite's locks
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _engine(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = create_engine(
            url,
            hide_parameters=True,  # what errors and logs show of a statement has no values
            pool_pre_ping=not is_sqlite,
            connect_args={"timeout": _LOCK_WAIT_S, "check_same_thread": False} if is_sqlite else {},
        )
    except ModuleNotFoundError as exc:
        raise MissingDependency(f"this database needs {exc.name}: pip install 'psycopg[binary]'") from exc
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401 (SQLAlchemy's, unused)
    connection.isolation_level = None  # the driver begins nothing by itself: `_begin_sqlite` does
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")  # what was committed survives a power cut


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _use_write_ahead_log(engine: Engine) -> None:
    """Let readers go on beside a writer; SQLite does not wait by itself when two processes switch at once."""
    give_up_at = time.monotonic() + _LOCK_WAIT_S
    while True:
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > give_up_at:
                raise
        finally:
            connection.close()
        time.sleep(_RETRY_S)


def _current_version(connection: Connection) -> int:
    """Return how many steps a database has taken; the table that says so is created where it is missing."""
    if not inspect(connection).has_table(schema_version.name):
        connection.execute(text("CREATE TABLE schema_version (id INTEGER PRIMARY KEY, version INTEGER NOT NULL)"))
        connection.execute(schema_version.insert().values(id=1, version=0))
    return int(connection.execute(select(schema_version.c.version).with_for_update()).scalar_one())
