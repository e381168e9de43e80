"""The model of a camera changes between two frames, and a damaged one never takes over."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pytest

from edge_autotuner.config import FeedingConfig
from edge_autotuner.config.node import DetectConfig
from edge_autotuner.core import MotionResult
from edge_autotuner.deployment import deploy
from edge_autotuner.node.deployed_model import DeployedModel
from support.cameras.frames import frame_of
from unit.deployment.test_bundle import everything_shown, made

FRAME = frame_of(np.zeros((64, 128, 3), np.uint8), index=0, time_s=0.0)


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """The folder of a camera with three bundles, none deployed."""
    for name in ("first", "second", "damaged"):
        made(tmp_path / "bundles" / name, name=name)
    return tmp_path


def test_without_a_model_nothing_is_seen(camera: Path) -> None:
    model = DeployedModel(camera, DetectConfig())
    assert not model.refresh()
    assert (model.look(FRAME), model.bundle, model.detector, model.refused) == (None, None, None, None)


def test_a_new_model_takes_over(camera: Path) -> None:
    model = DeployedModel(camera, DetectConfig())
    for name in ("first", "second", "first"):
        deploy(camera, name)
        assert model.refresh()
        assert not model.refresh()
        seen = model.look(FRAME)
        assert seen is not None
        assert seen.model == name
        assert seen.detections.boxes_xyxy.tolist() == [[32, 16, 64, 48]]


def test_a_damaged_model_is_refused_and_the_old_one_stays(camera: Path) -> None:
    model = DeployedModel(camera, DetectConfig())
    deploy(camera, "first")
    model.refresh()
    deploy(camera, "damaged")
    path = camera / "bundles" / "damaged" / "model.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert not model.refresh()
    seen = model.look(FRAME)
    assert seen is not None
    assert seen.model == "first"
    assert model.refused is not None
    assert "was modified" in model.refused
    path.write_bytes(whole)
    assert model.refresh()
    assert model.refused is None


def _seen_with(camera: Path, *, config: DetectConfig, **changes: Any) -> list[float]:
    made(camera / "bundles" / "pointed", **changes)
    deploy(camera, "pointed")
    model = DeployedModel(camera, config)
    model.refresh()
    seen = model.look(FRAME)
    assert seen is not None
    return [round(score, 2) for score in seen.detections.scores.tolist()]


def test_the_operating_point_of_the_bundle_says_what_is_reported(camera: Path) -> None:
    weak, point = everything_shown(), everything_shown(min_score=0.95)
    assert len(_seen_with(camera, config=DetectConfig(), operating_point=point)) == 0
    (camera / "bundle").unlink()
    rmtree(camera / "bundles" / "pointed")
    assert len(_seen_with(camera, config=DetectConfig(), operating_point=weak)) == 2


def test_a_score_of_the_settings_comes_before_the_operating_point(camera: Path) -> None:
    shows_nothing = everything_shown(min_score=0.95)
    assert len(_seen_with(camera, config=DetectConfig(min_score=0.01), operating_point=shows_nothing)) == 2


def test_weak_detections_are_not_reported(camera: Path) -> None:
    deploy(camera, "first")
    counts = []
    for min_score in (0.01, 0.3, 0.95):
        model = DeployedModel(camera, DetectConfig(min_score=min_score))
        model.refresh()
        seen = model.look(FRAME)
        assert seen is not None
        counts.append(len(seen.detections))
    assert counts == [2, 1, 0]


def test_a_model_is_shown_what_moves_if_its_bundle_or_the_settings_say_so(camera: Path) -> None:
    made(camera / "bundles" / "far", feeding=FeedingConfig(mode="regions"))
    for name, mode, expected in (
        ("far", None, "regions, as set"),
        ("far", "full", "full"),
        ("first", None, "full"),
        ("first", "regions", "regions, as set"),
    ):
        deploy(camera, name)
        model = DeployedModel(camera, DetectConfig(mode=mode))
        model.refresh()
        assert (model.mode, model.needs_motion) == (expected, expected != "full")


def test_without_motion_a_model_of_regions_looks_at_whole_frames(camera: Path) -> None:
    deploy(camera, "first")
    model = DeployedModel(camera, DetectConfig(mode="regions"))
    model.refresh()
    small = np.zeros((16, 32), np.uint8)
    nothing_moves = MotionResult(np.zeros((0, 4), np.float32), 0.0, small > 0, small, small)
    for motion in (None, nothing_moves):
        seen = model.look(FRAME, motion)
        assert seen is not None
        assert seen.detections.boxes_xyxy.tolist() == [[32, 16, 64, 48]]
    model.forget_scene()
