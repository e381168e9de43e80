"""Tables of the simulated world's benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.result_file import read_results
from benchmarks.simulation import accuracy, campaign, poses, tables
from benchmarks.simulation.speed import run_week
from edge_autotuner.errors import ConfigError
from edge_autotuner.simulation.world import SimulatedWorld

TABLES = (
    tables.detector_table, tables.pose_table, tables.scene_pose_table, tables.speed_table, tables.specialization_table,
    tables.week_line,
)  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_a_table_without_results_says_so(table: Callable[[Mapping[str, Any]], str]) -> None:
    assert table({}) == "Not measured yet."


def test_committed_results_are_of_pieces_that_exist() -> None:
    results = read_results(campaign.RESULTS)
    assert results.keys() <= {piece.key for piece in campaign.all_pieces()}
    assert all("measured" in entry for entry in results.values())


def test_pieces_are_chosen_by_their_beginnings() -> None:
    keys = [piece.key for piece in campaign.chosen(["specialization/street/oracle", "week"])]
    assert keys == [*(f"specialization/street/oracle/seed-{seed}" for seed in (0, 1, 2)), "week"]
    assert {piece.key.partition("/")[0] for piece in campaign.chosen(None)} == set(campaign.GROUPS)
    with pytest.raises(ConfigError, match="no piece poses/mo; groups: detectors"):
        campaign.chosen(["poses/mo"])


def test_a_piece_is_measured_once_and_again_when_the_pixels_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    piece = campaign.Piece("poses/plain", lambda place: calls.append(len(calls)) or [place.quick])
    for pixels in ("a", "a", "b"):
        monkeypatch.setattr(campaign, "pixels_digest", lambda pixels=pixels: pixels)
        results = campaign.run([piece], tmp_path, again=False, quick=True, say=lambda _: None)
    assert len(calls) == 2
    assert results["poses/plain"]["measured"] == [True]
    assert campaign.standing(piece, results) == "done"
    campaign.run([piece], tmp_path, again=True, quick=True, say=lambda _: None)
    assert len(calls) == 3


def test_seeds_are_taken_together_and_the_oracle_is_named() -> None:
    score = {"camera": "its later video", "person": {"ap50": 0.5}, "car": {"ap50": None}, "ap": 0.25}
    rows = {seed: [{**score, "ap50": 0.5 + 0.25 * seed}] * 3 for seed in (0, 1)}
    results = {f"specialization/street/oracle/seed-{seed}": {"measured": measured} for seed, measured in rows.items()}
    lines = tables.specialization_table(results).splitlines()[2:]
    expected = "| a street | its later video | oracle, 2 seeds | 0.625 ± 0.125 | 0.250 ± 0.000 | 0.500 ± 0.000 | - |"
    assert lines[0] == expected
    assert len(lines) == 3


def test_a_pose_model_is_right_where_it_says_the_true_joints(monkeypatch: pytest.MonkeyPatch) -> None:
    people = list(poses._people("campus", "day", 3))
    assert len(people) == 3
    truths = iter([joints[:, :2] for _, joints, _ in people])
    for square, joints, height in people:
        assert height >= poses.TALL_PX
        assert square.shape[0] == square.shape[1] >= height
        assert joints[joints[:, 2] == 2, :2].max() < len(square)
    monkeypatch.setattr(poses, "_models", lambda: {"perfect": lambda _: next(truths)})
    monkeypatch.setattr(poses, "SCENE_LIGHTS", ("day",))
    monkeypatch.setattr(poses, "_people", lambda *_: iter(people))
    [row] = poses.run_scene("campus", quick=True, say=lambda _: None)
    assert row["n_near"] == row["n_joints"] > 0


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
    line = tables.week_line({"week": {"measured": week}})
    assert "All 210 frames of the script `week`" in line
    assert "at random" in line
