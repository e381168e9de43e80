"""How long a node takes from its start to its first detection, where the settings name a finished bundle.

In turns, in one run: a process that only imports what the node needs, opens the camera and reads one frame; a node that
only detects; a node that learns as well. The camera is a short simulated recording.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.node.process import NodeProcess
from benchmarks.node.results import store
from benchmarks.scenes import data_folder
from edge_autotuner.config import RunConfig
from edge_autotuner.core import Progress
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.pipeline.edge_model import open_edge_model
from edge_autotuner.simulation import SimulatedCamera

WAYS: Mapping[str, bool] = {"detects only": False, "learns as well": True}
_N_ROUNDS, _N_QUICK = 7, 1
_LONGEST_S = 120.0

_ONLY_OPEN = """
import sys
import onnxruntime
import edge_autotuner.cli.edge_screen
import edge_autotuner.models.onnx_detector
from edge_autotuner.capture import open_source
next(iter(open_source(sys.argv[1]).frames())).image_bgr
"""


def run_start(*, quick: bool, progress: Progress) -> dict[str, Any]:
    """Measure, and store the results unless it is a short run.

    Raises:
        EdgeAutotunerError: a node did not start.
        WeightsError: the model is not there.
    """
    n_rounds = _N_QUICK if quick else _N_ROUNDS
    seconds: dict[str, list[float]] = {"imports and camera": [], **{way: [] for way in WAYS}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle, video = _make_bundle(folder), folder / "camera.mp4"
        SimulatedCamera((640, 360), n_frames=100, rate_hz=10.0, seed=1).write_video(video)
        progress.start("node-start", n_rounds * len(seconds))
        for number in range(n_rounds):
            seconds["imports and camera"].append(_time_imports(video))
            progress.advance()
            for way, learns in WAYS.items():
                place = folder / f"{learns}-{number}"
                place.mkdir()
                seconds[way].append(_time_node(place, video, bundle, learns=learns))
                progress.advance()
        progress.finish()
    measured = {"machine": describe_machine(), "n_rounds": n_rounds, "seconds": seconds}
    if not quick:
        store("start", measured)
    return measured


def _make_bundle(folder: Path) -> Path:
    config = RunConfig(models_dir=data_folder() / "models")
    return open_edge_model(config).write_bundle(config.input_size, folder / "bundle", name="street-nano").folder


def _time_imports(video: Path) -> float:
    began_s = time.monotonic()
    done = subprocess.run([sys.executable, "-c", _ONLY_OPEN, str(video)], env=os.environ, check=False)
    if done.returncode:
        raise EdgeAutotunerError(f"the imports ended with code {done.returncode}")
    return time.monotonic() - began_s


def _time_node(folder: Path, video: Path, bundle: Path, *, learns: bool) -> float:
    settings = {"learns": learns, "run": {"edge_model": str(bundle), "capture": {"stream": {"realtime": True}}}}
    began_s = time.time()
    with NodeProcess(folder, video, settings) as node:
        node.wait_until(lambda: bool(node.lines), longest_s=_LONGEST_S)
        return node.lines[0].arrived_s - began_s
