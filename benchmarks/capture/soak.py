"""A day of 24 hours through the real code, in simulated time: does anything grow, does any stamp drift?

Live source with its thread, gate, selection, and dataset are those of `edge-autotuner run` on a camera; only the
camera (`DayFeed`) and the clock are simulated. 25 pictures per second, 320x180.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.capture.day_feed import HOURS, RATE_HZ, SIZE_WH, DayFeed
from benchmarks.machine import describe_machine, one_core
from edge_autotuner.capture import CaptureSummary, EventLog, LiveProgress, collect_live, plan_end_s
from edge_autotuner.capture.live import LiveSource
from edge_autotuner.config import CaptureConfig, MotionConfig, StreamConfig
from edge_autotuner.core import STREET_6, Deadline, FakeClock, NoProgress, Progress
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.storage import atomic_write_json

_WORKING_WIDTH_PX = 160  # the gate shrinks the pictures to a quarter: what may grow is the same, the run is shorter

RESULTS = Path(__file__).parent.parent / "results" / "capture_soak.json"


def run_soak(*, hours: float, progress: Progress) -> dict[str, Any]:
    """Watch the simulated day and return what was found; a whole day is stored.

    Args:
        hours: simulated time; the day with its light, its empty hours and lost connections is squeezed into it.
        progress: told of the simulated seconds.
    """
    with one_core(), tempfile.TemporaryDirectory(prefix="soak-") as folder:
        results = {"machine": describe_machine(), **soak(Path(folder), hours=hours, progress=progress)}
    if hours == HOURS:
        RESULTS.parent.mkdir(exist_ok=True)
        atomic_write_json(RESULTS, results, indent=2)
    return results


def soak(folder: Path, *, hours: float, progress: Progress | None = None) -> dict[str, Any]:
    """Watch the simulated day into a dataset in `folder` and return what was found."""
    clock = FakeClock()
    feed = DayFeed(clock, hour_s=hours * 3600 / HOURS)
    events = EventLog()
    config = CaptureConfig(
        stream=StreamConfig(duration_s=hours * 3600), motion=MotionConfig(working_width_px=_WORKING_WIDTH_PX)
    )
    started_s = time.perf_counter()
    end_s = plan_end_s(config, LiveProgress(), Deadline(None, clock))
    source = LiveSource(feed, config.stream, clock=clock, on_event=events.add, lossless=True, end_time_s=end_s)
    with DatasetStore.create(folder, source=source.info, labels=STREET_6, settings={}, clock=clock) as store:
        summary = collect_live(
            source, store, config, events=events, end_s=end_s, clock=clock, progress=progress or NoProgress()
        )
        stored_events = [event.kind for event in store.events()]
    return {
        "hours": hours,
        "rate_hz": RATE_HZ,
        "size_wh": list(SIZE_WH),
        "seconds": time.perf_counter() - started_s,
        "samples": [sample.to_json() for sample in feed.samples],
        **_account(summary, feed, clock.started_at),
        "events": {kind: stored_events.count(kind) for kind in sorted(set(stored_events))},
        "dataset_mb": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6,
    }


def growth(results: Mapping[str, Any], what: str) -> float:
    """Return how much more of `what` there was after the last hour than after the second."""
    samples = results["samples"]
    return float(samples[-1][what] - samples[1][what])


def _account(summary: CaptureSummary, feed: DayFeed, started_at: datetime) -> dict[str, Any]:
    """Return the counts, and how far the stamps of the last frame are from where they must be."""
    expected_s = feed.time_of(summary.n_frames - 1)
    assert summary.ended_at is not None, "live frames are stamped"
    wall_error = datetime.fromisoformat(summary.ended_at) - started_at - timedelta(seconds=expected_s)
    return {
        "n_frames": summary.n_frames,
        "n_dropped": summary.n_dropped,
        "n_train": summary.n_train,
        "n_test": summary.n_test,
        "reasons": dict(summary.reasons),
        "last_s": summary.watched_s,
        "time_error_ms": abs(summary.watched_s - expected_s) * 1000,
        "wall_error_ms": abs(wall_error.total_seconds()) * 1000,
    }
