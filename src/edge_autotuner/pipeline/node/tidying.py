"""Deletes what the settings say need not be kept of a camera; every deletion is logged."""

from __future__ import annotations

import logging
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from edge_autotuner.config.node import StorageConfig
from edge_autotuner.core import Clock
from edge_autotuner.deployment import deployed_bundle
from edge_autotuner.deployment.deployed import BUNDLES_FOLDER
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.pipeline.node.camera_folder import Batch, CameraFolder

logger = logging.getLogger(__name__)

_WITH_PICTURES = ("dataset", "training")
"""Folders of a run that hold pictures, or maps made of them."""


def tidy(folder: CameraFolder, config: StorageConfig, clock: Clock) -> None:
    """Delete old pictures, old batches and old models of a camera; never what is still worked on, or deployed.

    What cannot be deleted is logged and tried again the next time.
    """
    finished = [batch for batch in folder.batches() if _is_finished(batch)]
    for batch in finished[: -config.keep_batches]:
        _delete(batch.run.path, f"older than the last {config.keep_batches} batches")
    for batch in finished[-config.keep_batches :]:
        if _age(batch, clock) > timedelta(seconds=config.keep_pictures_s):
            for name in _WITH_PICTURES:
                _delete(batch.run.path / name, "its pictures are old")
    for bundle in _old_bundles(folder, config.keep_bundles):
        _delete(bundle, f"older than the last {config.keep_bundles} models")


def _is_finished(batch: Batch) -> bool:
    try:
        return batch.outcome is not None
    except EdgeAutotunerError as exc:
        logger.error("%s", exc)
        return False


def _age(batch: Batch, clock: Clock) -> timedelta:
    closed_at = batch.closed_at
    return clock.now() - datetime.fromisoformat(closed_at) if closed_at else timedelta(0)


def _old_bundles(folder: CameraFolder, n_kept: int) -> list[Path]:
    bundles = folder.path / BUNDLES_FOLDER
    deployed = deployed_bundle(folder.path)
    if deployed is None or not bundles.is_dir():
        return []
    others = [path for path in bundles.iterdir() if not path.name.startswith(".") and path.name != deployed.name]
    return sorted(others, key=lambda path: path.stat().st_mtime)[:-n_kept]


def _delete(path: Path, why: str) -> None:
    if not path.exists():
        return
    try:
        shutil.rmtree(path)
        logger.info("deleted %s: %s", path, why)
    except OSError as exc:
        logger.error("cannot delete %s: %s", path, exc.strerror)
