"""`python -m edge_autotuner.pipeline.node.worker CAMERA SETTINGS PRIORITY DECIDES NODE`: what learns.

The process runs beside the detection, prints its progress as lines of JSON, and dies with the node.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from edge_autotuner.config import load_config
from edge_autotuner.core import SystemClock
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.pipeline.node.camera_folder import CameraFolder

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_SAY_EVERY_S = 1.0


def main(camera: Path, settings: Path, priority: str, decides: str, parent: int) -> int:
    """Work on a camera's batches; return the exit code of the error, 0 for none.

    Args:
        camera: folder of the camera.
        settings: how it learns.
        priority: idle, low or normal; see `BackgroundWorkConfig`.
        decides: node or registry; see `RegistryConfig`.
        parent: process id of the node.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    _die_with(parent)
    _lower_priority(priority)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    from edge_autotuner.pipeline.node.learning import work_on  # its libraries start threads with the priority of now

    try:
        work_on(
            CameraFolder(camera),
            load_config(settings),
            deploys=decides == "node",
            clock=SystemClock(),
            progress=_JsonProgress(),
        )
    except EdgeAutotunerError as exc:
        _say({"error": f"{type(exc).__name__}: {exc}"})
        return exc.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


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


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when the node dies, even while it is stopped."""
    ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it died before
        os._exit(1)


def _lower_priority(priority: str) -> None:
    """Leave the cores to the detection; threads that are made later inherit it."""
    if priority == "normal":
        return
    os.nice(19)
    if priority == "idle":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])))
