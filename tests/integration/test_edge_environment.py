"""The edge runtime in a real second environment that has the base install only."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.deployment import load_edge_detector
from helpers import REPOSITORY
from unit.deployment.test_bundle import made

RUN_AT_THE_EDGE = """
import importlib.util, json, sys
from pathlib import Path
import edge_autotuner
heavy = sorted({"torch", "cv2", "onnxruntime", "av", "pydantic", "typer", "numpy"} & set(sys.modules))
import numpy as np
from edge_autotuner.deployment import load_edge_detector
picture = np.arange(64 * 128 * 3, dtype=np.uint32).astype(np.uint8).reshape(64, 128, 3)
found = load_edge_detector(Path(sys.argv[1]), n_threads=1).detect(picture)
missing = [name for name in ("torch", "onnx", "safetensors", "jinja2") if importlib.util.find_spec(name) is None]
print(json.dumps({
    "heavy_after_import": heavy, "missing": missing, "from": edge_autotuner.__file__,
    "boxes": found.boxes_xyxy.tolist(), "scores": found.scores.tolist(), "ids": found.class_ids.tolist(),
}))
"""

PACKAGED = ("pyproject.toml", "constraints.txt", "README.md", "LICENSE", "NOTICE")


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.network
def test_a_bundle_runs_where_torch_is_not_installed(tmp_path: Path) -> None:
    sources = tmp_path / "sources"  # a copy: building a wheel leaves folders behind
    shutil.copytree(REPOSITORY / "src", sources / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in PACKAGED:
        shutil.copy(REPOSITORY / name, sources / name)
    venv_python = tmp_path / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    run(venv_python, "-m", "pip", "install", "--quiet", "-c", "constraints.txt", ".", cwd=sources)

    made(tmp_path / "bundle")
    reply = json.loads(run(venv_python, "-c", RUN_AT_THE_EDGE, tmp_path / "bundle", cwd=tmp_path))

    assert reply["heavy_after_import"] == []
    assert reply["missing"] == ["torch", "onnx", "safetensors", "jinja2"]
    assert Path(reply["from"]).is_relative_to(tmp_path / "venv")
    here = load_edge_detector(tmp_path / "bundle").detect(np.zeros((64, 128, 3), np.uint8))
    assert reply["boxes"] == here.boxes_xyxy.tolist() == [[32, 16, 64, 48]]
    assert reply["scores"] == here.scores.tolist()
    assert reply["ids"] == [1]
    run(venv_python, "-m", "pip", "check", cwd=tmp_path)
