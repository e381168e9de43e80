"""What the gate saw, in numbers that need the same little memory after a minute and after years.

Shares of the frame are counted in bins of equal ratio, because a busy crossing and a distant path differ by powers of
ten: a fixed number of counts then gives the mean exactly and every quantile to a few percent of itself.
"""

from __future__ import annotations

import numpy as np

from edge_autotuner.capture.regions import merge_all
from edge_autotuner.core import MotionResult
from edge_autotuner.core.boxes import box_areas
from edge_autotuner.core.types import FloatArray, SizeWH

SMALLEST_FRACTION = 1e-4
"""Lower edge of the first bin, share of the frame; what is smaller is counted there."""

CHART_BINS_PER_DECADE = 8
"""Bins from one power of ten to the next in the counts that are kept for charts."""

_FINE_BINS_PER_DECADE = 32
_N_DECADES = 4  # from SMALLEST_FRACTION to 1


class FractionHistogram:
    """Counts shares of a frame, 0..1, in 32 bins per power of ten between 1e-4 and 1."""

    def __init__(self) -> None:
        self._counts = np.zeros(_N_DECADES * _FINE_BINS_PER_DECADE, np.int64)

    @property
    def total(self) -> int:
        """How many shares were counted."""
        return int(self._counts.sum())

    def add(self, fractions: FloatArray) -> None:
        """Count (N,) shares; N = 0 is allowed."""
        decades_above = np.log10(np.maximum(fractions, SMALLEST_FRACTION) / SMALLEST_FRACTION)
        bins = np.minimum((decades_above * _FINE_BINS_PER_DECADE).astype(np.intp), len(self._counts) - 1)
        np.add.at(self._counts, bins, 1)

    def quantile(self, rank: float) -> float:
        """Return the smallest share that at least `rank`, in (0, 1], of the counted ones do not exceed; 0 for none.

        Within a bin the shares are taken as evenly spread over its ratio, so that the answer is off by less
        than one bin: at most 7.5 % of itself. Below 1e-4 it is known only that it is smaller.
        """
        if not 0 < rank <= 1:
            raise ValueError(f"rank must be in (0, 1], got {rank}")
        wanted = rank * self.total
        if not wanted:
            return 0.0
        up_to = np.cumsum(self._counts)
        found = int(np.searchsorted(up_to, wanted))  # its count is not 0, because wanted is more than the counts below
        within = 1 - (up_to[found] - wanted) / self._counts[found]
        return float(SMALLEST_FRACTION * 10 ** ((found + within) / _FINE_BINS_PER_DECADE))

    def chart_counts(self) -> tuple[int, ...]:
        """Return the counts between the edges `chart_edges()`."""
        n_joined = _FINE_BINS_PER_DECADE // CHART_BINS_PER_DECADE
        return tuple(self._counts.reshape(-1, n_joined).sum(axis=1).tolist())


def chart_edges() -> tuple[float, ...]:
    """Return the 33 edges of the bins of `FractionHistogram.chart_counts`: 1e-4 to 1, eight bins per power of ten."""
    steps = range(_N_DECADES * CHART_BINS_PER_DECADE + 1)
    return tuple(SMALLEST_FRACTION * 10 ** (step / CHART_BINS_PER_DECADE) for step in steps)


class MotionStatistics:
    """Running numbers over all frames that a gate looked at.

    Source:
        Rivas et al. 2021, Fig. 4: average share of the frame that the region with the changes covers. That
        region is one box around all of them, here the *enclosing* one; separate regions cover less.

    Attributes:
        n_looked: frames that the gate saw.
        gate_s: seconds that it took.
        n_compared: of those, frames for which it knew the background.
        n_with_motion: of those, frames with at least one region.
        covered: share of the frame that the regions of a frame cover together, frames with motion only.
        enclosing: share of the one box around them, frames with motion only.
        regions: share of the frame that each single region covers.
    """

    def __init__(self) -> None:
        self.n_looked = self.n_compared = self.n_with_motion = 0
        self.gate_s = 0.0
        self.covered = FractionHistogram()
        self.enclosing = FractionHistogram()
        self.regions = FractionHistogram()
        self._covered_sum = self._enclosing_sum = 0.0

    def add(self, motion: MotionResult, size_wh: SizeWH) -> None:
        """Take in what the gate saw in one frame.

        Args:
            motion: its answer.
            size_wh: of that frame, pixels; it may change from frame to frame.
        """
        self.n_looked += 1
        self.gate_s += motion.gate_s
        self.n_compared += motion.background_known
        if not motion.has_motion:
            return
        self.n_with_motion += 1
        enclosing_fraction = float(area_fractions(merge_all(motion.regions_xyxy), size_wh)[0])
        self._covered_sum += motion.motion_fraction
        self._enclosing_sum += enclosing_fraction
        self.covered.add(np.array([motion.motion_fraction], np.float32))
        self.enclosing.add(np.array([enclosing_fraction], np.float32))
        self.regions.add(area_fractions(motion.regions_xyxy, size_wh))

    @property
    def still_fraction(self) -> float:
        """Share of the compared frames in which nothing moved; 0 when none was compared."""
        return 1 - self.n_with_motion / self.n_compared if self.n_compared else 0.0

    @property
    def mean_covered_fraction(self) -> float:
        """Share of a frame that regions cover, mean over the compared frames, still ones included."""
        return self._covered_sum / self.n_compared if self.n_compared else 0.0

    @property
    def mean_covered_fraction_with_motion(self) -> float:
        """Share of a frame that regions cover, mean over the frames with motion."""
        return self._covered_sum / self.n_with_motion if self.n_with_motion else 0.0

    @property
    def mean_enclosing_fraction(self) -> float:
        """Share of a frame that one box around all its regions covers, mean over the frames with motion."""
        return self._enclosing_sum / self.n_with_motion if self.n_with_motion else 0.0


def area_fractions(regions_xyxy: FloatArray, size_wh: SizeWH) -> FloatArray:
    """Return the share of a frame, 0..1, that each of (R, 4) regions covers."""
    return np.asarray(box_areas(regions_xyxy) / (size_wh[0] * size_wh[1]), np.float32)
