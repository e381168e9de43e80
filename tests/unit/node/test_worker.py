"""The learning process: what it tells the node, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import LearningConfig
from edge_autotuner.deployment import deploy
from edge_autotuner.errors import ConfigError
from edge_autotuner.node.camera_folder import CameraFolder
from helpers import REPOSITORY
from unit.deployment.test_bundle import made


def run_worker(camera: Path, settings: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_autotuner.node.worker", str(camera), str(settings), "low", "node"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    return subprocess.run(
        [*command, str(os.getpid()), *more], env=environment, capture_output=True, text=True, check=False
    )


def write_settings(folder: Path, **run: object) -> Path:
    path = folder / "learning.yaml"
    config = LearningConfig(run=RunConfig.model_validate(run))
    path.write_text(json.dumps(config.model_dump(mode="json")))
    return path


def test_without_work_it_ends_well_and_says_nothing(tmp_path: Path) -> None:
    camera = CameraFolder(tmp_path / "gate")
    made(camera.path / "bundles" / "start", name="start")
    deploy(camera.path, "start")
    done = run_worker(camera.path, write_settings(tmp_path))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_settings_that_cannot_be_read_are_an_error_message(tmp_path: Path) -> None:
    settings = tmp_path / "learning.yaml"
    settings.write_text("run: {edge_modell: x}")
    done = run_worker(tmp_path / "gate", settings)
    assert done.returncode == ConfigError.exit_code
    message = json.loads(done.stdout.splitlines()[-1])
    assert message["error"].startswith("ConfigError: ")
    assert "edge_modell" in message["error"]


@pytest.mark.parametrize("more", [(), ("first",)])
def test_a_first_model_that_cannot_be_made_is_an_error_message(tmp_path: Path, more: tuple[str, ...]) -> None:
    done = run_worker(tmp_path / "gate", write_settings(tmp_path, edge_model=str(tmp_path / "missing.pth")), *more)
    assert done.returncode not in {0, 130}
    assert "error" in json.loads(done.stdout.splitlines()[-1])
