"""Retention rules: which bundles and contents are deleted, by age and size, never what a camera may roll back to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sqlalchemy import Connection, select

from edge_autotuner.config.server import RetentionConfig
from edge_autotuner.server.blobs import Blob
from edge_autotuner.server.schema import bundle_files, bundles, deployments
from edge_autotuner.wire.registry_messages import Stage

ProtectedBlobs = Callable[[Connection], Collection[str]]
"""Returns hashes of contents that something else than a bundle refers to, such as a running job."""

DAY_S = 86400.0


@dataclass(frozen=True)
class RetentionRules:
    """Retention limits of bundles and contents.

    Attributes:
        max_age_s: bundles unused for longer are deleted.
        min_age_s: bundles added or used within this time are kept, whatever their size.
        n_rollbacks: number of earlier deployed bundles that each camera keeps, whatever their age.
        max_bytes: while contents take more, the oldest bundles are deleted; None for no limit.
        grace_s: unused contents are kept for this time after they were uploaded or claimed.
        pictures_max_age_s: contents of no bundle are deleted this long after they were uploaded or claimed, even if
            something refers to them: they may be pictures.
    """

    max_age_s: float = 90 * DAY_S
    min_age_s: float = 7 * DAY_S
    n_rollbacks: int = 3
    max_bytes: int | None = None
    grace_s: float = DAY_S
    pictures_max_age_s: float = 30 * DAY_S

    def __post_init__(self) -> None:
        if not 0 <= self.min_age_s <= self.max_age_s:
            raise ValueError(f"min_age_s {self.min_age_s} must be from 0 to max_age_s {self.max_age_s}")
        if self.n_rollbacks < 0 or self.grace_s < 0:
            raise ValueError("n_rollbacks and grace_s must not be negative")
        if self.pictures_max_age_s < self.grace_s:
            raise ValueError(f"pictures_max_age_s {self.pictures_max_age_s} must be at least grace_s {self.grace_s}")

    @classmethod
    def from_config(cls, config: RetentionConfig) -> Self:
        """Return the rules of the settings."""
        return cls(
            max_age_s=config.max_age_s,
            min_age_s=config.min_age_s,
            n_rollbacks=config.n_rollbacks,
            max_bytes=None if config.max_contents_mb is None else int(config.max_contents_mb * 1e6),
            grace_s=config.grace_s,
            pictures_max_age_s=config.pictures_max_age_s,
        )


@dataclass(frozen=True)
class BundleUse:
    """The use of a bundle.

    Attributes:
        stage: see `Stage`.
        since: start of this stage.
        is_rollback: whether a rollback of its camera may return to it.
    """

    id: str
    stage: Stage
    since: datetime
    blobs: frozenset[str]
    is_rollback: bool


def bundles_to_remove(
    uses: Iterable[BundleUse],
    sizes: Mapping[str, int],
    other_blobs: Collection[str],
    rules: RetentionRules,
    now: datetime,
) -> list[str]:
    """Return IDs of bundles to delete, oldest first; `sizes` are of all contents, `other_blobs` are kept."""
    uses = sorted(uses, key=lambda use: (use.since, use.id))
    removable = [use for use in uses if _may_go(use, rules, now)]
    n_uses = Counter(sha256 for use in uses for sha256 in use.blobs)
    n_uses.update(other_blobs)
    n_bytes = sum(sizes.get(sha256, 0) for sha256 in n_uses)
    removed = []
    for use in removable:
        is_old = (now - use.since).total_seconds() > rules.max_age_s
        if not is_old and (rules.max_bytes is None or n_bytes <= rules.max_bytes):
            break  # the next ones are younger
        removed.append(use.id)
        n_uses.subtract(use.blobs)
        n_bytes -= sum(sizes.get(sha256, 0) for sha256 in use.blobs if n_uses[sha256] == 0)
    return removed


def _may_go(use: BundleUse, rules: RetentionRules, now: datetime) -> bool:
    age_s = (now - use.since).total_seconds()
    return use.stage != "deployed" and not use.is_rollback and age_s >= rules.min_age_s


def read_uses(connection: Connection, n_rollbacks: int) -> list[BundleUse]:
    """Return the uses of all bundles."""
    blobs: dict[str, set[str]] = {}
    for bundle_id, sha256 in connection.execute(select(bundle_files.c.bundle_id, bundle_files.c.sha256)):
        blobs.setdefault(bundle_id, set()).add(sha256)
    rollbacks = _rollback_ids(connection, n_rollbacks)
    rows = connection.execute(select(bundles.c.id, bundles.c.stage, bundles.c.stage_since))
    return [
        BundleUse(
            row.id,
            row.stage,
            row.stage_since,
            frozenset(blobs.get(row.id, ())),
            row.id in rollbacks,
        )
        for row in rows
    ]


def _rollback_ids(connection: Connection, n_rollbacks: int) -> set[str]:
    """Return, for each camera, the last distinct bundles below the deployed one."""
    query = select(deployments.c.camera, deployments.c.bundle_id).order_by(
        deployments.c.camera, deployments.c.position.desc()
    )
    stacks: dict[str, list[str]] = {}
    for camera, bundle_id in connection.execute(query):
        stack = stacks.setdefault(camera, [])
        if bundle_id not in stack:
            stack.append(bundle_id)
    return {bundle_id for stack in stacks.values() for bundle_id in stack[1 : n_rollbacks + 1]}


def blobs_of_bundles(connection: Connection) -> set[str]:
    """Return hashes of the contents of all bundles."""
    return set(connection.execute(select(bundle_files.c.sha256)).scalars())


def blobs_of_others(connection: Connection, protected: Sequence[ProtectedBlobs]) -> set[str]:
    """Return hashes of all protected contents."""
    return set[str]().union(*(find(connection) for find in protected))


def sizes_and_young(blobs: Iterable[Blob], grace_s: float) -> tuple[dict[str, int], set[str]]:
    """Return the sizes of contents, and which are within the grace period."""
    sizes, young = {}, set()
    for blob in blobs:
        sizes[blob.sha256] = blob.n_bytes
        if blob.age_s < grace_s:
            young.add(blob.sha256)
    return sizes, young
