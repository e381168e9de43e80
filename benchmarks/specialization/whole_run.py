"""`python -m benchmarks.specialization.whole_run VIDEO OUTPUT SETTINGS`: a whole run in a process of its own, as JSON.

wall_s    from the video to the report, imports left out
seconds   of each stage
peak_mb   the largest resident size of the process, MB of 10^6 bytes
promoted  whether the specialized model was deployed
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.machine import memory_mb
from edge_autotuner.config import resolve_config
from edge_autotuner.pipeline import stages
from edge_autotuner.pipeline.run_folder import RunFolder


def main(video: Path, output: Path, settings: str) -> None:
    """Run once and print the measurements; `settings` are dotted keys as JSON."""
    config = resolve_config(None, json.loads(settings))
    began_s = time.perf_counter()
    result = stages.run(video, output, config)
    wall_s = time.perf_counter() - began_s
    measured = {
        "wall_s": wall_s,
        "seconds": RunFolder(output).seconds(),
        "peak_mb": memory_mb("VmHWM"),
        "promoted": result.promotion.promoted,
        "reason": result.promotion.reason,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
