"""Limits the upload rate on a link that others need as well."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge_autotuner.core.clock import Clock

_BURST_S = 0.25  # of the allowed rate; larger bursts would delay the camera's own stream on a narrow link
_MIN_BURST_BYTES = 512
_MAX_BURST_BYTES = 1 << 16


class UploadBudget:
    """A token bucket that all users of a connection share.

    Each sender takes its bytes at once and then waits until they are paid for: senders take turns in the order of their
    arrival, and the rate holds for any number of them.

    Args:
        kbps: kilobits per second (1000 bits).
    """

    def __init__(self, kbps: float, *, clock: Clock, sleep: Callable[[float], object]) -> None:
        if not 0 < kbps < float("inf"):
            raise ValueError(f"kbps must be positive, got {kbps}")
        self._bytes_per_s = kbps * 125
        self._burst_bytes = min(max(int(self._bytes_per_s * _BURST_S), _MIN_BURST_BYTES), _MAX_BURST_BYTES)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._level_bytes = float(self._burst_bytes)
        self._filled_s = clock.monotonic_s()

    @property
    def burst_bytes(self) -> int:
        """Bytes that may be sent at once after a pause; send larger buffers in pieces of this size."""
        return self._burst_bytes

    def take(self, n_bytes: int, *, longest_s: float = float("inf")) -> float:
        """Wait until this many bytes may be sent; return the seconds waited.

        Raises:
            TimeoutError: the wait would be longer than `longest_s`; nothing was taken.
        """
        wait_s = self._take(n_bytes, longest_s)
        if wait_s > 0:
            self._sleep(wait_s)
        return wait_s

    def _take(self, n_bytes: int, longest_s: float) -> float:
        with self._lock:
            now_s = self._clock.monotonic_s()
            earned = (now_s - self._filled_s) * self._bytes_per_s
            self._level_bytes = min(self._level_bytes + earned, self._burst_bytes)
            self._filled_s = now_s
            wait_s = max(0.0, (n_bytes - self._level_bytes) / self._bytes_per_s)
            if wait_s > longest_s:
                raise TimeoutError(f"the upload limit allows these {n_bytes} bytes only in {wait_s:.0f} s")
            self._level_bytes -= n_bytes
        return wait_s
