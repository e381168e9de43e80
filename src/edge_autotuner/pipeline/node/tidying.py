"""Deletes what the settings say need not be kept of a node's cameras; every deletion is logged.

Ages are those of the wall clock, so that they go on while the node is off. Where the clock is set while the node runs,
the stamps move with it, and everything keeps the age that it had.

BATCH/retention.json    since when a batch is kept, where that is not when it was closed
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_autotuner.config.node import StorageConfig
from edge_autotuner.core import Clock
from edge_autotuner.dataset import atomic_write_json
from edge_autotuner.dataset.lock import FolderLock
from edge_autotuner.dataset.replay import ReplayReservoir
from edge_autotuner.dataset.store import JOURNAL_NAME
from edge_autotuner.deployment import deployed_bundle
from edge_autotuner.deployment.deployed import BUNDLES_FOLDER
from edge_autotuner.errors import DatasetError, EdgeAutotunerError
from edge_autotuner.pipeline.forgetting import forget_pictures
from edge_autotuner.pipeline.node.camera_folder import Batch, BatchOutcome, CameraFolder
from edge_autotuner.storage import remove_folder

logger = logging.getLogger(__name__)

_SINCE_FILE = "retention.json"
_CLOCK_WAS_SET_S = 60.0
_FROM_THE_FUTURE = timedelta(days=1)


class Tidying:
    """Tidies all cameras of a node again and again.

    Args:
        config: what is kept.
        clock: tells ages, and whether it was set.
    """

    def __init__(self, config: StorageConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._last = clock.now(), clock.monotonic_s()

    def tidy(self, folder: Path) -> None:
        """Tidy every camera in the folder of a node, those included that its settings do not name any more."""
        cameras = cameras_in(folder)
        moved = self._clock_moved()
        if abs(moved) >= timedelta(seconds=_CLOCK_WAS_SET_S):
            logger.warning("the clock was set by %+.0f s: pictures keep the age that they had", moved.total_seconds())
            for camera in cameras:
                _move_stamps(camera, moved)
        for camera in cameras:
            tidy(camera, self._config, self._clock)

    def _clock_moved(self) -> timedelta:
        """Return by how much the wall clock went on more than time did since the last call."""
        now, now_s = self._clock.now(), self._clock.monotonic_s()
        (before, before_s), self._last = self._last, (now, now_s)
        return now - before - timedelta(seconds=now_s - before_s)


def cameras_in(folder: Path) -> list[CameraFolder]:
    """Return the cameras that a node's folder holds something of."""
    if not folder.is_dir():
        return []
    found = (CameraFolder(path) for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != ".")
    return [camera for camera in found if camera.lock.is_dir() or (camera.path / BUNDLES_FOLDER).is_dir()]


def tidy(folder: CameraFolder, config: StorageConfig, clock: Clock) -> None:
    """Delete old pictures, old batches and old models of a camera; never what is just worked on, or deployed.

    What cannot be deleted is logged and tried again the next time.
    """
    finished = [batch for batch in folder.batches() if _is_finished(batch)]
    for batch in finished[: -config.keep_batches]:
        _delete(batch.run.path, f"older than the last {config.keep_batches} batches", below=folder.path)
    for batch in finished[-config.keep_batches :]:
        if _age(batch, clock) > timedelta(seconds=config.keep_pictures_s):
            _forget(batch, "they were learned from and are old")
    _delete_waiting(folder, config, clock)
    _delete_replayed(folder, config, clock)
    for bundle in _old_bundles(folder, config.keep_bundles):
        _delete(bundle, f"older than the last {config.keep_bundles} models", below=folder.path)


def _delete_waiting(folder: CameraFolder, config: StorageConfig, clock: Clock) -> None:
    """Give up batches that nobody could learn from in time: for example because the teacher is away for good."""
    limit = timedelta(seconds=config.keep_waiting_s)
    waiting = [batch for batch in folder.batches() if not _is_finished(batch) and _age(batch, clock) > limit]
    if not waiting:
        return
    try:
        lock = FolderLock(folder.lock)
    except DatasetError:  # one of them is just worked on
        return
    try:
        for batch in waiting:
            logger.warning("%s: batch %s was NOT learned from", folder.path.name, batch.name)
            if _forget(batch, f"they have waited for longer than {limit}") and batch.is_collected:
                reason = "its pictures were deleted by storage.keep_waiting_s before they were learned from"
                batch.finish(BatchOutcome("useless", reason, None, clock.now().isoformat()))
    finally:
        lock.release()


def _forget(batch: Batch, why: str) -> bool:
    """Delete the pictures of a batch; return whether they are gone."""
    try:
        for path in forget_pictures(batch.run):
            logger.info("deleted the pictures in %s: %s", path, why)
    except EdgeAutotunerError as exc:
        logger.error("cannot delete the pictures of %s: %s", batch.run.path, exc)
        return False
    return True


def _delete_replayed(folder: CameraFolder, config: StorageConfig, clock: Clock) -> None:
    reservoir = ReplayReservoir(folder.reservoir)
    if not reservoir.exists:
        return
    try:
        n_deleted = reservoir.forget(before=clock.now() - timedelta(seconds=config.keep_replay_s))
    except EdgeAutotunerError as exc:
        logger.error("cannot delete old pictures of %s: %s", folder.reservoir, exc)
        return
    if n_deleted:
        logger.info("deleted %d old pictures of %s", n_deleted, folder.reservoir)


def _is_finished(batch: Batch) -> bool:
    try:
        return batch.outcome is not None
    except EdgeAutotunerError as exc:
        logger.error("%s", exc)
        return False


def _age(batch: Batch, clock: Clock) -> timedelta:
    """Return for how long a batch is kept; one whose stamp lies in the future begins anew."""
    since = _since(batch)
    if since is None:
        return timedelta(0)
    age = clock.now() - since
    if age < -_FROM_THE_FUTURE:
        logger.warning("%s is from the future: the clock was wrong; its age counts from now on", batch.run.path)
        _keep_since(batch, clock.now())
    return age


def _since(batch: Batch) -> datetime | None:
    """Return when a batch was closed, or, of one that is collected still, begun; as corrected."""
    with suppress(OSError, ValueError, KeyError, TypeError):  # there is no correction, or it is damaged
        stored = json.loads((batch.run.path / _SINCE_FILE).read_text(encoding="utf-8"))
        return datetime.fromisoformat(stored["since"])
    try:
        closed_at = batch.closed_at
    except EdgeAutotunerError as exc:
        logger.error("%s", exc)
        closed_at = None
    if closed_at is not None:
        return datetime.fromisoformat(closed_at)
    journal = batch.run.dataset / JOURNAL_NAME
    try:
        return datetime.fromtimestamp(journal.stat().st_mtime, UTC)
    except OSError:
        return None


def _move_stamps(folder: CameraFolder, by: timedelta) -> None:
    for batch in folder.batches():
        since = _since(batch)
        if since is not None and batch.is_collected:
            _keep_since(batch, since + by)


def _keep_since(batch: Batch, since: datetime) -> None:
    try:
        atomic_write_json(batch.run.path / _SINCE_FILE, {"since": since.isoformat()})
    except EdgeAutotunerError as exc:
        logger.error("%s", exc)


def _old_bundles(folder: CameraFolder, n_kept: int) -> list[Path]:
    bundles = folder.path / BUNDLES_FOLDER
    deployed = deployed_bundle(folder.path)
    if deployed is None or not bundles.is_dir():
        return []
    others = [path for path in bundles.iterdir() if not path.name.startswith(".") and path.name != deployed.name]
    return sorted(others, key=lambda path: path.stat().st_mtime)[:-n_kept]


def _delete(path: Path, why: str, *, below: Path) -> None:
    if not path.exists():
        return
    if remove_folder(path, below=below):
        logger.info("deleted %s: %s", path, why)
