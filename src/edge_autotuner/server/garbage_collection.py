"""Garbage collection: deletes bundles that the retention rules do not keep, unused contents, and stale job folders."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, delete, select

from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.errors import DatasetError, StorageError
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.blobs import Blobs
from edge_autotuner.server.database import Database
from edge_autotuner.server.retention import (
    ProtectedBlobs,
    RetentionRules,
    blobs_of_bundles,
    blobs_of_others,
    bundles_to_remove,
    read_uses,
    sizes_and_young,
)
from edge_autotuner.server.schema import bundle_files, bundles, deployments
from edge_autotuner.storage import remove_folder
from edge_autotuner.storage.lock import LOCK_NAME, FolderLock
from edge_autotuner.wire.registry_messages import CollectedGarbage

logger = logging.getLogger(__name__)

_REMOVED_AT_ONCE = 500
_CLOCK_SLACK_S = 60.0
_REMOVED_SUFFIX = ".removed"


class GarbageCollector:
    """Deletes bundles and contents; every deletion is recorded in the audit log.

    Args:
        protected: finds contents that are needed although no bundle refers to them.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        audit: AuditLog,
        *,
        rules: RetentionRules,
        protected: Sequence[ProtectedBlobs],
        clock: Clock,
    ) -> None:
        self._database, self._blobs, self._audit = database, blobs, audit
        self._rules, self._protected, self._clock = rules, protected, clock

    def collect(self, *, client: str, should_stop: Callable[[], bool] = lambda: False) -> CollectedGarbage:
        """Delete what the rules do not keep.

        Bundles are deleted before their files: after a kill in between, the next collection deletes the unused files.
        """
        self._blobs.remove_leftovers()
        self._blobs.renew_future_times()
        sizes, young = sizes_and_young(self._blobs.all(), self._rules.grace_s)
        old = sorted(set(sizes) - young)
        # Unused contents are deleted before anything is written: on a full disk, that makes the room to write.
        removed_blobs = self._remove_unused(old, client, should_stop)
        removed_bundles = [] if should_stop() else self._remove_bundles(sizes, young, client)
        if removed_bundles:
            removed_blobs |= self._remove_unused(old, client, should_stop)
        return CollectedGarbage(
            bundles=tuple(removed_bundles), blobs=tuple(sorted(removed_blobs)), n_bytes=sum(removed_blobs.values())
        )

    def _remove_bundles(self, sizes: dict[str, int], young: set[str], client: str) -> list[str]:
        with self._database.writing() as connection:
            uses = read_uses(connection, self._rules.n_rollbacks)
            others = young | blobs_of_others(connection, self._protected)
            removed = bundles_to_remove(uses, sizes, others, self._rules, self._clock.now())
            for bundle_id in removed:
                row = connection.execute(select(bundles.c.camera).where(bundles.c.id == bundle_id)).one()
                connection.execute(delete(deployments).where(deployments.c.bundle_id == bundle_id))
                connection.execute(delete(bundle_files).where(bundle_files.c.bundle_id == bundle_id))
                connection.execute(delete(bundles).where(bundles.c.id == bundle_id))
                subject = f"{row.camera}/{bundle_id}"
                self._audit.append(connection, "bundle-collected", client=client, subject=subject)
        return removed

    def _remove_unused(self, hashes: Sequence[str], client: str, should_stop: Callable[[], bool]) -> dict[str, int]:
        removed: dict[str, int] = {}
        for start in range(0, len(hashes), _REMOVED_AT_ONCE):
            if should_stop():
                break
            removed |= self._remove_blobs(hashes[start : start + _REMOVED_AT_ONCE], client)
        return removed

    def _remove_blobs(self, hashes: Sequence[str], client: str) -> dict[str, int]:
        """Delete the unused ones of some contents, as the only writer, so that nothing begins to refer to them.

        Deletions are recorded before they happen, unless the disk is full: then they make the room to write.
        """
        is_recorded = True
        try:
            with self._database.writing() as connection:
                unused, overdue = self._not_needed(connection, hashes, self._blobs.removable)
                self._record(connection, client, unused, overdue)
        except StorageError as exc:
            logger.warning("unused contents are deleted before the audit log records it: %s", exc)
            is_recorded = False
        with self._database.writing() as connection:
            unused, overdue = self._not_needed(connection, hashes, self._blobs.remove)
            if not is_recorded:
                self._record(connection, client, unused, overdue)
        return unused | overdue

    def _not_needed(
        self, connection: Connection, hashes: Sequence[str], choose: Callable[..., dict[str, int]]
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Return the contents that `choose` selects from unused ones, and from used ones beyond their maximum age."""
        others = set(hashes) - blobs_of_bundles(connection)
        unused = others - blobs_of_others(connection, self._protected)
        return (
            choose(unused, min_age_s=self._rules.grace_s),
            choose(others - unused, min_age_s=self._rules.pictures_max_age_s),
        )

    def _record(self, connection: Connection, client: str, unused: dict[str, int], overdue: dict[str, int]) -> None:
        if not unused and not overdue:
            return
        n_bytes = sum(unused.values()) + sum(overdue.values())
        detail = f"{len(unused) + len(overdue)} blobs, {n_bytes} bytes"
        if overdue:
            detail += f"; {len(overdue)} of them still needed, but past pictures_max_age_s"
        self._audit.append(connection, "blobs-collected", client=client, subject="-", detail=detail)


class StaleJobFolders:
    """Deletes working folders of jobs, which hold copies of pictures, when nothing was written there for long.

    A job that still runs starts again, if its contents are still there.

    Args:
        database: its only writer claims jobs, so that no folder is taken into use while it is removed.
    """

    def __init__(self, folder: Path, database: Database, *, max_age_s: float, clock: Clock | None = None) -> None:
        self._folder, self._database, self._max_age_s = folder, database, max_age_s
        self._clock = clock or SystemClock()

    def remove(self) -> None:
        """Delete the stale folders."""
        if not self._folder.is_dir():
            return
        now = self._clock.now().timestamp()
        with self._database.writing():
            for path in [path for path in self._folder.iterdir() if path.is_dir()]:
                with suppress(FileNotFoundError):
                    self._take_away(path, now)
        for path in self._folder.glob(f"*{_REMOVED_SUFFIX}"):
            logger.warning("%s: the folder of this job is stale and is deleted", path.stem)
            remove_folder(path, below=self._folder)

    def _take_away(self, path: Path, now: float) -> None:
        age_s = now - _changed_at(path)
        if age_s < -_CLOCK_SLACK_S:  # written while the clock was ahead: it ages from now on
            for inner in (path, *path.iterdir()):
                os.utime(inner, (now, now))
        if age_s < self._max_age_s:
            return
        with _unlocked(path) as is_unlocked:
            if is_unlocked:
                path.rename(path.with_name(path.name + _REMOVED_SUFFIX))


def _changed_at(path: Path) -> float:
    """Return the last change of a folder and its entries, but for the lock."""
    return max(entry.stat().st_mtime for entry in (path, *path.iterdir()) if entry.name != LOCK_NAME)


@contextmanager
def _unlocked(path: Path) -> Iterator[bool]:
    """Hold a folder's lock, and give whether it was free."""
    try:
        lock = FolderLock(path)
    except DatasetError:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
