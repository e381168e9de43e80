"""How old what a camera keeps is: the one rule by which a node deletes anything for its age.

Ages are those of the wall clock, so that they go on while the node is off. A clock that somebody sets makes nothing
older: where it is set while the node runs, the stamps move with it, and nothing is deleted for its age before the clock
has gone on as it should for an hour, after a start as well. What is in use has no age here: a batch that is being
collected counts the time for which its camera was watched.

BATCH/retention.json    since when a batch is kept, where that is not when it was closed
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
from edge_autotuner.node.camera_folder import Batch, CameraFolder
from edge_autotuner.storage.atomic import atomic_write_json
from edge_autotuner.storage.journal import JOURNAL_NAME

logger = logging.getLogger(__name__)

SETTLE_S = 3600.0
"""For how long a clock has to go on as it should before its ages are believed."""

_SINCE_FILE = "retention.json"
_CLOCK_WAS_SET_S = 60.0
_FROM_THE_FUTURE = timedelta(days=1)


class Ages:
    """Tells how old batches are, and whether that can be believed.

    Args:
        clock: its wall time is compared with its monotonic time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jumps = ClockJumps(clock, min_jump_s=_CLOCK_WAS_SET_S)
        self._steady_since_s = clock.monotonic_s()

    @property
    def are_believed(self) -> bool:
        """Whether the clock has gone on as it should for long enough."""
        return self._clock.monotonic_s() - self._steady_since_s >= SETTLE_S

    def observe(self, cameras: Iterable[CameraFolder]) -> None:
        """Look whether the clock was set; call it every few seconds. Where it was, all stamps move with it."""
        moved = timedelta(seconds=self._jumps.look())
        if not moved:
            return
        self._steady_since_s = self._clock.monotonic_s()
        logger.warning("the clock was set by %+.0f s: pictures keep the age that they had", moved.total_seconds())
        for camera in cameras:
            for batch in camera.batches():
                self._move(batch, moved)
            for picture in (camera.reservoir / "pictures").glob("*"):
                self._move_file(picture, moved)

    def is_older(self, batch: Batch, limit_s: float) -> bool:
        """Whether a batch is kept for longer than some seconds, and the clock is to be believed."""
        return self.are_believed and self.of(batch) > timedelta(seconds=limit_s)

    def before(self, age_s: float) -> datetime | None:
        """Return what older pictures are older than, by their files' times; None while the clock is not believed."""
        return self._clock.now() - timedelta(seconds=age_s) if self.are_believed else None

    def of(self, batch: Batch) -> timedelta:
        """Return how long a batch has been kept. A stamp in the future resets its age."""
        since = _since(batch)
        if since is None:
            return timedelta(0)
        age = self._clock.now() - since
        if age < -_FROM_THE_FUTURE:
            logger.warning("%s is from the future: the clock was wrong; its age counts from now on", batch.run.path)
            _keep_since(batch, self._clock.now())
            return timedelta(0)
        return age

    def _move(self, batch: Batch, by: timedelta) -> None:
        since = _since(batch)
        if since is not None and not self._is_of_now(since):
            _keep_since(batch, since + by)

    def _move_file(self, path: Path, by: timedelta) -> None:
        with suppress(OSError):  # it is gone
            written = path.stat().st_mtime
            if not self._is_of_now(datetime.fromtimestamp(written, UTC)):
                os.utime(path, (written + by.total_seconds(),) * 2)

    def _is_of_now(self, stamp: datetime) -> bool:
        """Whether a stamp was made after the clock was set: between that and the look at it."""
        return abs(self._clock.now() - stamp) < timedelta(seconds=_CLOCK_WAS_SET_S)


def _since(batch: Batch) -> datetime | None:
    """Return when a batch was closed, or, of one that nobody completes, last written to; as corrected."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):  # there is no correction, or it is damaged
        stored = load_json((batch.run.path / _SINCE_FILE).read_text(encoding="utf-8"))
        return datetime.fromisoformat(stored["since"]).astimezone(UTC)
    try:
        closed_at = batch.closed_at
        if closed_at is not None:
            return datetime.fromisoformat(closed_at).astimezone(UTC)
    except (EdgeAutotunerError, ValueError, TypeError) as exc:
        logger.error("%s: its age is not known: %s", batch.run.path, exc)
    try:
        return datetime.fromtimestamp((batch.run.dataset / JOURNAL_NAME).stat().st_mtime, UTC)
    except OSError:
        return None


def _keep_since(batch: Batch, since: datetime) -> None:
    try:
        atomic_write_json(batch.run.path / _SINCE_FILE, {"since": since.isoformat()})
    except EdgeAutotunerError as exc:
        logger.error("%s", exc)
