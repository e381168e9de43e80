"""Detections to an MQTT broker: reports as they come, and a retained state for each class of each camera."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from edge_autotuner.client.credentials import make_ssl_context, read_secret
from edge_autotuner.config.node import CameraConfig, MqttConfig
from edge_autotuner.core import Clock, LabelMap, SystemClock
from edge_autotuner.node.camera_health import CameraState
from edge_autotuner.node.fault_domain import FIRST_RETRY_S, LONGEST_RETRY_S
from edge_autotuner.node.outputs.discovery import OFFLINE
from edge_autotuner.node.outputs.mqtt_link import Connected, Disconnected, MqttLink, Received
from edge_autotuner.node.outputs.mqtt_states import RetainedStates
from edge_autotuner.node.outputs.queued_output import QueuedOutput
from edge_autotuner.node.outputs.report import DetectionReport

_GOODBYE_S = 2.0
_GOODBYE_TICK_S = 0.02
_TICK_S = 1.0  # how often presence is checked when nothing happens


@dataclass(frozen=True)
class _Announcement:
    """A camera's model knows these classes from now on."""

    camera: str
    labels: LabelMap


@dataclass(frozen=True, eq=False)
class _TimedReport:
    """A report, and when it came on the monotonic clock."""

    report: DetectionReport
    at_s: float


class MqttOutput(QueuedOutput[_TimedReport | _Announcement | CameraState]):
    """Publishes reports and states; while the broker is away, reports are dropped and states are remembered.

    States are not counted.

    Args:
        cameras: the only ones of which reports may come.
        retry_s: first and longest delay between attempts to connect.

    Raises:
        MissingDependency: paho-mqtt is not installed.
        ConfigError: the password or the authorities cannot be read.
    """

    name = "mqtt"

    def __init__(
        self,
        config: MqttConfig,
        cameras: Sequence[CameraConfig],
        *,
        clock: Clock | None = None,
        retry_s: tuple[float, float] = (FIRST_RETRY_S, LONGEST_RETRY_S),
    ) -> None:
        super().__init__()
        self._clock = clock or SystemClock()
        self._states = RetainedStates(config, cameras)
        self._link = MqttLink(
            config,
            client_id=f"edge-autotuner-{secrets.token_hex(4)}",  # MQTT 3.1 allows 23 characters
            password=read_secret(config.password_file) if config.password_file else None,
            ssl_context=make_ssl_context(config.ca_file) if config.tls else None,
            will=(self._states.topics.status, OFFLINE),
            subscriptions=self._states.topics.of_interest,
            retry_s=retry_s,
            wake=self._mailbox.wake,
        )
        self._start()

    def announce(self, camera: str, labels: LabelMap) -> None:
        """Announce the classes of a camera's model to Home Assistant, before it has seen anything."""
        self._put(_Announcement(camera, labels))

    def take(self, report: DetectionReport) -> None:
        """Queue a report."""
        self._put(_TimedReport(report, self._clock.monotonic_s()))

    def tell(self, state: CameraState) -> None:
        """Queue a camera's new condition."""
        self._put(state)

    def _work(self) -> None:
        try:
            self._link.revive()
            self._react()
            if self._link.is_up is not None:  # what came during the first attempt waits for its end
                self._absorb()
                self._publish_states()
        finally:
            self._mailbox.wait(_TICK_S)

    def _release(self) -> int:
        self._link.close()
        return 0

    def _react(self) -> None:
        """React to what the broker did."""
        for event in self._link.take_events():
            match event:
                case Connected():
                    self._tally.set_working()
                    self._states.publish_all()
                case Disconnected(reason):
                    self._tally.add_failure(reason)
                case Received(topic, payload, was_retained):
                    self._states.listen(topic, payload, was_retained=was_retained)

    def _absorb(self) -> None:
        """Take over what has come in; reports are published if there is a connection that keeps up."""
        for item in self._mailbox.take_all():
            match item:
                case _Announcement(camera, labels):
                    self._states.set_labels(camera, labels)
                case CameraState():
                    self._states.set_condition(item)
                    if item.event_type is not None:  # while there is no connection, the retained state says it later
                        topic = self._states.topics.events(item.camera)
                        self._count(was_sent=self._link.publish_notice(topic, item.event_text))
                case _TimedReport(report, at_s):
                    self._states.see(report, at_s)
                    topic = self._states.topics.detections(report.camera)
                    self._count(was_sent=self._link.publish_event(topic, report.json_text))

    def _count(self, *, was_sent: bool) -> None:
        (self._tally.add_sent if was_sent else self._tally.add_dropped)()

    def _publish_states(self) -> None:
        self._states.update()
        while self._link.takes_states and (message := self._states.retained.next_unpublished()):
            self._link.publish_state(*message)

    def _finish(self) -> None:
        """Say goodbye; a broker that does not answer within two seconds publishes the last will."""
        self._absorb()
        self._states.retained.set(self._states.topics.status, OFFLINE)
        until_s = self._clock.monotonic_s() + _GOODBYE_S
        while self._link.is_up and self._clock.monotonic_s() < until_s:
            self._publish_states()
            if self._link.is_settled:
                return
            time.sleep(_GOODBYE_TICK_S)
            for _ in self._link.take_events():
                pass  # only acknowledgements matter now
