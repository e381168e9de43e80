"""The service's database: SQLite in one file by default, PostgreSQL by URL, the same SQL for both.

Writers take turns, also across processes: `writing()` has exclusive access. So what a transaction has read is still
true when it writes, and no caller sees "database is locked".
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, ProgrammingError, SQLAlchemyError

from edge_autotuner.errors import ConfigError, MissingDependency, StorageError
from edge_autotuner.server.schema import STEPS, schema_version
from edge_autotuner.storage import make_private_file, make_private_folder
from edge_autotuner.storage.atomic import storage_errors

_LOCK_WAIT_S = 10.0  # for another process that writes; then a request is refused (503)
_TURN_WAIT_S = 3.0  # for another writer of this process: waiting longer would occupy all threads
_LOOK_S = 0.1
_RETRY_S = 0.02
_PROBE_WAIT_S = 1.0
_WRITES = "edge_autotuner_writes"
_CHANGE_NOTHING = schema_version.update().values(version=schema_version.c.version)


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
        self._turn_began_s = math.inf
        self._writer = threading.Lock()  # SQLite's busy-wait is unfair; queue writers here
        self._file = None
        if parsed.get_backend_name() == "sqlite":
            _make_file(parsed)
            self._file = _SameFile(Path(parsed.database or ""))
        self._engine = _engine(parsed)
        with self._errors():
            if parsed.get_backend_name() == "sqlite":
                _use_write_ahead_log(self._engine)
            self._migrate()

    @property
    def engine(self) -> Engine:
        """The connections, for tests and diagnosis; use transactions for everything else."""
        return self._engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a transaction with a consistent view that never waits for writers.

        Raises:
            StorageError: the database cannot be used.
        """
        self._check_file()
        with self._errors(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give an exclusive writing transaction; an exception undoes it.

        Raises:
            StorageError: the database cannot be used, another writer takes too long, or a newer version migrated it.
        """
        self._check_file()
        with self._errors(), self._only_writer() as connection:
            version = connection.execute(select(schema_version.c.version).with_for_update()).scalar_one()
            if version != len(STEPS):
                raise StorageError(f"{self._name} is in use by another version of edge-autotuner; restart this one")
            yield connection

    def check_writable(self) -> None:
        """Begin a write and undo it; raises `StorageError` if that is not possible within a second."""
        self._check_file()
        with self._errors():
            if self._file is not None:
                self._file.try_to_write()
                return
            with self._engine.connect() as connection, connection.begin() as transaction:
                connection.execute(text(f"SET LOCAL lock_timeout = {_PROBE_WAIT_S * 1000:.0f}"))
                connection.execute(_CHANGE_NOTHING)
                transaction.rollback()

    def close(self) -> None:
        """Close the connections; further use opens new ones."""
        self._engine.dispose()

    def _migrate(self) -> None:
        try:
            self._take_steps()
        except (IntegrityError, ProgrammingError):  # PostgreSQL: another process made the tables at this moment
            self._take_steps()

    def _take_steps(self) -> None:
        """Apply the missing steps in one transaction, so that a kill leaves the old version."""
        with self._only_writer() as connection:
            version = _current_version(connection)
            _check_version(version, self._name)
            for statement in (statement for step in STEPS[version:] for statement in step):
                connection.execute(text(statement))
            if version < len(STEPS):
                connection.execute(schema_version.update().values(version=len(STEPS)))

    @contextmanager
    def _only_writer(self) -> Iterator[Connection]:
        self._wait_for_turn()
        self._turn_began_s = time.monotonic()
        try:
            with self._engine.connect() as connection:
                connection.execution_options(**{_WRITES: True})
                with connection.begin():
                    yield connection
        finally:
            self._turn_began_s = math.inf
            self._writer.release()

    def _wait_for_turn(self) -> None:
        """Wait while other writers finish within `_TURN_WAIT_S`."""
        while not self._writer.acquire(timeout=_LOOK_S):
            if time.monotonic() - self._turn_began_s > _TURN_WAIT_S:
                raise StorageError(f"another change has held {self._name} for {_TURN_WAIT_S:g} s; try again")

    def _check_file(self) -> None:
        if self._file is not None:
            self._file.check()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as exc:  # the latter from setting up a connection
            raise _unusable(self._name, exc) from exc


class _SameFile:
    """Detects that the file of a database was replaced: open connections would keep writing to a deleted file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = self._now()

    def check(self) -> None:
        """Raise `StorageError` if the file was removed or replaced."""
        if self._now() != self._identity:
            raise StorageError(
                f"the database {self._path} was removed or replaced while in use: stop the service, put the file "
                "or a backup there, and start the service again"
            )

    def try_to_write(self) -> None:
        """Begin a write and undo it; raises `sqlite3.Error`."""
        with closing(sqlite3.connect(self._path, timeout=_PROBE_WAIT_S, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(str(_CHANGE_NOTHING))
            connection.execute("ROLLBACK")

    def _now(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


def check_known_database(url: str) -> None:
    """Check that an existing SQLite file is a database of this version or an older one; nothing is written.

    PostgreSQL is not connected to: whether a server answers now says nothing about the settings.

    Raises:
        ConfigError, MissingDependency, StorageError: as `Database`.
    """
    parsed = _parsed_url(url)
    name = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() != "sqlite":
        _engine(parsed).dispose()  # its driver is there
        return
    path = Path(parsed.database or "")
    if not path.exists() or path.stat().st_size == 0:
        return
    is_quiet = not path.with_name(f"{path.name}-wal").exists()  # then no file may be created beside the database
    address = f"file:{quote(str(path))}?mode=ro{'&immutable=1' if is_quiet else ''}"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_PROBE_WAIT_S)) as connection:
            there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (schema_version.name,)).fetchone()
            if there:
                _check_version(int(connection.execute("SELECT version FROM schema_version").fetchone()[0]), name)
    except sqlite3.Error as exc:
        raise _unusable(name, exc) from exc


def _check_version(version: int, name: str) -> None:
    if version > len(STEPS):
        raise ConfigError(
            f"{name} has schema version {version}, but this installation supports {len(STEPS)}; install the version "
            "of edge-autotuner that wrote it, or use another database"
        )


def _unusable(name: str, error: Exception) -> StorageError:
    reason = str(error.__cause__ or error).strip().splitlines()[0]
    return StorageError(f"cannot use the database {name}: {reason}")


def _parsed_url(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise ConfigError(
            "cannot read the database URL; use sqlite:///FILE or postgresql://HOST/NAME, with a login before HOST if "
            "needed"
        ) from None  # the text may hold a password
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
            raise ConfigError("the database must be a file; use sqlite:///FILE")
        return parsed.set(drivername="sqlite+pysqlite")
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg") if "+" not in parsed.drivername else parsed
    raise ConfigError(f"'{backend}' databases are not supported; use sqlite:///FILE or postgresql://...")


def _make_file(url: URL) -> None:
    """Create an empty private file: SQLite gives its other files the same permissions."""
    path = Path(url.database or "")
    if not path.parent.exists():
        make_private_folder(path.parent)
    with storage_errors(path):
        make_private_file(path)  # does not open an existing one: closing it would release SQLite's locks


def _engine(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = create_engine(
            url,
            hide_parameters=True,  # no values of statements in errors and logs
            pool_pre_ping=not is_sqlite,
            connect_args={"timeout": _LOCK_WAIT_S, "check_same_thread": False} if is_sqlite else {},
        )
        if not is_sqlite:
            from edge_autotuner.server.postgresql import connect

            event.listen(engine, "do_connect", connect)
    except ModuleNotFoundError as exc:
        raise MissingDependency(f"this database needs {exc.name}: pip install 'edge-autotuner[postgresql]'") from exc
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401 (SQLAlchemy's, unused)
    connection.isolation_level = None  # the driver begins nothing by itself: `_begin_sqlite` does
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")  # what was committed survives a power cut


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_LOCK_WAIT_S * 1000:.0f}")


def _use_write_ahead_log(engine: Engine) -> None:
    """Let readers work beside a writer; SQLite does not wait when two processes switch at once."""
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
    """Return the schema version of a database; its table is created if missing."""
    if not inspect(connection).has_table(schema_version.name):
        connection.execute(text("CREATE TABLE schema_version (id INTEGER PRIMARY KEY, version INTEGER NOT NULL)"))
        connection.execute(schema_version.insert().values(id=1, version=0))
    return int(connection.execute(select(schema_version.c.version).with_for_update()).scalar_one())
