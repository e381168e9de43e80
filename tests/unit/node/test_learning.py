"""Learning without torch: the first model is a bundle, and what is missing is said before anything is collected."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.core import FakeClock, NoProgress
from edge_autotuner.deployment import deployed_bundle
from edge_autotuner.errors import ConfigError, MissingDependency
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.node.learning import work_on
from edge_autotuner.node.settings_check import check_can_learn
from helpers import REPOSITORY
from support.service.job_samples import FakeJobs, training_service
from unit.deployment.test_bundle import made

NEEDED_TO_TRAIN = ("torch", "onnx", "safetensors", "jinja2")
SERVICE = {"url": "http://127.0.0.1:1"}
AT_SERVICE = {"trains_on": "service", "registry": {"service": SERVICE, "allow_unsigned": True}}
REMOTE = {"annotation": {"teacher": "remote:big", "service": SERVICE}}


def start(folder: Path, edge_model: str) -> CameraFolder:
    """Let a camera whose training a service does begin."""
    camera = CameraFolder(folder / "gate")
    with training_service(FakeJobs()) as service:
        config = RunConfig(edge_model=edge_model)
        work_on(camera, config, service=service, clock=FakeClock(), progress=NoProgress())
    return camera


def test_the_first_model_is_the_bundle_of_the_settings(tmp_path: Path) -> None:
    made(tmp_path / "bundle")
    camera = start(tmp_path, str(tmp_path / "bundle"))
    deployed = deployed_bundle(camera.path)
    assert deployed is not None
    assert deployed.name == "start"
    assert (deployed / "bundle.json").read_bytes() == (tmp_path / "bundle" / "bundle.json").read_bytes()
    start(tmp_path, "street-nano")  # it has a model: the settings do not matter any more
    assert deployed_bundle(camera.path) == deployed


def test_without_a_bundle_there_is_no_first_model(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"set edge_model to the folder of a bundle \(it is street-nano\), or promote"
    ):
        start(tmp_path, "street-nano")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({}, "training on this machine needs torch", id="training here"),
        pytest.param(AT_SERVICE, "camera gate: teacher zoom needs torch", id="zoom"),
        pytest.param({**AT_SERVICE, "run": REMOTE}, None, id="all at the service"),
        pytest.param({"learns": False, "registry": AT_SERVICE["registry"]}, None, id="it does not learn"),
    ],
)
def test_what_needs_torch_is_said_at_the_start(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], message: str | None
) -> None:
    config = NodeConfig.model_validate({"cameras": [{"name": "gate", "source": "a.mp4"}], **values})
    check_can_learn(config)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    if message is None:
        check_can_learn(config)
        return
    with pytest.raises(MissingDependency, match=message):
        check_can_learn(config)


def test_learning_at_a_service_loads_nothing_that_training_needs() -> None:
    script = f"""
import sys
from edge_autotuner.cli import jobs
from edge_autotuner.pipeline.remote_training import training as remote_training
from edge_autotuner.node import learning
from edge_autotuner.node import node
from edge_autotuner.node import worker
print(sorted({{*{NEEDED_TO_TRAIN!r}}} & set(sys.modules)))
"""
    environment = {"PYTHONPATH": str(REPOSITORY / "src"), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_training_here_needs_no_http_library() -> None:
    script = """
import sys
from edge_autotuner.node import learning
from edge_autotuner.pipeline import export_stage
print("httpx2" in sys.modules)
"""
    environment = {"PYTHONPATH": str(REPOSITORY / "src"), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr
