"""Time slots: in each of them the frame with the best score is selected."""

from __future__ import annotations

import math

_ROUNDING_S = 1e-6


class TimeSlots:
    """Shares the time that is left among the frames that are left.

    A slot in which nothing was selected makes the following ones shorter, so that the budget is not lost. A slot
    begins where the last one ended, or with the next frame if that comes much later.
    """

    def __init__(self, *, shortest_s: float) -> None:
        """Start before the first slot.

        Args:
            shortest_s: no slot is shorter, seconds.
        """
        self._shortest_s = shortest_s
        self._start_s = self._end_s = -math.inf

    @property
    def length_s(self) -> float:
        """Length of the slot that has begun, seconds."""
        return self._end_s - self._start_s

    def is_over(self, time_s: float) -> bool:
        """Return whether a frame of this time belongs to another slot; True before the first one."""
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
