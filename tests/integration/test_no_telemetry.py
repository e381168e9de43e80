"""Libraries that report to their makers are kept from it: nothing is written to the home folder, nothing sent."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

from helpers import REPOSITORY

STARTS = ("edge_autotuner.models.onnx_detector", "edge_autotuner.pipeline.stages", "edge_autotuner.cli.main")
SILENCED_BY = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "GITHUB_ACTIONS")

SCRIPT = """
import sys
for name in sys.argv[1:]:
    __import__(name)
import onnxruntime
from onnx import TensorProto, helper
side = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [side], [out])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
"""


def files_written(home: Path, *modules: str) -> list[str]:
    """Return what a process leaves in its home folder that loads modules and then runs a model."""
    home.mkdir()
    kept = {
        name: value for name, value in os.environ.items() if name not in SILENCED_BY and not name.startswith("XDG_")
    }
    environment = kept | {"HOME": str(home), "PYTHONPATH": str(REPOSITORY / "src")}
    command = [sys.executable, "-c", SCRIPT, *modules]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize("start", STARTS)
def test_the_runtime_reports_nothing(tmp_path: Path, start: str) -> None:
    assert files_written(tmp_path / "home", start) == []


@pytest.mark.skipif(
    Version(version("onnxruntime")) < Version("1.29"), reason="earlier versions report nothing on Linux"
)
def test_the_runtime_alone_would_report(tmp_path: Path) -> None:
    assert any("onnxruntime" in name for name in files_written(tmp_path / "home"))
