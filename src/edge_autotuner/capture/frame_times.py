"""Times of frames, made from the stamps that a file gives them: they start at 0 and rise.

Recorders restart their clock in mid-file, write a stamp twice, or write none. Everything that is spread over time, or
waits for it, would go wrong with such stamps; so they are repaired here, once, and counted.
"""

from __future__ import annotations

RESTART_S = 1.0
"""A stamp that goes back by more begins a new count; by less it is a slip of one frame."""

LONGEST_GAP_S = 30 * 3600.0
"""A stamp further ahead is an error, as FFmpeg's `dts_error_threshold` has it."""

LONGEST_STREAM_GAP_S = 10.0
"""The same for formats whose clock may restart, such as MPEG-TS, as FFmpeg's `dts_delta_threshold` has it."""

_CATCHING_UP = 0.125  # of the usual time between two frames, while times are ahead of the stamps
_SHORTEST_S = 1e-6  # between two frames, so that times rise in spite of rounding


class FrameTimes:
    """Gives each frame a time; to be asked in the order in which frames are shown.

    Args:
        rate_hz: frames per second as stated, until two frames show it.
        longest_gap_s: a stamp that is further ahead of the one before is not believed.

    Attributes:
        n_repaired: frames whose stamp was missing or could not be right, beside frames that have stamps.
    """

    def __init__(self, rate_hz: float, *, longest_gap_s: float = LONGEST_GAP_S) -> None:
        self._usual_s = 1 / rate_hz
        self._longest_gap_s = longest_gap_s
        self._base_s: float | None = None  # the stamp of time 0
        self._stamp_s = 0.0  # the last one
        self._risen_s: float | None = None  # the highest one of this clock
        self._n_slipped = 0  # frames since then
        self._time_s: float | None = None  # of the last frame
        self.n_repaired = 0

    def next(self, stamp_s: float | None) -> float:
        """Return the seconds since the first frame; more than for any frame before.

        Args:
            stamp_s: what the file says, seconds from any start; None where it says nothing.
        """
        if self._time_s is None:
            self._base_s = self._risen_s = stamp_s
            time_s = 0.0
        elif stamp_s is None:
            self.n_repaired += self._base_s is not None
            self._n_slipped += 1
            time_s = self._time_s + self._usual_s
        elif self._base_s is None:
            time_s = self._time_s + self._usual_s
            self._base_s = stamp_s - time_s
            self._risen_s, self._n_slipped = stamp_s, 0
        elif not -RESTART_S <= stamp_s - self._stamp_s <= self._longest_gap_s:
            self.n_repaired += 1
            time_s = self._time_s + self._usual_s
            self._base_s = stamp_s - time_s
            self._risen_s, self._n_slipped = stamp_s, 0
        else:
            time_s = self._follow(self._time_s, stamp_s, stamp_s - self._base_s)
        if stamp_s is not None:
            self._stamp_s = stamp_s
        self._time_s = time_s
        return time_s

    def _follow(self, last_s: float, stamp_s: float, time_s: float) -> float:
        """Return the time of a stamp that fits those before, or one between, when it slipped behind them.

        Cheap recorders write whole seconds: of the frames of a second only the first has a stamp that rises. They are
        spread over the second, by how many the second before had.
        """
        has_risen = self._risen_s is None or stamp_s > self._risen_s
        if has_risen:
            if self._risen_s is not None:
                self._usual_s = max(_SHORTEST_S, (stamp_s - self._risen_s) / (self._n_slipped + 1))
            self._risen_s, self._n_slipped = stamp_s, 0
        else:
            self._n_slipped += 1
        if time_s > last_s:
            return time_s
        self.n_repaired += 1
        risen_s = time_s - stamp_s + self._risen_s if self._risen_s is not None else time_s
        between_s = risen_s + self._usual_s * (self._n_slipped - 0.5)
        return between_s if between_s > last_s else last_s + self._usual_s * _CATCHING_UP
