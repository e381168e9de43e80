"""The table of the ways to look."""

from __future__ import annotations

from benchmarks.regions.campaign import REFERENCE, REGIONS, regions_table


def test_gains_and_times_are_relative_to_the_full_frame() -> None:
    row = {"clip": "roof", "recall": 0.5, "n_frames": 9}
    measured = [
        {**row, "way": REFERENCE, "ap50": 0.2, "ap": 0.1, "ms": 10.0},
        {**row, "way": REGIONS[416], "ap50": 0.5, "ap": 0.3, "ms": 11.0},
    ]
    machine = {"cpu": "x", "cores": 1, "architecture": "x", "python": "3", "numpy": "2", "opencv": "5", "pyav": "1"}
    lines = regions_table({"nano": {"machine": machine, "measured": measured}}).splitlines()
    assert lines[3] == "| roof | nano | regions at 416 | 0.500 / 0.300 | 0.500 | 11.0 | 1.10x | 2.50x |"


def test_without_results_it_says_so() -> None:
    assert regions_table({}) == "Not measured yet."
