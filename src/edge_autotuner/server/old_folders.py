"""Working folders of jobs hold copies of pictures; those that nobody works in have an end, too."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.errors import DatasetError
from edge_autotuner.server.database import Database
from edge_autotuner.storage import remove_folder
from edge_autotuner.storage.lock import LOCK_NAME, FolderLock

logger = logging.getLogger(__name__)

_CLOCK_SLACK_S = 60.0
_REMOVED_SUFFIX = ".removed"


class OldFolders:
    """Removes working folders in which nothing was written for long; their jobs begin anew, if there is what they need.

    Args:
        folder: that of all jobs.
        database: jobs are claimed by its only writer, so none is while a folder is taken away.
        max_age_s: without a change.
        clock: says what is old.
    """

    def __init__(self, folder: Path, database: Database, *, max_age_s: float, clock: Clock | None = None) -> None:
        self._folder = folder
        self._database = database
        self._max_age_s = max_age_s
        self._clock = clock or SystemClock()

    def remove(self) -> None:
        """Remove what is old."""
        if not self._folder.is_dir():
            return
        now = self._clock.now().timestamp()
        with self._database.writing():
            for path in [path for path in self._folder.iterdir() if path.is_dir()]:
                with suppress(FileNotFoundError):
                    self._take_away(path, now)
        for path in self._folder.glob(f"*{_REMOVED_SUFFIX}"):
            logger.warning("%s: nothing was written there for long; it is removed", path.stem)
            remove_folder(path, below=self._folder)

    def _take_away(self, path: Path, now: float) -> None:
        age_s = now - _changed_at(path)
        if age_s < -_CLOCK_SLACK_S:  # written while the clock was ahead: it ages from now on
            for inner in (path, *path.iterdir()):
                os.utime(inner, (now, now))
        if age_s < self._max_age_s:
            return
        with _unused(path) as is_unused:
            if is_unused:
                path.rename(path.with_name(path.name + _REMOVED_SUFFIX))


def _changed_at(path: Path) -> float:
    """Return when something was last written: folder or what is in it, except the lock."""
    return max(entry.stat().st_mtime for entry in (path, *path.iterdir()) if entry.name != LOCK_NAME)


@contextmanager
def _unused(path: Path) -> Iterator[bool]:
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
