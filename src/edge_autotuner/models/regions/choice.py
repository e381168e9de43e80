"""Chooses for a camera whether its model looks at whole frames or at regions."""

from __future__ import annotations

from collections import deque

import numpy as np

from edge_autotuner.config.feeding import FeedingConfig, FeedingMode
from edge_autotuner.core.types import SizeWH
from edge_autotuner.models.regions.plan import full_scale
from edge_autotuner.models.regions.things import MovingThings

SMALL_PX = 16.0  # two cells of the finest grid of the usual detectors, whose stride is 8
_STAY_PX = 20.0  # regions end when objects are larger than that: no flicker between the modes
_N_ENOUGH = 100  # moving areas before a choice
_N_KEPT = 1000
_DECIDE_EVERY = 50  # frames with motion


class ModeChoice:
    """The mode of one camera: as the settings say, or by the size of what moves, in pixels of the model's input."""

    def __init__(self, feeding: FeedingConfig, input_wh: SizeWH) -> None:
        self._feeding, self._input_wh = feeding, input_wh
        self._sizes: deque[float] = deque(maxlen=_N_KEPT)
        self._n_frames = 0
        self._chosen: FeedingMode = "full"
        self._median_px: float | None = None

    @property
    def mode(self) -> FeedingMode:
        """`full` or `regions`."""
        return self._chosen if self._feeding.mode == "auto" else self._feeding.mode

    @property
    def explanation(self) -> str:
        """Which mode, and why, one line."""
        is_set = self._feeding.mode != "auto"
        if self._median_px is None:
            unknown = f"full, until {_N_ENOUGH} moving areas have been seen; so far {len(self._sizes)}"
            return f"{self.mode}, as set" if is_set else unknown
        is_small = self._median_px < SMALL_PX if is_set else self.mode == "regions"
        mode, small = self.mode + ", as set" * is_set, "small" if is_small else "large enough"
        return (
            f"{mode}: half of what moves is at most {self._median_px:.0f} input pixels large in the full frame, "
            f"which is {small} for the model (limit {SMALL_PX:.0f})"
        )

    @property
    def is_doubtful(self) -> bool:
        """Whether regions are set where what moves is large enough in whole frames."""
        return self._feeding.mode == "regions" and self._median_px is not None and self._median_px >= SMALL_PX

    def see(self, things: MovingThings, size_wh: SizeWH) -> None:
        """Take into account what moves in the next frame."""
        if len(things) == 0:
            return
        self._sizes.extend((things.sizes * full_scale(size_wh, self._input_wh)).tolist())
        self._n_frames += 1
        if len(self._sizes) >= _N_ENOUGH and (self._median_px is None or self._n_frames % _DECIDE_EVERY == 0):
            self._decide()

    def _decide(self) -> None:
        self._median_px = float(np.median(self._sizes))
        self._chosen = "regions" if self._median_px < (_STAY_PX if self._chosen == "regions" else SMALL_PX) else "full"
