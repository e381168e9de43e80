"""An output: a file with one line per report, the one that `outputs.plugins.acme.path` names in a node's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_autotuner.config.node import CameraConfig
from edge_autotuner.core import Clock
from edge_autotuner.errors import ConfigError
from edge_autotuner.node.camera_health import CameraState
from edge_autotuner.node.outputs import DetectionReport
from edge_autotuner.node.outputs.queued_output import QueuedOutput


class ReportsFile(QueuedOutput[str]):
    """Appends each report to a file; a node's `DetectionOutput`."""

    name = "acme"

    def __init__(
        self, settings: Mapping[str, Any], cameras: Sequence[CameraConfig], *, clock: Clock | None = None
    ) -> None:
        if set(settings) != {"path"}:
            raise ConfigError("outputs.plugins.acme: give a path, and nothing else")
        super().__init__()
        self._path = Path(settings["path"])
        self._start()

    def take(self, report: DetectionReport) -> None:
        """Have a line written soon."""
        self._put(report.json_text)

    def tell(self, state: CameraState) -> None:
        """Have a line written when a camera is lost or back."""
        if state.event_type is not None:
            self._put(state.event_text)

    def _work(self) -> None:
        self._mailbox.wait(None)
        self._finish()

    def _finish(self) -> None:
        for text in self._mailbox.take_all():
            try:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(text + "\n")
            except OSError as exc:
                self._tally.add_failure(f"{self._path} cannot be written: {exc.strerror}")
                self._tally.add_dropped()
            else:
                self._tally.add_sent()
                self._tally.set_working()
