"""All outputs of a node as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Protocol, Self

from edge_autotuner.config.node import CameraConfig, OutputsConfig
from edge_autotuner.core import Clock, LabelMap, Observation, SystemClock
from edge_autotuner.core.plugins import OUTPUTS
from edge_autotuner.node.camera_health import CameraState
from edge_autotuner.node.fault_domain import FaultDomains
from edge_autotuner.node.outputs.report import DetectionReport
from edge_autotuner.node.outputs.tally import OutputStatus


class DetectionOutput(Protocol):
    """Delivers detections to a peer.

    `announce`, `take` and `tell` are thread-safe. They neither wait for the peer nor fail because of it: what it does
    not take in time is dropped, oldest first, and counted.
    """

    @property
    def name(self) -> str:
        """Its name in the log and in the node's status."""
        ...

    @property
    def status(self) -> OutputStatus:
        """Its counts."""
        ...

    def announce(self, camera: str, labels: LabelMap) -> None:
        """Announce the classes of a camera's new model."""
        ...

    def take(self, report: DetectionReport) -> None:
        """Deliver a report soon, or drop it."""
        ...

    def tell(self, state: CameraState) -> None:
        """Deliver a camera's new condition."""
        ...

    def close(self) -> None:
        """End within seconds; later reports are dropped."""
        ...


class Outputs:
    """Gives every report to all outputs; thread-safe, closed when the node ends. A failing output affects no other.

    Args:
        cameras: the only ones of which reports may come.

    Raises:
        MissingDependency: what a configured output needs is not installed.
        ConfigError: a file or address that an output needs cannot be used.
        StorageError: the file for lines cannot be opened.
    """

    needs_motion = False

    def __init__(self, config: OutputsConfig, cameras: Sequence[CameraConfig], *, clock: Clock | None = None) -> None:
        self._outputs: list[DetectionOutput] = []
        self._names = {camera.name for camera in cameras}
        self._faults = FaultDomains(clock or SystemClock())
        with ExitStack() as opened:
            opened.callback(self.close)
            for name, settings in config.named.items():
                self._outputs.append(OUTPUTS.make(name, settings, cameras, clock=clock))
            opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def status(self) -> tuple[OutputStatus, ...]:
        """The counts of each output."""
        return tuple(output.status for output in self._outputs)

    @property
    def problems(self) -> dict[str, str]:
        """Unexpected failures, by the output's name."""
        return self._faults.problems

    def announce(self, camera: str, labels: LabelMap) -> None:
        """Announce the classes of a camera's new model; its reports name them as well."""
        self._check_name(camera)
        self._give_to_all(lambda output: output.announce(camera, labels))

    def observe(self, observation: Observation) -> None:
        """Report what the deployed model found in a frame, if it looked at it."""
        if observation.found is not None:
            self.take(DetectionReport.of(observation, observation.found))

    def take(self, report: DetectionReport) -> None:
        """Give a report to all outputs, without waiting for any of them."""
        self._check_name(report.camera)
        self._give_to_all(lambda output: output.take(report))

    def tell(self, state: CameraState) -> None:
        """Deliver a camera's new condition."""
        self._check_name(state.camera)
        self._give_to_all(lambda output: output.tell(state))

    def close(self) -> None:
        """End all outputs; a second call does nothing."""
        self._give_to_all(lambda output: output.close())

    def _give_to_all(self, give: Callable[[DetectionOutput], None]) -> None:
        for output in self._outputs:
            self._faults.of(f"output {output.name}", first_retry_s=0).do(lambda to=output: give(to))  # type: ignore[misc]

    def _check_name(self, camera: str) -> None:
        if camera not in self._names:
            raise ValueError(f"no camera {camera}")
