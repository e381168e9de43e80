"""How long versions of ONNX Runtime compute on one picture with the model that comes with the package.

    python -m benchmarks.runtime_versions 1.23.2 1.24.4 1.32.0

Each version is installed into a temporary folder and runs in a process of its own, on one thread. The lower bound of
`onnxruntime` in pyproject.toml is the first fast version: on one core of an x86 server 1.20 to 1.24 took 5.2 to 5.7 ms,
1.25 to 1.32 took 2.7 to 3.1 ms.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from edge_autotuner.deployment.export import export_onnx
from edge_autotuner.models import load_network, locate

INPUT_SIZE_WH = (256, 256)
N_ROUNDS = 5

_MEASURE = """
import statistics, sys, time
import numpy as np
import onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
given = session.get_inputs()[0]
shape = [size if isinstance(size, int) else 1 for size in given.shape]
image = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
times_s = []
for _ in range(220):
    began_s = time.process_time()
    session.run(None, {given.name: image})
    times_s.append(time.process_time() - began_s)
print(ort.__version__, 1000 * statistics.median(times_s[20:]))
"""


def main() -> None:
    """Print the processor time for one picture by each version, the median of the calls of the fastest round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model.onnx"
        network, _ = load_network(locate("street-nano"))
        export_onnx(network.decoded(INPUT_SIZE_WH).eval(), INPUT_SIZE_WH, model)
        versions = sys.argv[1:]
        for version in versions:
            _install(version, folder / version)
        fastest_ms = {version: min(_measure(model, folder / version) for _ in range(N_ROUNDS)) for version in versions}
    print("| onnxruntime | processor time, ms |\n|---|---|")
    for version, milliseconds in fastest_ms.items():
        print(f"| {version} | {milliseconds:.2f} |")


def _install(version: str, folder: Path) -> None:
    wanted = [f"onnxruntime=={version}", "--no-deps", "--target", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted], check=True)


def _measure(model: Path, folder: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(model)],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    version, milliseconds = done.stdout.split()
    assert version == folder.name, f"{version} was loaded instead of {folder.name}"
    return float(milliseconds)


if __name__ == "__main__":
    main()
