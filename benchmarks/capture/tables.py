"""Turns the committed results of the capture benchmarks into Markdown tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.capture.curve import MAX_AREA, MIN_RECALL
from benchmarks.capture.soak import growth
from benchmarks.capture.speed import frames_per_s, gate_ms, gate_ratio, speed_ratio
from benchmarks.machine import machine_line
from benchmarks.markdown import table

Results = Mapping[str, Any]

_CONTENDERS = {
    "decode": "decoding alone",
    "gate": "**decoding + gate**, defaults",
    "mog2": "OpenCV: BGR, MOG2 in full size, contours",
    "naive": "naive chain, median every 75 frames",
    "gate moving": "decoding + gate, median every 5 frames",
    "naive moving": "naive chain, median every 5 frames",
}
_MIN_OF_DECODING, _MIN_OVER_NAIVE, _MIN_OVER_NUMPY, _MAX_ADDED_MB = 0.65, 8.0, 15.0, 150.0


def speed_table(results: Results) -> str:
    """Return frames per second of each way to look for motion."""
    rows = [
        [words, f"{frames_per_s(results, name):.1f}", f"{1000 / frames_per_s(results, name):.1f}",
         f"{speed_ratio(results, name, 'decode'):.2f}"]
        for name, words in _CONTENDERS.items()
    ]  # fmt: skip
    return table(["1080p H.264, one core", "frames/s", "ms per frame", "speed beside decoding alone"], rows)


def gate_table(results: Results) -> str:
    """Return our gate beside the steps of Frigate's motion detector, decoding left out."""
    rows = [
        [f"{one['rate_hz']:g}", *(f"{statistics.median(one[name]):.2f}" for name in ("ours_ms", "frigate_ms")),
         f"{gate_ratio(one):.2f}"]
        for one in results.get("gates", [])
    ]  # fmt: skip
    return table(["frames/s of the camera", "our gate, ms per frame", "Frigate's steps, ms", "ratio"], rows)


def median_table(results: Results) -> str:
    """Return the exact median beside numpy's."""
    rows = [
        [str(one["n_pictures"]), "{}x{}".format(*one["size_wh"]), f"{one['ours_ms']:.1f}", f"{one['numpy_ms']:.0f}",
         f"{one['numpy_ms'] / one['ours_ms']:.0f}x", "yes" if one["is_exact"] else "**no**"]
        for one in results["median"]
    ]  # fmt: skip
    return table(["pictures", "size", "ms", "np.median, ms", "faster", "exact"], rows)


def memory_table(results: Results) -> str:
    """Return the memory of a process that decodes the clip and looks for motion."""
    memory = results["memory"]
    rows = [
        ["after the imports", f"{memory['imports_mb']:.0f}"],
        ["at its peak: a process with one camera", f"{memory['peak_mb']:.0f}"],
        ["difference: what a camera adds, decoder included", f"**{memory['added_mb']:.0f}**"],
    ]
    return table(["resident memory of a new process", "MB"], rows)


def target_table(speed: Results, quality: Results, soak: Results) -> str:
    """Return what was aimed at and what was measured."""
    slowest = min(one["numpy_ms"] / one["ours_ms"] for one in speed["median"])
    added_mb, default = speed["memory"]["added_mb"], quality["scores"]["default: default"]
    rows = [
        _aim("decoding + gate beside decoding alone", ">=", _MIN_OF_DECODING, speed_ratio(speed, "gate", "decode"), 2),
        _aim("gate beside the naive chain, median every 75 frames in both", ">=", _MIN_OVER_NAIVE,
             speed_ratio(speed, "gate", "naive"), 1),
        _aim("the same, median every 5 frames in both", ">=", _MIN_OVER_NAIVE,
             speed_ratio(speed, "gate moving", "naive moving"), 1),
        _aim("exact median beside np.median, worst case", ">=", _MIN_OVER_NUMPY, slowest, 0),
        _aim("memory added by one 1080p camera, decoder included, MB", "<", _MAX_ADDED_MB, added_mb, 0),
    ]  # fmt: skip
    for scene in ("highway", "PETS"):
        rows.append(_aim(f"recall, {scene}", ">=", MIN_RECALL, default[scene]["recall_moving"], 3))
        rows.append(_aim(f"pixels sent, {scene}", "<", MAX_AREA, default[scene]["area_fraction"], 3))
    rows.append(["memory grown between the 2nd and the last hour", "none",
                 f"{growth(soak, 'rss_mb'):+.1f} MB, dataset index included", ""])  # fmt: skip
    return table(["", "aim", "measured", "met"], rows)


def summary_table(speed: Results, quality: Results, soak: Results) -> str:
    """Return the few numbers for the README."""
    default = quality["scores"]["default: default"]
    simulated, soak_error_ms = default["simulated"], max(soak["time_error_ms"], soak["wall_error_ms"])
    scenes = ", ".join(
        f"{name} {default[name]['recall_moving']:.3f} with {default[name]['area_fraction']:.0%}"
        for name in ("highway", "PETS")
    )
    rows = [
        ["decoding 1080p H.264 and looking for motion, one core",
         f"{frames_per_s(speed, 'gate'):.0f} frames/s, {speed_ratio(speed, 'gate', 'decode'):.0%} of decoding alone"],
        ["the gate itself, per 1080p frame", f"{gate_ms(speed):.1f} ms"],
        ["beside MOG2 in full size", f"{speed_ratio(speed, 'gate', 'mog2'):.1f}x as fast, decoding included"],
        ["memory that a 1080p camera adds, decoder included", f"{speed['memory']['added_mb']:.0f} MB"],
        ["moving objects seen, with so many of the pixels sent", scenes],
        ["empty frames skipped: noise, shadows, trees in the wind", f"{simulated['empty_skipped']:.0%}"],
        [f"{soak['hours']:g} simulated hours, {soak['n_frames']:,} frames",
         f"memory {growth(soak, 'rss_mb'):+.1f} MB since the 2nd hour, stamps off by {soak_error_ms:.3f} ms"],
    ]  # fmt: skip
    return table(["capture", "measured"], rows)


def method_table(results: Results) -> str:
    """Return all background methods side by side."""
    return _quality_table(results, "method", "background")


def ablation_table(results: Results) -> str:
    """Return the default, the sensitivities, and what each part of the gate is good for."""
    default = {"default": results["scores"]["default: default"]}
    groups = (default, _group(results, "sensitivity"), _group(results, "ablation"))
    rows = [_quality_row(name, scenes) for group in groups for name, scenes in group.items()]
    return table(_quality_head(results, "settings"), rows)


def threshold_table(results: Results) -> str:
    """Return the points of the curve."""
    return _quality_table(results, "threshold", "threshold")


def soak_table(results: Results) -> str:
    """Return the samples of some hours, and the stamps."""
    picked = [results["samples"][hour - 1] for hour in (1, 2, 6, 12, 18, 24)]
    rows = [
        [str(one["hour"]), f"{one['rss_mb']:.1f}", f"{one['blocks']:,}", str(one["open_files"]), str(one["threads"])]
        for one in picked
    ]
    hours = table(["hour", "resident memory, MB", "Python objects, blocks", "open files", "threads"], rows)
    return (
        f"{hours}\n\n{results['n_frames']:,} frames in {results['hours']:g} simulated hours, {results['n_dropped']} "
        f"dropped, {results['n_train']} selected, {results['n_test']} kept for the evaluation. Stamps of the last "
        f"frame, at {results['last_s']:.3f} s: off by {results['time_error_ms']:.6f} ms (`time_s`) and "
        f"{results['wall_error_ms']:.6f} ms (`captured_at`). The run took {results['seconds'] / 60:.0f} minutes."
    )


def machine_note(results: Results) -> str:
    """Return on what it was measured."""
    return f"Measured on: {machine_line(results['machine'])}."


def _aim(what: str, sign: str, limit: float, value: float, digits: int) -> list[str]:
    """Return a row; the value is rounded to the side that is worse."""
    is_met = value >= limit if sign == ">=" else value < limit
    worse = math.floor if sign == ">=" else math.ceil
    return [
        what,
        f"{sign} {limit:g}",
        f"{worse(value * 10**digits) / 10**digits:.{digits}f}",
        "yes" if is_met else "**no**",
    ]


def _quality_table(results: Results, group: str, title: str) -> str:
    rows = [_quality_row(name, scenes) for name, scenes in _group(results, group).items()]
    return table(_quality_head(results, title), rows)


def _group(results: Results, group: str) -> dict[str, Results]:
    return {
        key.removeprefix(f"{group}: "): scenes
        for key, scenes in results["scores"].items()
        if key.startswith(f"{group}: ")
    }


def _quality_head(results: Results, title: str) -> list[str]:
    scenes = list(next(iter(results["scores"].values())))
    return [title, *(f"{scene}: recall / sent" for scene in scenes), "empty skipped, simulated", "ms per frame"]


def _quality_row(name: str, scenes: Results) -> list[str]:
    shares = [f"{one['recall_moving']:.3f} / {one['area_fraction']:.1%}" for one in scenes.values()]
    times = ", ".join(f"{one['gate_ms']:.1f}" for one in scenes.values())
    return [name, *shares, f"{scenes['simulated']['empty_skipped']:.0%}", times]
