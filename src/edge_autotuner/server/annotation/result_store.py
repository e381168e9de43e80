"""Results on disk: a SQLite file that survives kills, and that may be deleted at any time.

Without a working disk, results are computed again; nothing here stops the service.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.storage import make_private_file
from edge_autotuner.storage.atomic import make_folder

logger = logging.getLogger(__name__)

_FORMAT_VERSION = 1
_OVERHEAD_BYTES = 60  # of a row on disk, beside key and value
_MAX_PENDING = 4096
_MAX_TOGETHER = 256  # rows of one transaction
_KEPT_FRACTION = 0.9  # of the limit, after an eviction: then it is not reached again at once

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS results (key BLOB PRIMARY KEY, value BLOB NOT NULL, used_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS results_by_use ON results (used_at);
PRAGMA user_version = {_FORMAT_VERSION};
"""

_Row = tuple[bytes, bytes | None]  # without a value: a use of the row
_FORGET: _Row = (b"", None)  # no result has an empty key: delete what is too old


class ResultStore:
    """Values by key in a file, read by the caller and written by a thread.

    Args:
        path: the file; its folder is made if new.
        max_bytes: of keys and values.
        max_age_s: `forget_old` deletes values unused for longer; None: none.
        has_room: whether the disk has room; without it, new values are dropped.

    Raises:
        StorageError: the folder cannot be made.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        *,
        max_age_s: float | None = None,
        has_room: Callable[[], bool] = lambda: True,
        clock: Clock | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._has_room = has_room
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        make_folder(path.parent)
        self._reader = _open(path)
        self._pending: queue.Queue[_Row | None] = queue.Queue(_MAX_PENDING)
        self._writer = threading.Thread(target=self._write_all, args=(_open(path),), name="result-store", daemon=True)
        self._writer.start()

    def get(self, key: bytes) -> bytes | None:
        """Return a value, or None; disk errors are logged."""
        if self._reader is None:
            return None
        with self._lock, _logged("read"):
            row = self._reader.execute("SELECT value FROM results WHERE key = ?", (key,)).fetchone()
            if row is not None:
                self._enqueue((key, None))
                return bytes(row[0])
        return None

    def put(self, key: bytes, value: bytes) -> None:
        """Queue a value for writing; dropped if the disk cannot keep up."""
        if self._reader is not None:
            self._enqueue((key, value))

    def forget_old(self) -> None:
        """Queue the deletion of values unused for `max_age_s`."""
        if self._reader is not None and self._max_age_s is not None:
            self._enqueue(_FORGET)

    def close(self) -> None:
        """Write pending values, and close the file."""
        self._pending.put(None)
        self._writer.join()
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _enqueue(self, row: _Row) -> None:
        with suppress(queue.Full):
            self._pending.put_nowait(row)

    def _write_all(self, connection: sqlite3.Connection | None) -> None:
        n_bytes = _total_bytes(connection) if connection is not None else 0
        is_open = True
        while is_open:
            rows, is_open = self._next_rows()
            if connection is not None and rows:
                try:
                    if not self._has_room():
                        rows = [row for row in rows if row[1] is None]
                    with _logged("write"):
                        n_bytes = self._write(connection, rows, n_bytes)
                except Exception:  # the edge of the thread: the next rows may be fine
                    logger.exception("results are not written")
        if connection is not None:
            connection.close()

    def _next_rows(self) -> tuple[list[_Row], bool]:
        """Wait for rows; return those pending, and whether more may come."""
        rows: list[_Row] = []
        row = self._pending.get()
        while row is not None:
            rows.append(row)
            if len(rows) == _MAX_TOGETHER:
                return rows, True
            try:
                row = self._pending.get_nowait()
            except queue.Empty:
                return rows, True
        return rows, False

    def _write(self, connection: sqlite3.Connection, rows: Sequence[_Row], n_bytes: int) -> int:
        """Write rows and enforce the limit in one transaction; return the new size."""
        now = int(self._clock.now().timestamp() * 1e9)
        added = 0
        with connection:
            if self._max_age_s is not None and _FORGET in rows:
                n_bytes -= _forget(connection, now, int(self._max_age_s * 1e9))
            for key, value in rows:
                if value is None:
                    connection.execute("UPDATE results SET used_at = ? WHERE key = ?", (now, key))
                else:
                    insert = "INSERT OR IGNORE INTO results VALUES (?, ?, ?)"
                    added += _row_bytes(key, value) * connection.execute(insert, (key, value, now)).rowcount
            n_bytes += added
            if n_bytes > self._max_bytes:
                n_bytes -= _evict(connection, n_bytes - int(self._max_bytes * _KEPT_FRACTION))
        return n_bytes


def _forget(connection: sqlite3.Connection, now: int, max_age: int) -> int:
    """Delete rows unused for this long, nanoseconds; return their size.

    Rows that were used while the clock was ahead age from now on.
    """
    size = f"length(key) + length(value) + {_OVERHEAD_BYTES}"
    connection.execute("UPDATE results SET used_at = ? WHERE used_at > ?", (now, now))
    is_old = "FROM results WHERE used_at < ?"
    gone = int(connection.execute(f"SELECT coalesce(sum({size}), 0) {is_old}", (now - max_age,)).fetchone()[0])
    connection.execute(f"DELETE {is_old}", (now - max_age,))
    return gone


def _evict(connection: sqlite3.Connection, n_bytes: int) -> int:
    """Delete the least recently used rows until this many bytes are freed; return their size."""
    gone, keys = 0, []
    size = f"length(key) + length(value) + {_OVERHEAD_BYTES}"
    for key, row_bytes in connection.execute(f"SELECT key, {size} FROM results ORDER BY used_at"):
        keys.append((key,))
        gone += row_bytes
        if gone >= n_bytes:
            break
    connection.executemany("DELETE FROM results WHERE key = ?", keys)
    return gone


def _open(path: Path) -> sqlite3.Connection | None:
    """Return a connection, None if the disk refuses; a damaged file, or one of another version, is replaced."""
    try:
        try:
            return _connect(path)
        except sqlite3.OperationalError:  # the disk, or another process: the file itself is fine
            raise
        except sqlite3.DatabaseError as exc:
            logger.warning("the result cache %s is unusable (%s); starting a new one", path.name, exc)
            for suffix in ("", "-wal", "-shm"):
                with suppress(OSError):
                    path.with_name(path.name + suffix).unlink()
            return _connect(path)
    except (OSError, sqlite3.Error) as exc:
        logger.error("result cache on disk is off: %s: %s", path.name, exc)
        return None


def _connect(path: Path) -> sqlite3.Connection:
    make_private_file(path)
    connection = sqlite3.connect(path, timeout=10, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the last results, and nothing else
        connection.execute("PRAGMA journal_size_limit = 4000000")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _FORMAT_VERSION):
            raise sqlite3.DatabaseError(f"version {version}")
        connection.executescript(_SCHEMA)
        connection.execute("SELECT count(*) FROM (SELECT key, value, used_at FROM results LIMIT 1)").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _total_bytes(connection: sqlite3.Connection) -> int:
    with _logged("read"), closing(connection.cursor()) as cursor:
        size = f"length(key) + length(value) + {_OVERHEAD_BYTES}"
        return int(cursor.execute(f"SELECT coalesce(sum({size}), 0) FROM results").fetchone()[0])
    return 0


def _row_bytes(key: bytes, value: bytes) -> int:
    return len(key) + len(value) + _OVERHEAD_BYTES


@contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        logger.warning("cannot %s results on disk: %s", what, exc)
