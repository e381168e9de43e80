"""`python -m edge_autotuner.pipeline.node.worker CAMERA SETTINGS PRIORITY DECIDES NODE`: what learns.

The process runs beside the detection, prints its progress as lines of JSON, and dies with the node.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from edge_autotuner.config import resolve_settings
from edge_autotuner.config.node import LearningConfig
from edge_autotuner.core import SystemClock
from edge_autotuner.errors import EdgeAutotunerError, MissingDependency
from edge_autotuner.pipeline.background_process import die_with, lower_priority
from edge_autotuner.pipeline.node.camera_folder import CameraFolder

_SAY_EVERY_S = 1.0
_OF_SERVICES = {"httpx2", "httpcore2", "cryptography"}


def main(camera: Path, settings: Path, priority: str, decides: str, parent: int) -> int:
    """Work on a camera's batches; return the exit code of the error, 0 for none.

    Args:
        camera: folder of the camera.
        settings: file with a `LearningConfig`.
        priority: idle, low or normal; see `BackgroundWorkConfig`.
        decides: node or registry; see `RegistryConfig`.
        parent: process id of the node.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    die_with(parent)
    lower_priority(priority)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        _learn(CameraFolder(camera), resolve_settings(LearningConfig, settings, {}), deploys=decides == "node")
    except EdgeAutotunerError as exc:
        _say({"error": f"{type(exc).__name__}: {exc}"})
        return exc.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _learn(camera: CameraFolder, config: LearningConfig, *, deploys: bool) -> None:
    """Work on a camera's batches, with torch or with a service.

    Raises:
        MissingDependency: a library is not installed that this way of learning needs.
        EdgeAutotunerError: as `work_on`.
    """
    try:  # not before: libraries start threads with the priority that the process has then
        from edge_autotuner.pipeline.node.learning import work_on
        from edge_autotuner.pipeline.node.training_service import connected

        with connected(config.service, camera) as service:
            progress = _JsonProgress()
            work_on(camera, config.run, deploys=deploys, service=service, clock=SystemClock(), progress=progress)
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("edge_autotuner"):
            raise
        extra = "edge" if exc.name in _OF_SERVICES else "train"
        raise MissingDependency(f"learning needs {exc.name}: pip install 'edge-autotuner[{extra}]'") from exc


class _JsonProgress:
    """Prints where a job is, at most once a second."""

    def __init__(self) -> None:
        self._task, self._n_done, self._said_s = "", 0, 0.0
        self._total: int | None = None

    def start(self, task: str, total: int | None) -> None:
        """Begin a job."""
        self._task, self._total, self._n_done = task, total, 0
        self._report(is_due=True)

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        """Count steps."""
        self._n_done += steps
        self._report(is_due=time.monotonic() - self._said_s >= _SAY_EVERY_S)

    def finish(self) -> None:
        """End the job."""
        self._report(is_due=True)

    def _report(self, *, is_due: bool) -> None:
        if is_due:
            self._said_s = time.monotonic()
            _say({"task": self._task, "done": self._n_done, "total": self._total})


def _say(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])))
