"""From the numbers of a capture to what the report says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_autotuner.capture import CaptureSummary, SourceNumbers
from edge_autotuner.capture.statistics import MotionStatistics
from edge_autotuner.errors import DatasetError
from edge_autotuner.pipeline.capture_facts import motion_facts, pixels_of_frames, read_capture, sent_facts
from edge_autotuner.pipeline.run_folder import RunFolder, StageRecord

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
CAPTURE = replace(
    CaptureSummary.of(
        MotionStatistics(), SourceNumbers(n_frames=100, size_wh=(80, 60), watched_s=9.9, decode_s=0.3),
        reasons={"selected": 4}, n_train=4, n_test=10, n_backgrounds=1, n_sent_regions=6,
        pixels_captured=9_000,
    ),
    gate_s=0.2,
    n_looked=80, n_compared=70, n_with_motion=30, mean_motion_fraction=0.03, mean_region_fraction_with_motion=0.07,
    mean_enclosing_fraction=0.2, low_region_fraction=0.01, median_region_fraction=0.02, high_region_fraction=0.05,
)  # fmt: skip


def record(**summary: object) -> StageRecord:
    return StageRecord("f", 1.0, NOON.isoformat(), summary)


def test_what_the_gate_saw() -> None:
    facts = motion_facts(CAPTURE)
    assert (facts.n_frames, facts.n_compared, facts.n_with_motion) == (100, 70, 30)
    assert (facts.covered_fraction, facts.covered_fraction_with_motion, facts.enclosing_fraction) == (0.03, 0.07, 0.2)
    assert facts.region_fractions == (0.01, 0.02, 0.05)
    assert len(facts.histogram_edges) == len(facts.histogram) + 1
    assert facts.decode_ms == pytest.approx(3.0), "per frame of the source"
    assert facts.gate_ms == pytest.approx(2.5), "per frame that the gate saw"
    assert (facts.is_live, facts.began_at, facts.watched_s) == (False, None, 9.9)


def test_a_live_camera() -> None:
    live = replace(CAPTURE, is_live=True, n_dropped=5, began_at=NOON.isoformat(), ended_at=NOON.isoformat())
    facts = motion_facts(live)
    assert (facts.is_live, facts.n_dropped, facts.began_at, facts.ended_at) == (True, 5, NOON, NOON)
    assert facts.decode_ms is None, "the time until a live frame comes is not the decoder's"


def test_a_gate_that_saw_nothing_has_no_speed() -> None:
    facts = motion_facts(replace(CAPTURE, n_frames=0, n_looked=0))
    assert (facts.gate_ms, facts.decode_ms) == (None, None)


def test_what_is_sent_before_and_after_the_annotation() -> None:
    before = sent_facts(CAPTURE, None)
    assert (before.n_regions, before.pixels_in_regions, before.pixels_of_frames) == (6, 9_000, 480_000)
    assert (before.pixels_shown, before.input_wh) == (None, None)
    after = sent_facts(CAPTURE, record(n_pixels=77, input_size_wh=[416, 320]))
    assert (after.pixels_shown, after.input_wh) == (77, (416, 320))


def test_a_record_of_an_older_annotation_has_no_input_size() -> None:
    assert sent_facts(CAPTURE, record(n_pixels=77)).input_wh is None


def test_pixels_of_all_frames() -> None:
    assert pixels_of_frames(CAPTURE) == 100 * 80 * 60


def test_a_capture_is_read_from_the_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.finish("capture", record(**CAPTURE.to_json(), source="cam.mp4", n_source_pixels=3))
    assert read_capture(folder, before="report") == CAPTURE


def test_a_capture_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.finish("capture", record(n_frames=3, source="cam.mp4"))
    with pytest.raises(DatasetError, match=r"is not compatible with this version \(.*n_looked.*\); capture again"):
        read_capture(folder, before="report")


def test_no_capture_no_numbers(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no finished capture, which report needs"):
        read_capture(RunFolder(tmp_path), before="report")
