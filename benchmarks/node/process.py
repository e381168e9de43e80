"""An `edge-autotuner edge` process that a benchmark runs, and what it says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.node.cpu_budget import cpu_seconds
from edge_autotuner.storage.atomic import atomic_write_json
from edge_autotuner.storage.child_process import wait_or_kill

CAMERA = "camera"
_POLL_S = 0.05
_ENDING_S = 60.0


@dataclass(frozen=True)
class Line:
    """One detection report, as somebody who reads the node's output gets it.

    Attributes:
        arrived_s: wall time of its arrival, seconds since 1970.
        text: JSON.
    """

    arrived_s: float
    text: str


class NodeProcess:
    """A node with one camera; ended with the `with` block.

    Its folder is FOLDER/node, its log FOLDER/log.

    Args:
        folder: of everything; must exist.
        source: of the camera.
        settings: of the node, besides folder, camera and outputs.

    Attributes:
        lines: the reports so far.
    """

    def __init__(self, folder: Path, source: Path, settings: Mapping[str, Any]) -> None:
        self.folder = CameraFolder(folder / "node" / CAMERA)
        self.lines: list[Line] = []
        self._node_folder, self._log = folder / "node", folder / "log"
        cameras = [{"name": CAMERA, "source": str(source)}]
        config = folder / "node.yaml"
        atomic_write_json(  # JSON is YAML, too
            config, {"folder": str(self._node_folder), "cameras": cameras, "outputs": {"json_lines": {}}, **settings}
        )
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edge_autotuner.cli", "edge", str(config)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        wait_or_kill(self._process, _ENDING_S)
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def status(self) -> dict[str, Any]:
        """Return what the node says about the camera; empty until it does."""
        try:
            values = json.loads((self._node_folder / "status.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return dict(values["cameras"][CAMERA])

    def cpu_s(self) -> float:
        """Return the processor time that the node itself has used, without the learning process."""
        return cpu_seconds(self._process.pid) or 0.0

    def learning_pid(self) -> int | None:
        """Return the process that learns; None if none does."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        pids = children.read_text(encoding="ascii").split()
        return int(pids[0]) if pids else None

    def wait_until(self, is_time: Callable[[], bool], *, longest_s: float) -> None:
        """Return when something has happened.

        Raises:
            EdgeAutotunerError: the node ended, or it took too long.
        """
        until_s = time.monotonic() + longest_s
        while not is_time():
            if self._process.poll() is not None:
                raise EdgeAutotunerError(f"the node ended with code {self._process.returncode}: {self._end_of_log()}")
            if time.monotonic() > until_s:
                raise EdgeAutotunerError(f"nothing happened for {longest_s:.0f} s: {self._end_of_log()}")
            time.sleep(_POLL_S)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            self.lines.append(Line(time.time(), text))

    def _end_of_log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
