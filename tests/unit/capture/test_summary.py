"""The numbers of a capture as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from edge_autotuner.capture import CaptureSummary, MotionResult, SourceNumbers
from edge_autotuner.capture.statistics import MotionStatistics
from edge_autotuner.errors import DatasetError

BEGAN_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def summary_of(**counts: Any) -> CaptureSummary:
    statistics = MotionStatistics()
    small = np.zeros((6, 8), np.uint8)
    regions = np.array([[0, 0, 20, 10], [60, 50, 80, 60]], np.float32)
    statistics.add(MotionResult(np.zeros((0, 4), np.float32), 0.0, small > 0, small, None), (80, 60))
    statistics.add(MotionResult(regions, 400 / 4800, small > 0, small, small, gate_s=0.5), (80, 60))
    read: dict[str, Any] = {"n_frames": 3, "decode_s": 1.5, "size_wh": (80, 60), "watched_s": 0.2}
    return CaptureSummary.of(
        statistics, SourceNumbers(**(read | counts)),
        reasons={"selected": 1, "background unknown": 1}, n_train=1, n_test=1, n_backgrounds=1,
        n_sent_regions=2, pixels_captured=400,
    )  # fmt: skip


LIVE = {"is_live": True, "n_dropped": 7, "began_at": BEGAN_AT, "ended_at": BEGAN_AT}


def test_what_the_gate_saw_is_part_of_it() -> None:
    summary = summary_of()
    assert (summary.n_frames, summary.n_looked, summary.n_compared, summary.n_with_motion) == (3, 2, 1, 1)
    assert summary.mean_motion_fraction == summary.mean_region_fraction_with_motion == pytest.approx(400 / 4800)
    assert summary.mean_enclosing_fraction == 1
    assert summary.low_region_fraction <= summary.median_region_fraction <= summary.high_region_fraction
    assert summary.median_region_fraction == pytest.approx(200 / 4800, rel=0.075)
    assert sum(summary.motion_histogram) == 1
    assert (summary.is_live, summary.n_dropped, summary.began_at, summary.ended_at) == (False, 0, None, None)


@pytest.mark.parametrize("counts", [{}, LIVE], ids=["recorded", "live"])
def test_round_trip_through_json(counts: dict[str, Any]) -> None:
    summary = summary_of(**counts)
    assert CaptureSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary


def test_moments_are_written_as_text() -> None:
    assert summary_of(**LIVE).began_at == "2026-01-02T03:04:05+00:00"


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_other_fields_are_refused(change: str) -> None:
    values = summary_of().to_json()
    if change == "missing":
        del values["n_train"]
    else:
        values["n_other"] = 1
    with pytest.raises(DatasetError, match="n_train" if change == "missing" else "n_other"):
        CaptureSummary.from_json(values)
