"""How many frames may be selected, how fast, and in which time slots."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Literal

from edge_autotuner.config import SelectionConfig

Refusal = Literal["too soon", "over budget"]

_HOUR_S, _DAY_S = 3600.0, 86400.0
_ROUNDING_S = 1e-6  # time stamps are quotients such as 7 / 29.97


class Budget:
    """Counts selected frames against the cap, the rolling limits, and the smallest gap.

    Without time slots the cap is released evenly: the part is cut into `max_images` equal pieces, and each piece that
    has begun allows one frame more. What an empty stretch leaves unused may be spent later.

    Args:
        max_images: the cap, earlier frames included.
        span_s: length of the part to select from, seconds.
        start_s: where the part begins; None: at the first frame, or the first earlier one.
        earlier: times of the frames selected before an interruption, on the same clock.

    Attributes:
        n_spent: frames selected, earlier ones included.
        shortest_gap_s: mean time between frames below which a limit would be exceeded; 0 without limits.

    Raises:
        ValueError: `max_images` or `span_s` is not positive.
    """

    def __init__(
        self,
        config: SelectionConfig,
        *,
        max_images: int,
        span_s: float,
        start_s: float | None = None,
        earlier: Sequence[float] = (),
    ) -> None:
        if max_images < 1:
            raise ValueError(f"max_images must be at least 1, got {max_images}")
        if not 0 < span_s < math.inf:
            raise ValueError(f"span_s must be a positive number of seconds, got {span_s}")
        self._max_images = max_images
        self._span_s = span_s
        self._start_s = start_s
        self._min_gap_s = config.min_gap_s
        self._limits = [
            _RollingLimit(limit, window_s)
            for limit, window_s in ((config.max_per_hour, _HOUR_S), (config.max_per_day, _DAY_S))
            if limit is not None
        ]
        self._last_s = -math.inf
        self.n_spent = 0
        self.shortest_gap_s = max([config.min_gap_s, *(limit.mean_gap_s for limit in self._limits)])
        for time_s in sorted(earlier):
            self.begin(time_s)
            self.spend(time_s)

    @property
    def n_left(self) -> int:
        """Frames that the cap still allows."""
        return max(0, self._max_images - self.n_spent)

    @property
    def end_s(self) -> float:
        """Where the part ends; after `begin`."""
        return (self._start_s or 0.0) + self._span_s

    def begin(self, time_s: float) -> None:
        """Note the time of a frame that was offered; the first one is the start of the part."""
        if self._start_s is None:
            self._start_s = time_s

    def refusal(self, time_s: float, *, spread_evenly: bool) -> Refusal | None:
        """Return why no frame may be selected at a time that is not before the last one, or None if one may.

        Args:
            time_s: now.
            spread_evenly: whether the even release counts; it does not where time slots spread the frames.
        """
        if time_s - self._last_s < self._min_gap_s - _ROUNDING_S:
            return "too soon"
        if spread_evenly and self.n_spent >= self._n_released(time_s):
            return "too soon"
        if self.n_left == 0 or any(limit.is_reached(time_s) for limit in self._limits):
            return "over budget"
        return None

    def spend(self, time_s: float) -> None:
        """Count a selected frame."""
        self._last_s = time_s
        self.n_spent += 1
        for limit in self._limits:
            limit.add(time_s)

    def _n_released(self, time_s: float) -> int:
        elapsed_s = time_s - (time_s if self._start_s is None else self._start_s)
        return 1 + math.floor((elapsed_s + _ROUNDING_S) * self._max_images / self._span_s)


class _RollingLimit:
    """A limit on the events in any window of a length; remembers at most as many times as the limit."""

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._times_s: deque[float] = deque(maxlen=limit)

    @property
    def mean_gap_s(self) -> float:
        return self._window_s / self._limit

    def is_reached(self, time_s: float) -> bool:
        """Whether one more event now would exceed the budget."""
        return len(self._times_s) == self._limit and time_s - self._times_s[0] < self._window_s

    def add(self, time_s: float) -> None:
        self._times_s.append(time_s)


class TimeSlots:
    """Shares the time that is left among the frames that are left.

    A slot in which nothing was selected makes the following ones shorter, so that the budget is not lost. A slot
    begins where the last one ended, or with the next frame if that comes much later.

    Args:
        shortest_s: no slot is shorter, seconds.
    """

    def __init__(self, *, shortest_s: float) -> None:
        self._shortest_s = shortest_s
        self._start_s = self._end_s = -math.inf

    @property
    def length_s(self) -> float:
        """Length of the slot that has begun, seconds."""
        return self._end_s - self._start_s

    def is_over(self, time_s: float) -> bool:
        """Whether a frame at this time belongs to another slot; True before the first one."""
        return time_s >= self._end_s - _ROUNDING_S

    def begin_next(self, time_s: float, *, n_left: int, part_end_s: float) -> None:
        """Begin the slot that a frame of this time belongs to.

        Args:
            time_s: of the frame.
            n_left: frames that may still be selected.
            part_end_s: end of the part to select from.
        """
        self._begin_at(self._end_s if math.isfinite(self._end_s) else time_s, n_left, part_end_s)
        if self.is_over(time_s):
            self._begin_at(time_s, n_left, part_end_s)

    def _begin_at(self, start_s: float, n_left: int, part_end_s: float) -> None:
        share_s = max(0.0, part_end_s - start_s) / max(1, n_left)
        self._start_s, self._end_s = start_s, start_s + max(self._shortest_s, share_s)
