"""`edge-autotuner simulate` with weather and events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.capture import open_source
from edge_autotuner.simulation import CameraBump, Conditions, LightSwitch, SimulatedCamera
from support.runs.cli_runs import run_cli


def test_weather_and_events_reach_the_camera(tmp_path: Path) -> None:
    video = tmp_path / "street.mp4"
    weather = ("--noise", "1", "--sway", "0.5", "--shadows", "0.6", "--clouds", "0.4", "--rain", "0.2")
    events = ("--event", "light@12:0.4", "--event", "bump@8:4:-2")
    outcome = run_cli("simulate", video, "--frames", "16", "--size", "128x96", "--rate", "25", *weather, *events)
    assert outcome.code == 0
    conditions = Conditions(noise_levels=1, sway=0.5, cast_shadows=0.6, clouds=0.4, rain=0.2)
    scripted = (LightSwitch(12, 0.4), CameraBump(8, 4, -2))
    camera = SimulatedCamera((128, 96), 16, 25.0, conditions=conditions, events=scripted)
    source = open_source(video)
    assert source.info.rate_hz == 25.0
    for frame in source.frames():
        assert np.abs(frame.image_bgr.astype(int) - camera.frame(frame.index).image_bgr).mean() < 8


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--event", "fog@3"), "no event 'fog@3'"),
        (("--size", "8x8"), "expected a size with even sides of 64 to 7680 pixels, got 8x8"),
        (("--camera", "3"), "--camera needs --script"),
        (("--event", "night@99"), "the frame of an event must be in 0..9"),
        (("--rain", "2"), "'--rain'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(flags: tuple[str, ...], message: str, tmp_path: Path) -> None:
    outcome = run_cli("simulate", tmp_path / "street.mp4", "--frames", "10", *flags)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == []
