"""The learning process: `python -m edge_autotuner.node.worker CAMERA SETTINGS PRIORITY DECIDES NODE [first]`.

It prints its progress as lines of JSON, and dies with the node.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edge_autotuner.config import resolve_settings
from edge_autotuner.config.node import LearningConfig
from edge_autotuner.core import SystemClock
from edge_autotuner.core.plugins import TRIGGERS
from edge_autotuner.errors import EdgeAutotunerError, MissingDependency
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.storage.child_process import StepMessages, begin_work, print_line

ONLY_FIRST = "first"

_SAY_EVERY_S = 1.0
_OF_SERVICES = {"httpx2", "httpcore2", "cryptography"}


def main(camera: Path, settings: Path, priority: str, decides: str, parent: int, *, only_first: bool = False) -> int:
    """Work on a camera's batches as the file of a `LearningConfig` says; return the exit code of the error, 0 for none.

    `priority` and `decides` are as in `LearningProcessConfig` and `RegistryConfig`; `parent` is the node's process ID.
    """
    begin_work(parent, priority=priority, killed_first=True)
    try:
        config = resolve_settings(LearningConfig, settings, {})
        _learn(CameraFolder(camera), config, deploys=decides == "node", only_first=only_first)
    except EdgeAutotunerError as exc:
        print_line({"error": f"{type(exc).__name__}: {exc}"})
        return exc.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _learn(camera: CameraFolder, config: LearningConfig, *, deploys: bool, only_first: bool) -> None:
    """Work on a camera's batches, with torch or with a service.

    Raises:
        MissingDependency: a library is not installed that this way of learning needs.
        EdgeAutotunerError: as `work_on`.
    """
    try:  # not before: libraries start threads with the priority that the process has then
        from edge_autotuner.node.learning import connected_service, work_on

        with connected_service(config.service, camera) as service:
            progress = StepMessages(print_line, every_s=_SAY_EVERY_S)
            work_on(
                camera,
                config.run,
                deploys=deploys,
                only_first=only_first,
                trigger=TRIGGERS.load(config.trigger),
                service=service,
                clock=SystemClock(),
                progress=progress,
            )
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("edge_autotuner"):
            raise
        extra = "edge" if exc.name in _OF_SERVICES else "train"
        raise MissingDependency(f"learning needs {exc.name}: pip install 'edge-autotuner[{extra}]'") from exc


if __name__ == "__main__":
    camera, settings, priority, decides, parent, *more = sys.argv[1:]
    sys.exit(main(Path(camera), Path(settings), priority, decides, int(parent), only_first=more == [ONLY_FIRST]))
