"""Garbage collection: removes bundles that the rules do not keep, and contents that nothing refers to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, delete, select

from edge_autotuner.core.clock import Clock
from edge_autotuner.errors import StorageError
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
from edge_autotuner.wire.registry_messages import CollectedGarbage

logger = logging.getLogger(__name__)

_REMOVED_AT_ONCE = 500


class GarbageCollector:
    """Removes what is not kept; every removal is a line in the audit log.

    Args:
        database: of the registry.
        blobs: the contents.
        audit: where removals are logged.
        rules: what is kept.
        protected: finds contents that are needed although no bundle refers to them.
        clock: for ages.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        audit: AuditLog,
        rules: RetentionRules,
        protected: Sequence[ProtectedBlobs],
        clock: Clock,
    ) -> None:
        self._database, self._blobs, self._audit = database, blobs, audit
        self._rules, self._protected, self._clock = rules, protected, clock

    def collect(self, *, client: str, should_stop: Callable[[], bool] = lambda: False) -> CollectedGarbage:
        """Remove what the rules do not keep.

        Bundles go first and their files after that, so a kill in between leaves contents that nothing refers to, and
        the next collection removes these.

        Args:
            client: who asks.
            should_stop: asked between two steps; the rest is left for the next collection then.
        """
        self._blobs.remove_leftovers()
        self._blobs.renew_future_times()
        sizes, young = sizes_and_young(self._blobs.all(), self._rules.grace_s)
        old = sorted(set(sizes) - young)
        # What nothing refers to goes before anything is written: on a full disk, that makes the room to write.
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
        """Remove those contents that nothing refers to; as the only writer, so that nothing begins to meanwhile.

        What goes is in the audit log before it is gone, unless the disk is full: then it makes the room to write.
        """
        is_noted = True
        try:
            with self._database.writing() as connection:
                unused, overdue = self._not_needed(connection, hashes, self._blobs.removable)
                self._note_removal(connection, client, unused, overdue)
        except StorageError as exc:
            logger.warning("unused contents are removed before the audit log says so: %s", exc)
            is_noted = False
        with self._database.writing() as connection:
            unused, overdue = self._not_needed(connection, hashes, self._blobs.remove)
            if not is_noted:
                self._note_removal(connection, client, unused, overdue)
        return unused | overdue

    def _not_needed(
        self, connection: Connection, hashes: Sequence[str], choose: Callable[..., dict[str, int]]
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Return what `choose` takes of contents that nothing refers to, and of those that stayed for too long."""
        others = set(hashes) - blobs_of_bundles(connection)
        unused = others - blobs_of_others(connection, self._protected)
        return (
            choose(unused, min_age_s=self._rules.grace_s),
            choose(others - unused, min_age_s=self._rules.pictures_max_age_s),
        )

    def _note_removal(
        self, connection: Connection, client: str, unused: dict[str, int], overdue: dict[str, int]
    ) -> None:
        if not unused and not overdue:
            return
        n_bytes = sum(unused.values()) + sum(overdue.values())
        detail = f"{len(unused) + len(overdue)} contents, {n_bytes} bytes"
        if overdue:
            detail += f"; {len(overdue)} of them were still needed, but older than pictures may be"
        self._audit.append(connection, "blobs-collected", client=client, subject="-", detail=detail)
