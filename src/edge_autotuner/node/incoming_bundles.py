"""Downloads of bundles from a registry: one at a time per camera; leftovers of earlier ones are deleted.

CAMERA/incoming/ID                a complete bundle, until it is verified and installed
CAMERA/incoming/.ID.HASH.tmp/     a partial download, which continues there
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_autotuner.errors import ModelBundleError
from edge_autotuner.storage import child_path, remove_folder

logger = logging.getLogger(__name__)

INCOMING_FOLDER = "incoming"

_MAX_AGE = timedelta(days=1)  # of a partial download; after a longer break it starts over


class IncomingBundles:
    """The folder of one camera's downloads; it need not exist."""

    def __init__(self, camera: Path) -> None:
        self.path = camera / INCOMING_FOLDER

    def path_of(self, bundle_id: str) -> Path:
        """Return where a bundle is downloaded to.

        Raises:
            ModelBundleError: the id is not a plain name, or a link leads elsewhere.
        """
        return child_path(self.path, bundle_id, error=ModelBundleError)

    def remove_others(self, bundle_id: str | None) -> None:
        """Delete everything but the download of one bundle; None: everything. A failure is logged."""
        for path in self._all():
            if bundle_id is None or not (path.name == bundle_id or path.name.startswith(f".{bundle_id}.")):
                self._remove(path, "another bundle is needed" if bundle_id else "no bundle is needed")

    def remove_old(self, now: datetime) -> None:
        """Delete downloads that have not grown for a day. A failure is logged."""
        for path in self._all():
            if now - _changed_at(path) > _MAX_AGE:
                self._remove(path, f"nothing received for {_MAX_AGE}")

    def _all(self) -> list[Path]:
        if self.path.is_symlink() or not self.path.is_dir():
            return []
        try:
            return sorted(self.path.iterdir())
        except OSError as exc:
            logger.error("cannot read %s: %s", self.path, exc.strerror)
            return []

    def _remove(self, path: Path, why: str) -> None:
        is_folder = path.is_symlink() or path.is_dir()
        if remove_folder(path, below=self.path) if is_folder else _remove_file(path):
            logger.info("deleted %s: %s", path, why)


def _remove_file(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        logger.error("cannot remove %s: %s", path, exc.strerror)
        return False
    return True


def _changed_at(path: Path) -> datetime:
    """Return when something in a folder was last written."""
    return datetime.fromtimestamp(max(_times(path), default=0.0), UTC)


def _times(path: Path) -> Iterator[float]:
    for each in (path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())):
        try:
            yield each.lstat().st_mtime
        except OSError:  # it is just being written or removed
            continue
