"""Tables and drawing of the capture benchmarks, from results made by hand."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from benchmarks.capture import tables
from benchmarks.capture.curve import gate_curve

MACHINE = {"cpu": "Fast 9000", "cores": 4, "python": "3.11.2", "opencv": "5.0", "pyav": "18.1"}
SPEED = {
    "machine": MACHINE,
    "clip": {"n_frames": 100},
    "seconds": {
        "decode": [1.0], "gate": [1.6], "mog2": [8.0], "naive": [4.0], "gate moving": [2.0], "naive moving": [18.0],
    },
    "median": [
        {"n_pictures": 15, "size_wh": [480, 270], "is_exact": True, "ours_ms": 0.5, "numpy_ms": 20.0},
        {"n_pictures": 30, "size_wh": [480, 270], "is_exact": False, "ours_ms": 2.0, "numpy_ms": 50.0},
    ],
    "memory": {"imports_mb": 80.2, "peak_mb": 120.4, "added_mb": 40.2},
}  # fmt: skip


def _score(recall: float, area: float, skipped: float | None = None) -> dict[str, Any]:
    return {"recall_moving": recall, "area_fraction": area, "empty_skipped": skipped, "gate_ms": 1.25}


def _scenes(recall: float, area: float) -> dict[str, Any]:
    return {
        "highway": _score(recall, area), "PETS": _score(recall, area / 2), "simulated": _score(recall, area, 0.75),
    }  # fmt: skip


QUALITY = {
    "machine": MACHINE,
    "scores": {
        "default: default": _scenes(0.9899, 0.2001),
        "method: first": _scenes(0.95, 0.3),
        "sensitivity: low": _scenes(0.9, 0.1),
        "sensitivity: medium": _scenes(0.9899, 0.2001),
        "sensitivity: high": _scenes(1.0, 0.4),
        "threshold: 8": _scenes(1.0, 0.5),
        "threshold: 64": _scenes(0.7, 0.05),
        "ablation: noise not considered": _scenes(0.99, 0.25),
    },
}
SOAK = {
    "samples": [
        {"hour": hour, "rss_mb": 100.0 + hour, "blocks": 1000, "open_files": 7, "threads": 2} for hour in range(1, 25)
    ],
    "hours": 24, "n_frames": 2160000, "n_dropped": 0, "n_train": 1000, "n_test": 200, "last_s": 86399.96,
    "time_error_ms": 0.0, "wall_error_ms": 0.0005, "seconds": 1200.0,
}  # fmt: skip


def _rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_speed_beside_decoding_alone() -> None:
    rows = {row[0]: row[1:] for row in _rows(tables.speed_table(SPEED))[2:]}
    assert rows["**decoding + gate**, defaults"] == ["62.5", "16.0", "0.62"]
    assert rows["naive chain, median every 75 frames"] == ["25.0", "40.0", "0.25"]
    assert len(rows) == len(SPEED["seconds"])


def test_an_inexact_median_is_shown() -> None:
    rows = _rows(tables.median_table(SPEED))
    assert rows[2] == ["15", "480x270", "0.5", "20", "40x", "yes"]
    assert rows[3][-2:] == ["25x", "**no**"]


def test_memory() -> None:
    assert [row[1] for row in _rows(tables.memory_table(SPEED))[2:]] == ["80", "120", "**40**"]


def test_what_was_missed_is_shown_and_rounded_to_the_worse_side() -> None:
    rows = {row[0]: row[1:] for row in _rows(tables.target_table(SPEED, QUALITY, SOAK))[2:]}
    assert rows["decoding + gate beside decoding alone"] == [">= 0.65", "0.62", "**no**"]
    assert rows["gate beside the naive chain, median every 75 frames in both"] == [">= 8", "2.5", "**no**"]
    assert rows["the same, median every 5 frames in both"] == [">= 8", "9.0", "yes"]
    assert rows["exact median beside np.median, worst case"] == [">= 15", "25", "yes"]
    assert rows["recall, highway"] == [">= 0.98", "0.989", "yes"]
    assert rows["pixels sent, highway"] == ["< 0.25", "0.201", "yes"]
    assert rows["memory grown between the 2nd and the last hour"][1].startswith("+22.0 MB")


def test_methods_settings_and_thresholds() -> None:
    assert _rows(tables.method_table(QUALITY))[2:] == [
        ["first", "0.950 / 30.0%", "0.950 / 15.0%", "0.950 / 30.0%", "75%", "1.2, 1.2, 1.2"]
    ]
    assert [row[0] for row in _rows(tables.ablation_table(QUALITY))[2:]] == [
        "default", "low", "medium", "high", "noise not considered",
    ]  # fmt: skip
    assert [row[0] for row in _rows(tables.threshold_table(QUALITY))[2:]] == ["8", "64"]


def test_soak() -> None:
    text = tables.soak_table(SOAK)
    assert [row[0] for row in _rows(text.split("\n\n")[0])[2:]] == ["1", "2", "6", "12", "18", "24"]
    assert "2,160,000 frames in 24 simulated hours, 0 dropped" in text
    assert "off by 0.000000 ms (`time_s`) and 0.000500 ms" in text


def test_summary_for_the_readme() -> None:
    rows = [row[1] for row in _rows(tables.summary_table(SPEED, QUALITY, SOAK))[2:]]
    assert rows == [
        "62 frames/s, 62% of decoding alone",
        "6.0 ms",
        "5.0x as fast, decoding included",
        "40 MB",
        "highway 0.990 with 20%, PETS 0.990 with 10%",
        "75%",
        "memory +22.0 MB since the 2nd hour, stamps off by 0.001 ms",
    ]


@pytest.mark.parametrize(
    "table",
    [tables.speed_table(SPEED), tables.method_table(QUALITY), tables.target_table(SPEED, QUALITY, SOAK)],
    ids=["speed", "methods", "targets"],
)
def test_tables_are_rectangles(table: str) -> None:
    assert len({line.count("|") for line in table.splitlines()}) == 1


def test_the_curve_has_a_panel_per_scene_and_all_points() -> None:
    root = ET.fromstring(gate_curve(QUALITY))
    svg = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{svg}g")) == 3
    circles = root.findall(f".//{svg}circle")
    assert [one.get("class") for one in circles].count("dot") == 3 * 2
    assert [one.get("class") for one in circles].count("preset") == 3 * 3
    panel = root.findall(f"{svg}g")[0]
    low, medium, high = (one for one in panel.findall(f"{svg}circle") if one.get("class") == "preset")
    assert float(low.get("cx", "")) < float(medium.get("cx", "")) < float(high.get("cx", ""))
    assert float(low.get("cy", "")) > float(medium.get("cy", "")) > float(high.get("cy", ""))
