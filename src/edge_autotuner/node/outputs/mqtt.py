"""Detections to an MQTT broker: reports as they come, and for each class of each camera a state that stays."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from edge_autotuner.client.credentials import make_ssl_context, read_secret
from edge_autotuner.config.node import CameraConfig, MqttConfig
from edge_autotuner.core import Clock, LabelMap, SystemClock
from edge_autotuner.node.camera_health import CameraState
from edge_autotuner.node.fault_domain import FIRST_RETRY_S, LONGEST_RETRY_S
from edge_autotuner.node.outputs.discovery import (
    ABSENT,
    OFFLINE,
    ONLINE,
    PRESENT,
    Topics,
    camera_messages,
    camera_of_announcement,
    class_ids_in_topics,
    discovery_messages,
)
from edge_autotuner.node.outputs.mailbox import Mailbox
from edge_autotuner.node.outputs.mqtt_link import Connected, Disconnected, MqttLink, Received
from edge_autotuner.node.outputs.presence import Presence
from edge_autotuner.node.outputs.report import DetectionReport
from edge_autotuner.node.outputs.retained import RetainedMessages
from edge_autotuner.node.outputs.tally import OutputStatus, Tally

logger = logging.getLogger(__name__)

_CAPACITY = 256
_CLOSE_S = 3.0
_GOODBYE_S = 2.0
_GOODBYE_TICK_S = 0.02
_TICK_S = 1.0  # how often presence is checked when nothing happens


@dataclass(frozen=True)
class _Announcement:
    """A camera's model knows these classes from now on."""

    camera: str
    labels: LabelMap


@dataclass(frozen=True, eq=False)
class _Seen:
    """A report, and when it came on the monotonic clock."""

    report: DetectionReport
    at_s: float


class MqttOutput:
    """Publishes from its own thread; while the broker is away, reports are dropped and states are remembered.

    Args:
        config: where to.
        cameras: the only ones of which reports may come.
        clock: of presence and time limits.
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
        self._clock = clock or SystemClock()
        self._tally = Tally(self.name)
        self._states = _States(config, cameras)
        self._names = {camera.name for camera in cameras}
        self._mailbox: Mailbox[_Seen | _Announcement | CameraState] = Mailbox(_CAPACITY)
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
        self._thread = threading.Thread(target=self._run, name=f"output {self.name}", daemon=True)
        self._thread.start()

    @property
    def status(self) -> OutputStatus:
        """Its counts; states are not counted."""
        return self._tally.status

    def announce(self, camera: str, labels: LabelMap) -> None:
        """Tell Home Assistant soon what a camera's model can see, before it has seen anything."""
        self._check_name(camera)
        self._tally.add_dropped(self._mailbox.put(_Announcement(camera, labels)))

    def take(self, report: DetectionReport) -> None:
        """Have a report published soon."""
        self._check_name(report.camera)
        self._tally.add_dropped(self._mailbox.put(_Seen(report, self._clock.monotonic_s())))

    def tell(self, state: CameraState) -> None:
        """Have it published that a camera gives pictures from now on, or none any more."""
        self._check_name(state.camera)
        self._tally.add_dropped(self._mailbox.put(state))

    def close(self) -> None:
        """Say goodbye to the broker; one that does not answer within two seconds publishes the last will."""
        self._mailbox.close()
        self._thread.join(_CLOSE_S)

    def _check_name(self, camera: str) -> None:
        if camera not in self._names:
            raise ValueError(f"there is no camera {camera}")

    def _run(self) -> None:
        try:
            while not self._mailbox.is_closed:
                self._run_once()
            self._say_goodbye()
        finally:
            self._tally.add_dropped(len(self._mailbox.take_all()))
            self._link.close()

    def _run_once(self) -> None:
        try:
            self._link.revive()
            self._react()
            if self._link.is_up is not None:  # what came during the first attempt waits for its end
                self._absorb()
                self._say_states()
        except Exception as exc:  # the thread's edge
            logger.exception("output %s: unexpected error", self.name)
            self._tally.add_failure(f"unexpected {type(exc).__name__}")
        self._mailbox.wait(_TICK_S)

    def _react(self) -> None:
        """React to what the broker did."""
        for event in self._link.take_events():
            match event:
                case Connected():
                    self._tally.set_working()
                    self._states.say_all()
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
                case _Seen(report, at_s):
                    self._states.see(report, at_s)
                    topic = self._states.topics.detections(report.camera)
                    self._count(was_sent=self._link.publish_event(topic, report.json_text))

    def _count(self, *, was_sent: bool) -> None:
        (self._tally.add_sent if was_sent else self._tally.add_dropped)()

    def _say_states(self) -> None:
        self._states.update()
        while self._link.takes_states and (message := self._states.retained.next_unsaid()):
            self._link.publish_state(*message)

    def _say_goodbye(self) -> None:
        self._absorb()
        self._states.retained.set(self._states.topics.status, OFFLINE)
        until_s = self._clock.monotonic_s() + _GOODBYE_S
        while self._link.is_up and self._clock.monotonic_s() < until_s:
            self._say_states()
            if self._link.is_settled:
                return
            time.sleep(_GOODBYE_TICK_S)
            for _ in self._link.take_events():
                pass  # only acknowledgements matter now


class _States:
    """What Home Assistant should know of all cameras; used by one thread."""

    def __init__(self, config: MqttConfig, cameras: Sequence[CameraConfig]) -> None:
        self.topics = Topics(config)
        self.retained = RetainedMessages()
        self._config = config
        self._cameras = {camera.name: camera for camera in cameras}
        self._labels: dict[str, LabelMap] = {}
        self._class_ids: dict[str, dict[str, str]] = {}  # by camera and class: how topics call it
        self._presence = {camera.name: Presence(config.clear_after_s) for camera in cameras}
        self._is_looked_at: set[str] = set()  # cameras whose present model has looked at a frame
        self._announced: dict[str, bytes] = {}  # what the broker held of earlier lives or models, by topic
        for camera in cameras:
            self.set_condition(CameraState(camera.name, "starting", None, datetime.now(UTC)))
            for topic, payload in camera_messages(config, camera).items():
                self.retained.set(topic, payload)

    def see(self, report: DetectionReport, at_s: float) -> None:
        """Take a report into account."""
        self.set_labels(report.camera, report.labels)
        self._is_looked_at.add(report.camera)
        self._presence[report.camera].see(report.counts, at_s)

    def set_labels(self, camera: str, labels: LabelMap) -> None:
        """Announce the classes of a camera's model; those that only an earlier one knew are removed."""
        if self._labels.get(camera) == labels:
            return
        if camera in self._labels:
            self._announced |= discovery_messages(self._config, self._cameras[camera], self._labels[camera])
            self._clear_states(camera, keep=labels)
        self._labels[camera] = labels
        self._is_looked_at.discard(camera)
        self._class_ids[camera] = class_ids_in_topics(labels)
        self._presence[camera].keep_only(labels)
        for topic, payload in discovery_messages(self._config, self._cameras[camera], labels).items():
            self.retained.set(topic, payload)
        self._remove_leftovers(camera)

    def set_condition(self, state: CameraState) -> None:
        """Say whether a camera gives pictures; what was last seen stays, and is unavailable while it gives none."""
        topics, camera = self.topics, state.camera
        self.retained.set(topics.camera_state(camera), json.dumps(state.to_json()).encode("ascii"))
        self.retained.set(topics.problem(camera), PRESENT if state.condition == "lost" else ABSENT)
        self.retained.set(topics.availability(camera), ONLINE if state.is_available else OFFLINE)

    def update(self) -> None:
        """Bring the states of all cameras up to date that were looked at; of others nothing is known."""
        for camera in self._is_looked_at:
            for label, class_id in self._class_ids[camera].items():
                count = self._presence[camera].count(label)
                self.retained.set(self.topics.count(camera, class_id), b"%d" % count)
                self.retained.set(self.topics.present(camera, class_id), PRESENT if count else ABSENT)

    def say_all(self) -> None:
        """Say everything to a broker that may know nothing; that the node is there comes last."""
        self.retained.set(self.topics.status, ONLINE)
        self.retained.repeat_all(last=self.topics.status)

    def listen(self, topic: str, payload: bytes, *, was_retained: bool) -> None:
        """React to a message from the broker."""
        if topic == self.topics.status:
            if payload != ONLINE:  # the will of an earlier connection, whose end the broker noticed late
                self.retained.repeat(topic)
        elif topic in self.topics.births:
            if payload == ONLINE and not was_retained:
                self.say_all()
        elif was_retained and payload:
            self._announced[topic] = payload
            made_by = camera_of_announcement(payload)
            if made_by is not None and made_by[0] in self._labels:
                self._remove_leftovers(made_by[0])

    def _remove_leftovers(self, camera: str) -> None:
        wanted = discovery_messages(self._config, self._cameras[camera], self._labels[camera])
        wanted |= camera_messages(self._config, self._cameras[camera])
        for topic, payload in list(self._announced.items()):
            made_by = camera_of_announcement(payload)
            if made_by is None or made_by[0] != camera:
                continue
            del self._announced[topic]
            if topic not in wanted:
                self.retained.set(topic, b"")
                if self.topics.is_of_camera(made_by[1], camera):
                    self.retained.set(made_by[1], b"")

    def _clear_states(self, camera: str, *, keep: LabelMap) -> None:
        """Remove the states of classes that a new model does not know."""
        kept = set(class_ids_in_topics(keep).values())
        for class_id in self._class_ids[camera].values():
            if class_id not in kept:
                self.retained.set(self.topics.count(camera, class_id), b"")
                self.retained.set(self.topics.present(camera, class_id), b"")
