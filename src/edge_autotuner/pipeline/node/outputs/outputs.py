"""All outputs of a node behind one door."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol, Self

from edge_autotuner.config.node import CameraConfig, OutputsConfig
from edge_autotuner.core import Clock, LabelMap
from edge_autotuner.pipeline.node.outputs.json_lines import JsonLinesFile, JsonLinesStream
from edge_autotuner.pipeline.node.outputs.mqtt import MqttOutput
from edge_autotuner.pipeline.node.outputs.report import DetectionReport
from edge_autotuner.pipeline.node.outputs.tally import OutputStatus
from edge_autotuner.pipeline.node.outputs.webhook import WebhookOutput

_BYTES_PER_MB = 1e6


class DetectionOutput(Protocol):
    """Gets detections to somebody.

    `announce` and `take` may be called by several threads. They neither wait for the other side nor fail because of
    it: what it does not take in time is dropped, oldest first, and counted.
    """

    @property
    def name(self) -> str:
        """How the log and the node's status call it."""
        ...

    @property
    def status(self) -> OutputStatus:
        """How it does."""
        ...

    def announce(self, camera: str, labels: LabelMap) -> None:
        """Say which classes a camera's model knows from now on."""
        ...

    def take(self, report: DetectionReport) -> None:
        """Get a report to the other side soon, or drop it."""
        ...

    def close(self) -> None:
        """End within seconds; what is taken after that is dropped."""
        ...


class Outputs:
    """Gives every report to all outputs; may be used by several threads, and is closed when the node ends.

    Args:
        config: which outputs there are.
        cameras: the only ones of which reports may come.
        clock: where time comes from; the machine's by default.

    Raises:
        MissingDependency: what a configured output needs is not installed.
        ConfigError: a file or address that an output needs cannot be used.
        StorageError: the file for lines cannot be opened.
    """

    def __init__(self, config: OutputsConfig, cameras: Sequence[CameraConfig], *, clock: Clock | None = None) -> None:
        self._outputs: list[DetectionOutput] = []
        with ExitStack() as opened:
            opened.callback(self.close)
            if config.json_lines is not None:
                path, max_bytes = config.json_lines.path, int(config.json_lines.max_mb * _BYTES_PER_MB)
                self._outputs.append(JsonLinesFile(path, max_bytes=max_bytes) if path else JsonLinesStream())
            if config.mqtt is not None:
                self._outputs.append(MqttOutput(config.mqtt, cameras, clock=clock))
            if config.webhook is not None:
                self._outputs.append(WebhookOutput(config.webhook, cameras, clock=clock))
            opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    @property
    def status(self) -> tuple[OutputStatus, ...]:
        """How each output does."""
        return tuple(output.status for output in self._outputs)

    def announce(self, camera: str, labels: LabelMap) -> None:
        """Say which classes a camera's model knows from now on; a report of it says so as well."""
        for output in self._outputs:
            output.announce(camera, labels)

    def take(self, report: DetectionReport) -> None:
        """Give a report to all outputs, without waiting for any of them."""
        for output in self._outputs:
            output.take(report)

    def close(self) -> None:
        """End all outputs; a second call does nothing."""
        for output in self._outputs:
            output.close()
