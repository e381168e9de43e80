"""`python staged_run.py STAGE VIDEO OUTPUT SETTINGS`: one stage of a run, in a process of its own, as JSON.

Run as a file, so that the package is the one of PYTHONPATH; it uses only functions that earlier versions have, too.

cpu_s    seconds of processor time, of all threads, imports left out
wall_s   the same by the clock
source   folder of the package that was measured
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import edge_autotuner
from edge_autotuner.config import resolve_config
from edge_autotuner.pipeline import stages

STAGES = ("capture", "annotation", "training", "evaluation", "export", "report")


def main(stage: str, video: Path, output: Path, settings: str) -> None:
    """Carry out one stage; `settings` are dotted keys as JSON."""
    config = resolve_config(None, json.loads(settings))
    run: dict[str, Callable[[], object]] = {
        "capture": lambda: stages.capture_frames(video, output, config),
        "annotation": lambda: stages.annotate(output),
        "training": lambda: stages.tune(output),
        "evaluation": lambda: stages.evaluate(output),
        "export": lambda: stages.export(output),
        "report": lambda: stages.report(output),
    }
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    run[stage]()
    measured = {"cpu_s": time.process_time() - cpu_s, "wall_s": time.perf_counter() - wall_s}
    print(json.dumps(measured | {"source": str(Path(edge_autotuner.__file__).parent)}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
