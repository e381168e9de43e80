"""Deletes what the settings say need not be kept of a node's cameras; every deletion is logged.

What is old is said by `ages`, and by nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from edge_autotuner.config.node import StorageConfig
from edge_autotuner.core import Clock
from edge_autotuner.dataset.replay import ReplayReservoir
from edge_autotuner.deployment import deployed_bundle
from edge_autotuner.deployment.deployed import BUNDLES_FOLDER
from edge_autotuner.errors import DatasetError, EdgeAutotunerError
from edge_autotuner.node.ages import Ages
from edge_autotuner.node.arrivals import Arrivals
from edge_autotuner.node.camera_folder import Batch, BatchOutcome, CameraFolder
from edge_autotuner.pipeline.forgetting import forget_pictures
from edge_autotuner.storage import remove_folder
from edge_autotuner.storage.lock import FolderLock

logger = logging.getLogger(__name__)


class Tidying:
    """Tidies all cameras of a node again and again.

    Args:
        config: what is kept.
        clock: tells ages, and whether it was set.
        folder: of the node.
    """

    def __init__(self, config: StorageConfig, clock: Clock, folder: Path) -> None:
        self._config, self._clock, self._folder = config, clock, folder
        self.ages = Ages(clock)

    def observe(self) -> None:
        """Look whether the clock was set; call it every few seconds."""
        self.ages.observe(cameras_in(self._folder))

    def tidy(self, camera: CameraFolder, *, is_in_use: bool) -> None:
        """Tidy one camera; one that the settings do not name any more as well.

        Args:
            camera: its folder.
            is_in_use: whether a batch that is not complete is being collected; how long it may take is decided there.
        """
        tidy(camera, self._config, self.ages, self._clock, is_in_use=is_in_use)


def cameras_in(folder: Path) -> Iterator[CameraFolder]:
    """Yield the cameras that a node's folder holds something of; nothing is looked at before the first is wanted."""
    if not folder.is_dir():
        return
    found = (CameraFolder(path) for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != ".")
    yield from (camera for camera in found if camera.lock.is_dir() or (camera.path / BUNDLES_FOLDER).is_dir())


def tidy(folder: CameraFolder, config: StorageConfig, ages: Ages, clock: Clock, *, is_in_use: bool = False) -> None:
    """Delete old pictures, old batches and old models of a camera; never what is just worked on, or deployed.

    What cannot be deleted is logged and tried again the next time.
    """
    finished = [batch for batch in folder.batches() if _is_finished(batch)]
    for batch in finished[: -config.keep_batches]:
        _delete(batch.run.path, f"older than the last {config.keep_batches} batches", below=folder.path)
    for batch in finished[-config.keep_batches :]:
        if ages.is_older(batch, config.keep_pictures_s):
            _forget(batch, "they were learned from and are old")
    _delete_waiting(folder, config, ages, clock, is_in_use=is_in_use)
    _delete_replayed(folder, config, ages)
    Arrivals(folder.path).remove_old(clock.now())
    for bundle in _old_bundles(folder, config.keep_bundles):
        _delete(bundle, f"older than the last {config.keep_bundles} models", below=folder.path)


def _delete_waiting(folder: CameraFolder, config: StorageConfig, ages: Ages, clock: Clock, *, is_in_use: bool) -> None:
    """Give up batches that nobody could learn from in time: for example because the teacher is away for good."""
    unfinished = [batch for batch in folder.batches() if not _is_finished(batch)]
    candidates = [batch for batch in unfinished if not (is_in_use and _is_being_collected(batch))]
    waiting = [batch for batch in candidates if ages.is_older(batch, config.keep_waiting_s)]
    if not waiting:
        return
    try:
        lock = FolderLock(folder.lock)
    except DatasetError:  # one of them is just worked on
        return
    limit = timedelta(seconds=config.keep_waiting_s)
    try:
        for batch in waiting:
            logger.warning("%s: batch %s was NOT learned from", folder.path.name, batch.name)
            if _forget(batch, f"they have waited for longer than {limit}") and batch.is_collected:
                reason = "its pictures were deleted by storage.keep_waiting_s before they were learned from"
                batch.finish(BatchOutcome("useless", reason, None, clock.now().isoformat()))
    finally:
        lock.release()


def _is_being_collected(batch: Batch) -> bool:
    try:
        return not batch.is_collected
    except EdgeAutotunerError as exc:  # nobody knows
        logger.error("%s", exc)
        return True


def _forget(batch: Batch, why: str) -> bool:
    """Delete the pictures of a batch; return whether they are gone."""
    try:
        for path in forget_pictures(batch.run):
            logger.info("deleted the pictures in %s: %s", path, why)
    except EdgeAutotunerError as exc:
        logger.error("cannot delete the pictures of %s: %s", batch.run.path, exc)
        return False
    return True


def _delete_replayed(folder: CameraFolder, config: StorageConfig, ages: Ages) -> None:
    reservoir, before = ReplayReservoir(folder.reservoir), ages.before(config.keep_replay_s)
    if before is None or not reservoir.exists:
        return
    try:
        n_deleted = reservoir.forget(before=before)
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


def _old_bundles(folder: CameraFolder, n_kept: int) -> list[Path]:
    bundles = folder.path / BUNDLES_FOLDER
    deployed = deployed_bundle(folder.path)
    if deployed is None or not bundles.is_dir():
        return []
    in_use = {deployed.name, *folder.bundles_in_use()}
    others = [path for path in bundles.iterdir() if not path.name.startswith(".") and path.name not in in_use]
    return sorted(others, key=lambda path: path.stat().st_mtime)[:-n_kept]


def _delete(path: Path, why: str, *, below: Path) -> None:
    if not path.exists():
        return
    if remove_folder(path, below=below):
        logger.info("deleted %s: %s", path, why)
