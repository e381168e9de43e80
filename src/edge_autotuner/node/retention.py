"""Retention on the node: deletes what the settings do not keep, and logs every deletion.

Only `batch_ages` decides what is old.
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
from edge_autotuner.node.batch_ages import BatchAges
from edge_autotuner.node.camera_folder import BatchFolder, BatchOutcome, CameraFolder
from edge_autotuner.node.incoming_bundles import IncomingBundles
from edge_autotuner.pipeline.forgetting import forget_pictures
from edge_autotuner.storage import remove_folder
from edge_autotuner.storage.lock import FolderLock

logger = logging.getLogger(__name__)


class Retention:
    """Deletes from a camera's folder what the settings do not keep: batches, pictures, downloads and models.

    It never deletes what is being worked on, or the deployed model. What cannot be deleted is logged and tried again
    the next time.

    Args:
        config: what is kept.
        ages: of batches; None: by the clock.
    """

    def __init__(self, config: StorageConfig, clock: Clock, folder: Path, *, ages: BatchAges | None = None) -> None:
        self._config, self._clock, self._folder = config, clock, folder
        self._ages = ages or BatchAges(clock)

    def observe(self) -> None:
        """Notice a clock that was set; call it every few seconds."""
        self._ages.observe(cameras_in(self._folder))

    def apply(self, camera: CameraFolder, *, is_in_use: bool = False) -> None:
        """Apply the rules to one camera, which the settings may no longer name.

        Args:
            camera: its folder.
            is_in_use: whether the node collects for it: then an incomplete batch is left to its collector.
        """
        config = self._config
        finished = [batch for batch in camera.batches() if _is_finished(batch)]
        for batch in finished[: -config.keep_batches]:
            _delete(batch.run.path, f"older than the last {config.keep_batches} batches", below=camera.path)
        for batch in finished[-config.keep_batches :]:
            if self._ages.is_older(batch, config.keep_pictures_s):
                _forget(batch, "learned from, and past their retention")
        self._give_up_waiting(camera, is_in_use=is_in_use)
        self._delete_replayed(camera)
        IncomingBundles(camera.path).remove_old(self._clock.now())
        for bundle in _old_bundles(camera, config.keep_bundles):
            _delete(bundle, f"older than the last {config.keep_bundles} models", below=camera.path)

    def _give_up_waiting(self, camera: CameraFolder, *, is_in_use: bool) -> None:
        """Give up batches that could not be learned from in time, for example because the teacher is away for good."""
        limit_s = self._config.keep_waiting_s
        unfinished = [batch for batch in camera.batches() if not _is_finished(batch)]
        candidates = [batch for batch in unfinished if not (is_in_use and _is_being_collected(batch))]
        waiting = [batch for batch in candidates if self._ages.is_older(batch, limit_s)]
        if not waiting:
            return
        try:
            lock = FolderLock(camera.lock)
        except DatasetError:  # one of them is being worked on
            return
        try:
            for batch in waiting:
                logger.warning("%s: batch %s was NOT learned from", camera.path.name, batch.name)
                waited = f"not learned from within {timedelta(seconds=limit_s)}"
                if _forget(batch, waited) and batch.is_collected:
                    reason = "its pictures were deleted by storage.keep_waiting_s before they were learned from"
                    batch.finish(BatchOutcome("useless", reason, None, self._clock.now().isoformat()))
        finally:
            lock.release()

    def _delete_replayed(self, camera: CameraFolder) -> None:
        reservoir, before = ReplayReservoir(camera.reservoir), self._ages.cutoff(self._config.keep_replay_s)
        if before is None or not reservoir.exists:
            return
        try:
            n_deleted = reservoir.forget(before=before)
        except EdgeAutotunerError as exc:
            logger.error("cannot delete old pictures of %s: %s", camera.reservoir, exc)
            return
        if n_deleted:
            logger.info("deleted %d old pictures of %s", n_deleted, camera.reservoir)


def cameras_in(folder: Path) -> Iterator[CameraFolder]:
    """Yield the cameras that a node's folder holds something of; lazily, as the folder may be large."""
    if not folder.is_dir():
        return
    found = (CameraFolder(path) for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != ".")
    yield from (camera for camera in found if camera.lock.is_dir() or (camera.path / BUNDLES_FOLDER).is_dir())


def _is_being_collected(batch: BatchFolder) -> bool:
    try:
        return not batch.is_collected
    except EdgeAutotunerError as exc:  # unknown
        logger.error("%s", exc)
        return True


def _forget(batch: BatchFolder, why: str) -> bool:
    """Delete the pictures of a batch; return whether they are gone."""
    try:
        for path in forget_pictures(batch.run):
            logger.info("deleted the pictures in %s: %s", path, why)
    except EdgeAutotunerError as exc:
        logger.error("cannot delete the pictures of %s: %s", batch.run.path, exc)
        return False
    return True


def _is_finished(batch: BatchFolder) -> bool:
    try:
        return batch.outcome is not None
    except EdgeAutotunerError as exc:
        logger.error("%s", exc)
        return False


def _old_bundles(folder: CameraFolder, n_kept: int) -> list[Path]:
    deployed = deployed_bundle(folder.path)
    if deployed is None:
        return []
    in_use = {deployed.name, *folder.bundles_in_use()}
    others = [path for path in folder.bundles() if path.name not in in_use]
    return sorted(others, key=lambda path: path.stat().st_mtime)[:-n_kept]


def _delete(path: Path, why: str, *, below: Path) -> None:
    if not path.exists():
        return
    if remove_folder(path, below=below):
        logger.info("deleted %s: %s", path, why)
