"""Files and the live camera of a simulated world."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.capture import open_source
from edge_autotuner.core import STREET_6
from edge_autotuner.dataset import load_coco_truth
from edge_autotuner.simulation.world import SimulatedWorld, Steady, WorldConditions
from edge_autotuner.simulation.world.live import LiveWorld
from edge_autotuner.simulation.world.recording import write_world_truth, write_world_video
from edge_autotuner.simulation.world.traffic import Demand
from support.runs.cli_runs import run_cli

SCRIPT = "scene: campus\nsize: 320x184\nrate: 10\nlength: 2s\nevents: [{what: rain, at: 1s}]\n"


def test_files_hold_the_frames_and_their_truth(tmp_path: Path) -> None:
    world = SimulatedWorld("street", size_wh=(320, 184), n_frames=12)
    video, truth = tmp_path / "world.mp4", tmp_path / "truth.json"
    write_world_video(world, video)
    write_world_truth(world, truth)
    for frame in open_source(video).frames():
        assert np.abs(frame.image_bgr.astype(int) - world.image(frame.index)).mean() < 8
    values = json.loads(truth.read_text())
    assert "simulated" in values["info"]["description"]
    assert [image["frame_index"] for image in values["images"]] == list(range(12))
    people = [one for one in values["annotations"] if one["category_id"] == 1]
    assert people
    assert all(len(one["keypoints"]) == 51 for one in people)
    assert {"track_id", "visibility", "iscrowd"} <= people[0].keys()
    assert {path.name for path in tmp_path.iterdir()} == {"world.mp4", "truth.json"}
    assert len(load_coco_truth(truth, labels=STREET_6, map_classes={}).pictures) == 12


def test_objects_without_a_class_have_a_category_of_their_own_and_teach_nobody(tmp_path: Path) -> None:
    surprise = Steady(WorldConditions(demand=Demand(2.0, {"dog": 1.0, "pushchair": 1.0})))
    world = SimulatedWorld("campus", size_wh=(320, 184), n_frames=2, schedule=surprise)
    write_world_truth(world, tmp_path / "truth.json")
    values = json.loads((tmp_path / "truth.json").read_text())
    names = {one["id"]: one["name"] for one in values["categories"]}
    assert names == dict(enumerate((*STREET_6, "dog", "pushchair"), 1))
    strangers = [one for one in values["annotations"] if one["category_id"] > len(STREET_6)]
    assert strangers
    assert len({one["track_id"] for one in values["annotations"] if one["image_id"] == 1}) == sum(
        one["image_id"] == 1 for one in values["annotations"]
    )
    truth = load_coco_truth(tmp_path / "truth.json", labels=STREET_6, map_classes={})
    assert sum(len(one.class_ids) for one in truth.pictures) < len(values["annotations"])


def test_a_script_is_simulated_on_the_command_line(tmp_path: Path) -> None:
    script = tmp_path / "rain.yaml"
    script.write_text(SCRIPT)
    video, truth = tmp_path / "a.mp4", tmp_path / "a.json"
    outcome = run_cli("simulate", video, "--script", script, "--ground-truth", truth, "--camera", "2", "--seed", "4")
    assert (outcome.code, outcome.out.split()) == (0, [str(video), str(truth)])
    assert open_source(video).info.n_frames == 20
    assert "simulated-campus-2-4" in truth.read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--script", "week"), "nothing to do"),
        (("--script", "week", "--rain", "0.5", "--serve", "127.0.0.1:0"), "write a 'rain' event into the script"),
        (
            ("--script", "week", "--frames", "9", "--serve", "127.0.0.1:0"),
            "--frames cannot be used with --script; set 'length'",
        ),
        (("--script", "week", "--size", "8x8", "--serve", "127.0.0.1:0"), "multiples of 8 (got '8x8')"),
        (("--script", "week", "street.txt"), "cannot write street.txt"),
        (("--script", "week", "--serve", "8090"), "needs HOST:PORT"),
        (("--script", "week", "--size", "333x200", "--serve", "127.0.0.1:0"), "multiples of 8"),
        (("--serve", "127.0.0.1:0"), "--serve needs --script"),
        ((), "no video to write"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(flags: tuple[str, ...], message: str) -> None:
    outcome = run_cli("simulate", *flags)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_a_live_camera_is_read_as_any_other() -> None:
    world = SimulatedWorld("street", size_wh=(320, 184), n_frames=30, rate_hz=20)
    with LiveWorld(world, "127.0.0.1", 0) as live, open_source(live.url) as source:
        assert source.info.is_live
        frames = []
        for frame in source.frames():
            frames.append(frame)
            if len(frames) == 5:
                source.stop()
                break
    assert all(frame.size_wh == (320, 184) for frame in frames)
