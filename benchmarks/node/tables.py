"""The results of the node benchmarks as Markdown; what has not been measured says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.machine import machine_line
from benchmarks.markdown import table

Results = Mapping[str, Any]

NOT_MEASURED = "not measured"

_MB = 1e6
_HOUR_S = 3600.0
_WAYS = {
    "defaults": "**node, defaults** (PNG, full resolution)",
    "jpg": "node, `picture_format: jpg`",
    "jpg, input size": "node, `picture_format: jpg`, `send: input size`",
}


def uplink_table(results: Results) -> str:
    """Return megabytes per hour of each camera: plain ways, and the node's while it collects and on average."""
    head = [
        "camera", "what is sent", "frames counted", "MB counted", "MB per hour while collecting", "beside every frame",
        "MB per hour, pauses included",
    ]  # fmt: skip
    uplink = results.get("uplink")
    if uplink is None:
        return table(head, [[NOT_MEASURED, *[""] * (len(head) - 1)]])
    rows = [
        [of_clip["clip"] if number == 0 else "", *row]
        for of_clip in uplink["rows"]
        for number, row in enumerate(_uplink_rows(of_clip, uplink["batch"]))
    ]
    return table(head, rows)


def uplink_note(results: Results) -> str:
    """Return what the numbers are extrapolated from, in one paragraph."""
    uplink = results.get("uplink")
    if uplink is None:
        return NOT_MEASURED.capitalize() + "."
    seconds = ", ".join(f"{row['clip']} {row['plain']['video_s']:.1f} s" for row in uplink["rows"])
    batch = uplink["batch"]
    return (
        f"Video used: {seconds}. Every frame, and frames with motion: the bytes counted, times 3,600 s over the length "
        f"of the clip. Node: the bytes counted for one batch, times the frames of a full batch ({batch['max_frames']} "
        f"for training, {batch['max_test_images']} for the evaluation) over the frames counted; that over the "
        f"{batch['max_age_s'] / _HOUR_S:g} hours that a batch takes, and over these and the pause of "
        f"{batch['pause_s'] / _HOUR_S:g} hours after it. JPEG quality {uplink['jpeg_quality']} everywhere."
    )


def start_table(results: Results) -> str:
    """Return how long a node takes to its first detection, beside the imports and the camera alone."""
    head = ["with a finished bundle", "seconds, median", "range", "beyond imports and camera"]
    start = results.get("start")
    if start is None:
        return table(head, [[NOT_MEASURED, *[""] * (len(head) - 1)]])
    seconds, only = start["seconds"], median(start["seconds"]["imports and camera"])
    rows = [
        [way, f"{median(times):.2f}", f"{min(times):.2f} to {max(times):.2f}", f"{median(times) - only:+.2f}"]
        for way, times in seconds.items()
    ]
    rows[0][-1] = ""
    return table(head, rows)


def start_note(results: Results) -> str:
    """Return where and how often the start was measured."""
    start = results.get("start")
    if start is None:
        return NOT_MEASURED.capitalize() + "."
    return f"{start['n_rounds']} rounds in turns. {machine_line(start['machine'])}"


def rate_table(results: Results) -> str:
    """Return what tuning takes from the detection, by pace, stage and priority."""
    head = [
        "recording", "beside it", "priority", "frames/s", "beside no tuning", "p50, ms", "p99, ms", "dropped",
        "cores of the tuning", "cores of others",
    ]  # fmt: skip
    rate = results.get("rate")
    if rate is None:
        return table(head, [[NOT_MEASURED, *[""] * (len(head) - 1)]])
    return table(head, [row for stage, found in rate["rounds"].items() for row in _rate_rows(stage, found)])


def rate_note(results: Results) -> str:
    """Return how the rate was measured, in one sentence."""
    rate = results.get("rate")
    if rate is None:
        return NOT_MEASURED.capitalize() + "."
    return (
        f"{rate['window_s']:g} s each, in turns; tuning may use {rate['max_cpu_percent']:g} % of all cores. "
        f"Load of the machine before: {rate['load_before']:.1f}. Measured on: {machine_line(rate['machine'])}."
    )


def kept_rate(results: Results, *, pace: str, tuning: str) -> float | None:
    """Return the worst share of its rate that the detection keeps beside tuning; None if it was not measured."""
    rate = results.get("rate")
    if rate is None:
        return None
    shares = [
        one["frames_per_s"] / _alone(found, pace)["frames_per_s"]
        for found in rate["rounds"].values()
        for one in found
        if (one["pace"], one["tuning"]) == (pace, tuning)
    ]
    return min(shares, default=None)


def _uplink_rows(of_clip: Results, batch: Results) -> Iterator[list[str]]:
    plain = of_clip["plain"]
    every = plain["frame_bytes"] / plain["video_s"] * _HOUR_S
    for what, n_frames, n_bytes in (
        ("every frame as JPEG", plain["n_frames"], plain["frame_bytes"]),
        ("frames with motion as JPEG", plain["n_moving"], plain["moving_bytes"]),
    ):
        hourly = n_bytes / plain["video_s"] * _HOUR_S
        yield _uplink_row(what, n_frames, n_bytes, collecting=hourly, average=hourly, every=every)
    n_full = batch["max_frames"] + batch["max_test_images"]
    for way, sent in of_clip["sent"].items():
        n_frames = sent["n_train"] + sent["n_test"]
        full = sent["up_bytes"] / n_frames * n_full
        collecting = full / batch["max_age_s"] * _HOUR_S
        average = full / (batch["max_age_s"] + batch["pause_s"]) * _HOUR_S
        yield _uplink_row(_WAYS[way], n_frames, sent["up_bytes"], collecting=collecting, average=average, every=every)


def _uplink_row(
    what: str, n_frames: int, n_bytes: int, *, collecting: float, average: float, every: float
) -> list[str]:
    share = "" if collecting == every else _share(collecting, every)
    return [what, f"{n_frames:,}", _megabytes(n_bytes), _megabytes(collecting), share, _megabytes(average)]


def _rate_rows(stage: str, found: Sequence[Results]) -> Iterator[list[str]]:
    for one in found:
        share = one["frames_per_s"] / _alone(found, one["pace"])["frames_per_s"]
        yield [
            one["pace"],
            stage if one["tuning"] else "nothing",
            one["tuning"] or "",
            f"{one['frames_per_s']:.1f}",
            f"{share:.2f}" if one["tuning"] else "",
            _milliseconds(one["p50_ms"]),
            _milliseconds(one["p99_ms"]),
            str(one["n_dropped"]),
            f"{one['tuning_cores']:.2f}" if one["tuning"] else "",
            f"{one['other_cores']:.2f}",
        ]


def _alone(found: Sequence[Results], pace: str) -> Results:
    return next(one for one in found if one["pace"] == pace and one["tuning"] is None)


def _megabytes(n_bytes: float) -> str:
    megabytes = n_bytes / _MB
    return f"{megabytes:,.0f}" if megabytes >= 10 else f"{megabytes:.1f}"


def _share(part: float, whole: float) -> str:
    percent = part / whole * 100
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
