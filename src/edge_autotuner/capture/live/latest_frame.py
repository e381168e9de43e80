"""Hands frames from the thread that reads a camera to the one that looks at them."""

from __future__ import annotations

import threading
from collections import deque

from edge_autotuner.core import Frame

_SLICE_S = 0.1  # no wait is longer than this without a look at the stop event
_LOSSLESS_FRAMES = 16  # that may wait in the lossless mode: to change threads costs more than to hand a frame over


class LatestFrame:
    """Holds the newest frame that was not taken yet; one writer, one reader.

    A slow reader gets the newest frame, and memory does not grow. Frames that were not taken in time are
    dropped and counted. In the lossless mode a few frames are held, the writer waits when there are too many, and
    no frame is dropped.
    """

    def __init__(self, stop: threading.Event, *, lossless: bool = False) -> None:
        """Begin empty; `stop` ends every wait of both sides, `lossless` lets the writer wait for the reader."""
        self._stop = stop
        self._lossless = lossless
        self._changed = threading.Condition()
        self._frames: deque[Frame] = deque(maxlen=_LOSSLESS_FRAMES if lossless else 1)
        self._failure: Exception | None = None
        self._is_over = False
        self._n_dropped = 0

    @property
    def n_dropped(self) -> int:
        """Frames that were replaced before they were taken."""
        return self._n_dropped

    @property
    def is_over(self) -> bool:
        """Whether no more frames will arrive; waiting ones can still be taken."""
        return self._is_over

    def put(self, frame: Frame) -> None:
        """Offer a frame; in the lossless mode wait until there is room for it, or until the stop."""
        with self._changed:
            while self._lossless and self._is_full() and not self._stop.is_set():
                self._changed.wait(_SLICE_S)
            self._n_dropped += self._is_full()
            self._frames.append(frame)
            self._changed.notify_all()

    def end(self, failure: Exception | None = None) -> None:
        """Mark the end of the frames, with its cause; only the first failure counts."""
        with self._changed:
            self._failure = self._failure or failure
            self._is_over = True
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Frame | None:
        """Return the frame that is waiting, at the latest after a while.

        Returns:
            None: nothing arrived in time, no more will arrive (`is_over`), or it was stopped.

        Raises:
            Exception: the failure that ended the reading, after the last frame was taken.
        """
        with self._changed:
            self._wait_for_frame(timeout_s)
            if not self._frames:
                return None
            self._changed.notify_all()
            return self._frames.popleft()

    def peek(self, timeout_s: float) -> Frame | None:
        """As `take`, but leave the frame there."""
        with self._changed:
            self._wait_for_frame(timeout_s)
            return self._frames[0] if self._frames else None

    def _is_full(self) -> bool:
        return len(self._frames) == self._frames.maxlen

    def _wait_for_frame(self, timeout_s: float) -> None:
        if not self._frames and not self._is_over and not self._stop.is_set():
            self._changed.wait(timeout_s)
        if not self._frames and self._failure is not None and not self._stop.is_set():
            raise self._failure
