"""What the capture stage did, for the report and for resuming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import datetime
from typing import Any

from edge_autotuner.capture.statistics import MotionStatistics
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import DatasetError


@dataclass(frozen=True)
class SourceNumbers:
    """What was read of a source; see `CaptureSummary` for the meaning.

    Attributes:
        began_at, ended_at: aware UTC wall time of a live source's first and last frame; None for a recorded source.
    """

    n_frames: int
    size_wh: SizeWH
    watched_s: float
    decode_s: float = 0.0
    is_live: bool = False
    n_dropped: int = 0
    began_at: datetime | None = None
    ended_at: datetime | None = None
    deadline_hit: bool = False
    n_lost: int = 0
    n_times_repaired: int = 0


@dataclass(frozen=True)
class CaptureSummary:
    """Numbers of one capture. Shares are shares of a frame, 0..1.

    Attributes:
        n_frames: frames that the source gave and that were taken.
        n_looked: of those, frames that the gate saw; a deadline spares it the rest.
        n_compared: of those, frames that the gate compared with a background.
        n_with_motion: of those, frames in which something moved.
        reasons: how many frames of the training part were "selected", "no motion", "nothing new", and so on.
        n_train: selected training frames.
        n_test: frames kept for the evaluation.
        mean_motion_fraction: share covered by motion regions, mean over the compared frames.
        mean_region_fraction_with_motion: the same, mean over the frames with motion.
        mean_enclosing_fraction: share of one box around all regions, mean over the frames with motion
            (Rivas et al. 2021, Fig. 4).
        motion_histogram: frames with motion by the share that their regions cover; the edges of the bins are
            `statistics.chart_edges()`.
        low_region_fraction, median_region_fraction, high_region_fraction: size of single regions: a tenth of
            them is smaller than the low one, a tenth larger than the high one; 0 without regions.
        decode_s: seconds spent on waiting for frames and decoding them.
        gate_s: seconds spent on motion detection.
        n_backgrounds: different backgrounds stored with the frames.
        n_sent_regions: regions of the selected training frames that a teacher shall look at.
        pixels_captured: pixels inside those regions.
        size_wh: width and height of a frame, pixels.
        is_live: the source was watched as it happened.
        watched_s: how much of the source's time was watched, seconds.
        n_dropped: frames of a live source that were skipped for newer ones.
        began_at, ended_at: ISO 8601 wall time, UTC, of a live source's first and last frame; None for a
            recorded source.
        deadline_hit: the deadline ended the selection.
        n_lost: frames of a recording that could not be decoded; the others keep their indices.
        n_times_repaired: frames of a recording whose stamp did not rise or was missing.
    """

    n_frames: int
    n_looked: int
    n_compared: int
    n_with_motion: int
    reasons: Mapping[str, int]
    n_train: int
    n_test: int
    mean_motion_fraction: float
    mean_region_fraction_with_motion: float
    mean_enclosing_fraction: float
    motion_histogram: tuple[int, ...]
    low_region_fraction: float
    median_region_fraction: float
    high_region_fraction: float
    decode_s: float
    gate_s: float
    n_backgrounds: int
    n_sent_regions: int
    pixels_captured: int
    size_wh: SizeWH
    is_live: bool
    watched_s: float
    n_dropped: int
    began_at: str | None
    ended_at: str | None
    deadline_hit: bool
    n_lost: int = 0
    n_times_repaired: int = 0

    @classmethod
    def of(
        cls,
        statistics: MotionStatistics,
        source: SourceNumbers,
        *,
        reasons: Mapping[str, int] | None = None,
        n_train: int = 0,
        n_test: int = 0,
        n_backgrounds: int = 0,
        n_sent_regions: int = 0,
        pixels_captured: int = 0,
    ) -> CaptureSummary:
        """Combine the counts of the gate, the source and the selection; the attributes describe each.

        Who keeps nothing leaves the rest out.
        """
        return cls(
            n_frames=source.n_frames,
            n_looked=statistics.n_looked,
            n_compared=statistics.n_compared,
            n_with_motion=statistics.n_with_motion,
            reasons=dict(reasons or {}),
            n_train=n_train,
            n_test=n_test,
            mean_motion_fraction=statistics.mean_covered_fraction,
            mean_region_fraction_with_motion=statistics.mean_covered_fraction_with_motion,
            mean_enclosing_fraction=statistics.mean_enclosing_fraction,
            motion_histogram=statistics.covered.chart_counts(),
            low_region_fraction=statistics.regions.quantile(0.1),
            median_region_fraction=statistics.regions.quantile(0.5),
            high_region_fraction=statistics.regions.quantile(0.9),
            decode_s=source.decode_s,
            gate_s=statistics.gate_s,
            n_backgrounds=n_backgrounds,
            n_sent_regions=n_sent_regions,
            pixels_captured=pixels_captured,
            size_wh=source.size_wh,
            is_live=source.is_live,
            watched_s=source.watched_s,
            n_dropped=source.n_dropped,
            began_at=source.began_at.isoformat() if source.began_at else None,
            ended_at=source.ended_at.isoformat() if source.ended_at else None,
            deadline_hit=source.deadline_hit,
            n_lost=source.n_lost,
            n_times_repaired=source.n_times_repaired,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON values."""
        return asdict(self) | {
            "reasons": dict(self.reasons),
            "motion_histogram": list(self.motion_histogram),
            "size_wh": list(self.size_wh),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CaptureSummary:
        """Read what `to_json` wrote.

        Raises:
            DatasetError: a number is missing, or one is there that this version does not know.
        """
        known = {field.name for field in fields(cls)}
        needed = {field.name for field in fields(cls) if field.default is MISSING}  # older datasets lack the others
        different = ", ".join(sorted((needed - set(values)) | (set(values) - known)))
        if different:
            raise DatasetError(
                f"the capture summary of the dataset is not compatible with this version ({different}); capture again "
                "into another folder"
            )
        width, height = values["size_wh"]
        return cls(**{**values, "motion_histogram": tuple(values["motion_histogram"]), "size_wh": (width, height)})
