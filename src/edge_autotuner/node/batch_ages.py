"""Ages of batches and pictures: the only rule by which a node deletes anything because it is old.

Ages follow the wall clock, so that they grow while the node is off. Setting the clock makes nothing older: the stamps
move with it, and nothing is deleted for its age until the clock has been steady for an hour, after a start as well. A
batch that is being collected has no age here; its collector counts the time for which its camera was watched.

BATCH/retention.json    start of a batch's age, where that is not the time at which it was closed
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_autotuner.core import Clock, ClockJumps
from edge_autotuner.core.json_limits import load_json
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.node.camera_folder import BatchFolder, CameraFolder
from edge_autotuner.storage.atomic import atomic_write_json
from edge_autotuner.storage.journal import JOURNAL_NAME

logger = logging.getLogger(__name__)

SETTLE_S = 3600.0
"""A clock must have been steady for this long before its ages are trusted."""

_SINCE_FILE = "retention.json"
_CLOCK_WAS_SET_S = 60.0
_FROM_THE_FUTURE = timedelta(days=1)


class BatchAges:
    """Tells how old batches are, unless the clock cannot be trusted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jumps = ClockJumps(clock, min_jump_s=_CLOCK_WAS_SET_S)
        self._steady_since_s = clock.monotonic_s()

    @property
    def are_trusted(self) -> bool:
        """Whether the clock has been steady for long enough."""
        return self._clock.monotonic_s() - self._steady_since_s >= SETTLE_S

    def observe(self, cameras: Iterable[CameraFolder]) -> None:
        """Notice a clock that was set, and move all stamps with it; call it every few seconds."""
        moved = timedelta(seconds=self._jumps.look())
        if not moved:
            return
        self._steady_since_s = self._clock.monotonic_s()
        logger.warning("the clock was set by %+.0f s; pictures keep their age", moved.total_seconds())
        for camera in cameras:
            for batch in camera.batches():
                self._move(batch, moved)
            for picture in (camera.reservoir / "pictures").glob("*"):
                self._move_file(picture, moved)

    def is_older(self, batch: BatchFolder, limit_s: float) -> bool:
        """Whether a batch has been kept for longer than this, by a clock that can be trusted."""
        return self.are_trusted and self.of(batch) > timedelta(seconds=limit_s)

    def cutoff(self, age_s: float) -> datetime | None:
        """Return the file time before which pictures are older than this; None while the clock is not trusted."""
        return self._clock.now() - timedelta(seconds=age_s) if self.are_trusted else None

    def of(self, batch: BatchFolder) -> timedelta:
        """Return how long a batch has been kept. A stamp in the future resets its age."""
        since = _since(batch)
        if since is None:
            return timedelta(0)
        age = self._clock.now() - since
        if age < -_FROM_THE_FUTURE:
            logger.warning("%s is dated in the future, the clock was wrong; counting its age from now", batch.run.path)
            _keep_since(batch, self._clock.now())
            return timedelta(0)
        return age

    def _move(self, batch: BatchFolder, by: timedelta) -> None:
        since = _since(batch)
        if since is not None and not self._is_of_now(since):
            _keep_since(batch, since + by)

    def _move_file(self, path: Path, by: timedelta) -> None:
        with suppress(OSError):  # the file is gone
            written = path.stat().st_mtime
            if not self._is_of_now(datetime.fromtimestamp(written, UTC)):
                os.utime(path, (written + by.total_seconds(),) * 2)

    def _is_of_now(self, stamp: datetime) -> bool:
        """Whether a stamp was made after the clock was set."""
        return abs(self._clock.now() - stamp) < timedelta(seconds=_CLOCK_WAS_SET_S)


def _since(batch: BatchFolder) -> datetime | None:
    """Return when a batch's age starts: its corrected time, else its closing, else its last write."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):  # no correction, or a damaged one
        stored = load_json((batch.run.path / _SINCE_FILE).read_text(encoding="utf-8"))
        return datetime.fromisoformat(stored["since"]).astimezone(UTC)
    try:
        closed_at = batch.closed_at
        if closed_at is not None:
            return datetime.fromisoformat(closed_at).astimezone(UTC)
    except (EdgeAutotunerError, ValueError, TypeError) as exc:
        logger.error("%s: age unknown: %s", batch.run.path, exc)
    try:
        return datetime.fromtimestamp((batch.run.dataset / JOURNAL_NAME).stat().st_mtime, UTC)
    except OSError:
        return None


def _keep_since(batch: BatchFolder, since: datetime) -> None:
    try:
        atomic_write_json(batch.run.path / _SINCE_FILE, {"since": since.isoformat()})
    except EdgeAutotunerError as exc:
        logger.error("%s", exc)
