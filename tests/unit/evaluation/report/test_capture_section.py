"""What the page says of the capture: shares, reasons, compression, events, and live cameras."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edge_autotuner.core import CaptureEvent, SourceInfo
from edge_autotuner.evaluation.report import MotionFacts, ReportData, SentFacts, TimelineFrame, motion_rows
from edge_autotuner.evaluation.report import capture_section as section
from edge_autotuner.evaluation.report.sections import facts
from support.runs.report_sample import sample_live_motion, sample_motion

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


def tile_of(data: ReportData, name: str) -> tuple[str, str]:
    return next((tile.value, tile.note) for tile in section.highlights(data) if tile.name == name)


def test_a_page_without_a_capture_has_no_section() -> None:
    assert section.section(ReportData("x")) is None


def test_frames_skipped() -> None:
    counts = {"no motion": 6, "selected": 2, "empty": 1, "nothing new": 1}
    assert tile_of(ReportData("x", selection_counts=counts), "Frames skipped") == (
        "70%",
        "3 of 10 are worth a teacher's look",
    )
    shown = section.selection(ReportData("x", selection_counts=counts))
    assert shown is not None
    assert [(row["reason"], row["n"], row["percent"], row["css"]) for row in shown["counts"]] == [
        ("selected", "2", "20%", "train"),
        ("empty", "1", "10%", "train"),
        ("no motion", "6", "60%", ""),
        ("nothing new", "1", "10%", ""),
    ]
    assert all(row["meaning"] for row in shown["counts"])


def test_a_reason_that_is_not_known_is_shown_as_it_is() -> None:
    shown = section.selection(ReportData("x", selection_counts={"bored": 1}))
    assert shown is not None
    assert [(row["reason"], row["meaning"]) for row in shown["counts"]] == [("bored", "")]


def test_the_timeline_counts_what_was_kept() -> None:
    timeline = tuple(TimelineFrame(float(i), kind) for i, kind in enumerate(("train", "skipped", "test", "train")))
    shown = section.selection(ReportData("x", timeline=timeline))
    assert shown is not None
    assert shown["key"] == [("train", "for training: 2"), ("test", "kept for the test: 1"), ("skipped", "skipped")]


def test_share_of_the_frame_covered() -> None:
    data = ReportData("x", motion=sample_motion())
    value, note = tile_of(data, "Frame covered by motion")
    assert value == "28%"
    assert note.endswith("its regions cover 6.8%")
    shown = section.motion(data)
    assert shown is not None
    assert shown["chart"].count("<rect") == sum(count > 0 for count in sample_motion().histogram)
    rows = dict(shown["rows"])
    assert rows["One box around all changes, mean"] == "28% of the frame"
    assert rows["Motion regions together, mean"] == "6.8% of the frame"
    assert rows["Same, including frames without motion"] == "4.6% of the frame"
    assert rows["Half of the regions are smaller than"] == "1.9% of the frame"
    assert rows["Eight of ten lie between"] == "1.1% and 5.2%"
    assert rows["Time per frame"] == "gate 1.9 ms, decoding 2.3 ms"


def test_frames_without_motion_are_a_share_of_those_compared() -> None:
    rows = dict(motion_rows(MotionFacts((80, 60), n_frames=12, n_compared=10, n_with_motion=4)))
    assert rows["Frames compared with the background"] == "10 of 12"
    assert rows["Frames without motion"] == "6 (60%)"


def test_a_gate_that_never_knew_the_background() -> None:
    data = ReportData("x", motion=MotionFacts((80, 60), n_frames=12, n_compared=0, n_with_motion=0))
    shown = section.motion(data)
    assert shown is not None
    assert "no motion yet" in shown["chart"]
    assert shown["rows"] == [("Frames compared with the background", "0 of 12")]
    assert section.highlights(data) == []


@pytest.mark.parametrize(
    ("size_wh", "side", "kept"),
    [
        ((1920, 1080), 768, "1 of 3.5 pixels"),
        ((3840, 2160), 768, "1 of 14 pixels"),
        ((1920, 1080), 300, "1 of 23 pixels"),
        ((3840, 2160), 300, "1 of 92 pixels"),
        ((320, 240), 768, "every pixel"),
    ],
)
def test_compression_of_the_paper(size_wh: tuple[int, int], side: int, kept: str) -> None:
    """Rivas et al. 2021, section 3.2: 3.5 and 14 times for 768 pixels, 23 and 92 times for 300."""
    data = ReportData(
        "x", motion=replace(sample_motion(), size_wh=size_wh), sent=SentFacts(1, 1000, 10**6, 2000, (side, side))
    )
    shown = section.sent(data)
    assert shown is not None
    rows = dict(shown["kept"])
    assert rows[f"A whole frame of {size_wh[0]}\N{MULTIPLICATION SIGN}{size_wh[1]}"] == kept


def test_what_regions_keep() -> None:
    motion = replace(sample_motion(), size_wh=(1000, 1000), enclosing_fraction=0.4, region_fractions=(0.01, 0.02, 0.05))
    shown = section.sent(ReportData("x", motion=motion, sent=SentFacts(5, 1000, 10**6, 2000, (200, 100))))
    assert shown is not None
    rows = dict(shown["kept"])
    assert rows["One box around all changes, mean"] == "1 of 20 pixels"
    assert rows["A region of median size"] == "every pixel"
    assert rows["The teacher's input"] == "200\N{MULTIPLICATION SIGN}100"


def test_what_is_sent() -> None:
    data = ReportData("x", sent=SentFacts(40, 5_000_000, 100_000_000, 250_000_000))
    assert tile_of(data, "Pixels worth sending")[0] == "1 of 20"
    shown = section.sent(data)
    assert shown is not None
    assert shown["amounts"] == [
        ("Pixels of all frames", "100.0 Mpx"),
        ("In 40 regions of selected frames", "5.0 Mpx, 1 of 20"),
        ("Shown to the teacher, test frames included", "250.0 Mpx, 2.5 times as many"),
    ]
    assert shown["kept"] == []


def test_nothing_sent() -> None:
    assert section.sent(ReportData("x", sent=SentFacts(0, 0, 0))) is None
    assert section.highlights(ReportData("x", sent=SentFacts(0, 0, 100))) == []


def test_a_live_camera() -> None:
    source = SourceInfo("live", "rtsp://camera/1", (768, 576), None, 25.0, "0" * 64)
    data = ReportData("x", source=source, motion=sample_live_motion())
    assert ("Source", "live, watched for 1 h 0 min, 768\N{MULTIPLICATION SIGN}576") in facts(data)
    assert tile_of(data, "Watched") == ("1 h 0 min", "frames dropped: 588 of 90,000 (0.7%)")
    rows = dict(motion_rows(sample_live_motion()))
    assert rows["From"] == "2026-01-02 02:03:04 UTC"
    assert rows["To"] == "2026-01-02 03:03:04 UTC"
    assert rows["Frames dropped"] == "588 of 90,000 (0.7%)"
    assert rows["Time per frame"] == "gate 1.9 ms"


def test_a_live_camera_before_its_first_frame() -> None:
    nothing = MotionFacts((80, 60), 0, 0, 0, is_live=True)
    assert motion_rows(nothing)[1:] == [("Watched", "0.0 s"), ("Frames dropped", "none")]
    source = SourceInfo("live", "webcam", (80, 60), None, 25.0, "0" * 64)
    assert ("Source", "live, 80\N{MULTIPLICATION SIGN}60") in facts(ReportData("x", source=source))


def lost(number: int, *, live: bool = False) -> CaptureEvent:
    moment = NOON + timedelta(seconds=number) if live else None
    return CaptureEvent("connection lost", float(number), moment, f"detail {number}")


@pytest.mark.parametrize(("n", "n_shown", "rest"), [(1, 1, ""), (20, 20, ""), (21, 20, "and 1 more"), (999, 20, "979")])
def test_the_first_events_are_listed(n: int, n_shown: int, rest: str) -> None:
    shown = section.events(ReportData("x", events=tuple(lost(i) for i in range(n))))
    assert shown is not None
    assert len(shown["rows"]) == n_shown
    assert shown["rows"][0] == ("0:00", "connection lost", "detail 0")
    assert (rest in shown["rest"]) if rest else shown["rest"] == ""


def test_events_of_a_live_camera_have_wall_times_and_are_counted_by_kind() -> None:
    events = (lost(3, live=True), CaptureEvent("scene changed", 5.0, NOON, "light"), lost(6, live=True))
    shown = section.events(ReportData("x", events=events))
    assert shown is not None
    assert shown["rows"][0][0] == "2026-01-02 12:00:03 UTC"
    assert shown["text"] == "2 \N{MULTIPLICATION SIGN} connection lost, 1 \N{MULTIPLICATION SIGN} scene changed"
