"""Tables of the simulated world's benchmark."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.result_file import read_results
from benchmarks.simulation import accuracy, campaign
from benchmarks.simulation.speed import FEATURES, run_week
from edge_autotuner.simulation.world import SimulatedWorld


@pytest.mark.parametrize("part", campaign.TABLES)
def test_a_part_that_is_missing_is_said(part: str) -> None:
    assert campaign.TABLES[part]({}) == "Not measured yet."


def test_committed_results_name_every_scene_as_simulated() -> None:
    results = read_results(campaign.RESULTS)
    table = campaign.detector_table(results)
    assert table.splitlines()[0].startswith("| simulated scene |")
    measured = results["speed"]["measured"][0]["fps"]
    assert set(measured) <= set(FEATURES)
    assert all(name in campaign.speed_table(results) for name in measured)


def test_objects_that_are_hardly_seen_or_tiny_are_ignored() -> None:
    objects = SimulatedWorld("parking").truth(300).objects(0.02)
    truth = accuracy.true_boxes(objects)
    hidden = np.array([one.visible < 0.25 for one in objects])
    assert hidden.any()
    assert truth.is_ignored[hidden].all()
    assert truth.n_counted > 10


def test_a_week_is_drawn_on_every_day() -> None:
    week = run_week(quick=True)
    assert len(week["resident_mb"]) == 7
    assert week["n_frames"] < week["of_frames"] == 21_000
    line = campaign.week_line({"week": {"measured": week}})
    assert "All 210 frames of the script `week`" in line
    assert "at random" in line
