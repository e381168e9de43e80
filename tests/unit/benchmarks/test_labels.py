"""The tables of the label benchmark."""

from __future__ import annotations

import pytest

from benchmarks.labels import campaign
from benchmarks.labels.cameras import CAMERAS, SIMULATED
from edge_autotuner.config import resolve_config
from edge_autotuner.simulation.world import WorldScript


def test_cameras_are_well_formed() -> None:
    assert len({camera.name for camera in CAMERAS}) == len(CAMERAS)
    for camera in SIMULATED:
        WorldScript.model_validate(camera.script)
    for camera in CAMERAS:
        resolve_config(None, dict(camera.settings))


@pytest.mark.parametrize("part", campaign.TABLES)
def test_what_was_not_measured_is_said(part: str) -> None:
    assert campaign.TABLES[part]({}) == "Not measured yet."


def test_rows_become_tables() -> None:
    row = {"camera": "street-0", "teacher": "zoom", "class": "person", "n": 3, "is_rare": True}
    spurious = [{**row, "is": "spurious", "dropped": "person, ..."}, {**row, "is": "real", "dropped": None}]
    made = campaign.TABLES["spurious"]({"spurious": {"measured": spurious}})
    assert "| simulated cameras | zoom | 1 of 1 | 1 of 1 | 0 of 0 | 0 of 0 |" in made
    check = [{"exact": -0.06, "warned": True}, {"exact": 0.3, "warned": False}]
    made = campaign.TABLES["check"]({"check": {"measured": check}})
    assert "| worse by .05 or more | 1 of 1 (100%) |" in made
    assert "| better by .02 or more | 0 of 1 (0%) |" in made
    judged = {"way": "zoom", "n_calls": 5, "ap": 0.5, "all": [1, 8], "with its own model": [0, 0]}
    made = campaign.TABLES["judging"]({"judging": {"measured": [judged]}})
    assert "| zoom | 5 | 0.500 | 1 of 8 (12.5%) | 0 of 0 |" in made
