"""Settings of an edge node: its cameras, what runs beside the detection, and where detections go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from edge_autotuner.config.base import FrozenConfig, PlainName, Seconds
from edge_autotuner.config.run import RunConfig
from edge_autotuner.config.service import ServiceConfig

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?")
_STANDARD_OUTPUT = Path("-")
_HOME_ASSISTANT = "homeassistant"
"""The first part of Home Assistant's own topics; its status is told there whatever its discovery topic is."""
_RESERVED_NAMES = {"con", "nul", "aux", "prn"}
"""In lower case: names that some systems cannot have for a file."""
_RESERVED_SUFFIXES = (".json", ".tmp", ".lock", ".yaml")
"""Of the files that the node writes beside the cameras' folders, such as status.json."""


class CameraConfig(FrozenConfig):
    """One camera: a context of its own, with models of its own."""

    name: PlainName = Field(description="Names its folder, its topics and its models.")
    source: str = Field(min_length=1, description="An address such as rtsp://camera/stream, a webcam, or a recording.")
    place: str = Field("", max_length=200, description="Where it hangs, for people.")
    shows: str = Field("", max_length=200, description="What it shows, for people.")
    settings: Mapping[str, Any] = Field(
        default_factory=dict, description="What differs from `run` for this camera, in the same layout."
    )


class DetectConfig(FrozenConfig):
    """How the deployed model looks at the camera."""

    max_rate_hz: float = Field(5.0, gt=0, le=1000, description="Most frames per second that are looked at.")
    min_score: float = Field(0.3, gt=0, lt=1, description="Weaker detections are not reported.")
    max_detections: int = Field(100, ge=1, le=10_000, description="Most detections per frame.")
    n_threads: int = Field(1, ge=1, le=256, description="CPU threads of the model.")


class BatchConfig(FrozenConfig):
    """When a camera has collected enough to learn from (paper, section 4.2: by count, or at a deadline)."""

    max_frames: int = Field(300, ge=10, le=100_000, description="With so many training frames a batch is full.")
    max_age_s: Seconds = Field(
        6 * 3600.0,
        gt=0,
        description="At this age a batch is closed too, if it has `min_frames`; else when it has them.",
    )
    min_frames: int = Field(40, ge=1, le=100_000, description="Fewer training frames are not worth a training.")
    pause_s: Seconds | None = Field(
        24 * 3600.0, gt=0, description="Time after a batch in which nothing is collected; null: collect one batch only."
    )

    @model_validator(mode="after")
    def _can_be_full(self) -> BatchConfig:
        if self.min_frames > self.max_frames:
            raise ValueError(f"min_frames {self.min_frames} is above max_frames {self.max_frames}")
        return self


class BackgroundWorkConfig(FrozenConfig):
    """What annotation and training may use of the machine beside the detection."""

    max_cpu_percent: float = Field(
        50.0, gt=0, le=100, description="Share of all cores of the machine that background work may use."
    )
    priority: Literal["idle", "low", "normal"] = Field(
        "idle",
        description="idle: only cores that nothing else wants; low: nice 19; normal: like the detection itself. Where "
        "other programs keep all cores busy, idle work never ends.",
    )
    max_memory_mb: float | None = Field(
        None,
        gt=0,
        le=10_000_000,
        description="Memory limit of the learning process, megabytes; above it the process is ended and tried again "
        "later. null: only `min_free_memory_mb` applies.",
    )
    min_free_memory_mb: float = Field(
        100.0,
        ge=0,
        le=10_000_000,
        description="Memory to keep free on the machine, or in its container, megabytes. With less, the learning "
        "process is not started, and a running one is ended before the kernel ends something else.",
    )
    first_retry_s: Seconds = Field(60.0, gt=0, description="Wait after a failed attempt; doubles each time.")
    longest_retry_s: Seconds = Field(3600.0, gt=0, description="Longest wait between two attempts.")


class StorageConfig(FrozenConfig):
    """What is kept on the disk, and for how long."""

    min_free_mb: float = Field(500.0, ge=0, le=1e9, description="No frame is collected while less is free; megabytes.")
    keep_pictures_s: Seconds = Field(
        30 * 24 * 3600.0,
        gt=0,
        description="Pictures of a batch that was learned from are deleted this long after it was closed.",
    )
    keep_waiting_s: Seconds = Field(
        90 * 24 * 3600.0,
        gt=0,
        description="Delete pictures of a batch that was not learned from this long after it was closed; those of an "
        "incomplete batch once its camera has been watched for this long.",
    )
    keep_replay_s: Seconds = Field(
        365 * 24 * 3600.0,
        gt=0,
        description="Pictures of the replay reservoir are deleted this long after they came there.",
    )
    keep_batches: int = Field(
        10, ge=1, le=100_000, description="Older finished batches are deleted, with reports and models."
    )
    keep_bundles: int = Field(5, ge=1, le=100_000, description="Models kept to go back to, besides the deployed one.")


class JsonLinesConfig(FrozenConfig):
    """Detections as lines of JSON."""

    path: Path | None = Field(None, description="File that lines are added to; null or -: standard output.")
    max_mb: float = Field(
        100.0, gt=0, le=1_000_000, description="A larger file is moved to NAME.1, and a new one begun; megabytes."
    )

    @field_validator("path")
    @classmethod
    def _dash_is_standard_output(cls, path: Path | None) -> Path | None:
        return None if path == _STANDARD_OUTPUT else path


class MqttConfig(FrozenConfig):
    """Detections to an MQTT broker, in the form that Home Assistant discovers."""

    host: str = Field(min_length=1, max_length=253, description="Broker: a host name or an IP address, not a URL.")
    port: int = Field(1883, ge=1, le=65535, description="Its port; 8883 is usual with TLS.")
    username: str | None = Field(None, description="How the node logs in.")
    password_file: Path | None = Field(None, description="File with the password; never the password itself.")
    tls: bool = Field(False, description="Encrypt, and check the broker's certificate.")
    ca_file: Path | None = Field(None, description="Who signed that certificate; null: the system's authorities.")
    topic: PlainName = Field(
        "edge-autotuner", description="First part of all topics; each node at a broker needs its own."
    )
    discovery_topic: PlainName | None = Field(
        _HOME_ASSISTANT, description="Where Home Assistant looks for devices; null: do not announce any."
    )
    clear_after_s: Seconds = Field(5.0, gt=0, description="A class counts as gone after this long without being seen.")

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, host: str) -> str:
        if "://" in host:
            raise ValueError("expected a name or an IP address without a scheme; port and tls are other settings")
        if not _HOST.fullmatch(host) and not _is_ipv6(host):
            raise ValueError("expected a name such as broker.local, or an IP address, without port, login or path")
        return host

    @model_validator(mode="after")
    def _belong_together(self) -> MqttConfig:
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs a username")
        if self.ca_file is not None and not self.tls:
            raise ValueError("ca_file is for tls: true")
        return self

    @model_validator(mode="after")
    def _has_its_own_topic(self) -> MqttConfig:
        if self.topic in {self.discovery_topic, _HOME_ASSISTANT}:
            raise ValueError(f"topic {self.topic} is that of Home Assistant, whose status is told there; take another")
        return self


class WebhookConfig(FrozenConfig):
    """Detections as HTTP POST requests with a JSON body."""

    url: str = Field(pattern=r"^https?://", description="Where to; without a login.")
    token_file: Path | None = Field(None, description="File with a bearer token; never the token itself.")
    ca_file: Path | None = Field(None, description="Who signed the certificate; null: the system's authorities.")
    timeout_s: Seconds = Field(5.0, gt=0, description="Longest wait for an answer.")
    min_gap_s: Seconds = Field(1.0, gt=0, description="Least time between two requests for one camera.")
    when: Literal["change", "detection"] = Field(
        "change",
        description="change: when the number of objects of a class changes, and once after the start; detection: "
        "whenever there is one.",
    )


def _is_ipv6(host: str) -> bool:
    try:
        return IPv6Address(host).version == 6
    except ValueError:
        return False


class OutputsConfig(FrozenConfig):
    """Where detections go."""

    json_lines: JsonLinesConfig | None = Field(None, description="As lines of JSON; null: not.")
    mqtt: MqttConfig | None = Field(None, description="To an MQTT broker; null: not.")
    webhook: WebhookConfig | None = Field(None, description="As HTTP requests; null: not.")


class RegistryConfig(FrozenConfig):
    """The model registry of a service: models are published there, promotions and rollbacks are carried out here."""

    service: ServiceConfig = Field(description="Where the registry is; as `annotation.service` of a run.")
    trusted_keys: tuple[str, ...] = Field(
        (),
        description="Public keys, `ed25519:...` or PEM files: only bundles signed by one of them are deployed.",
    )
    allow_unsigned: bool = Field(
        False, description="Accept unsigned bundles: everybody with a token of the registry is trusted."
    )
    signing_key: Path | None = Field(
        None, description="Private key (PEM) that signs what is published; null: not signed."
    )
    runs_models_of: tuple[PlainName, ...] = Field(
        (),
        max_length=1000,
        description="Other cameras whose models this node's cameras may run. A camera always runs models made for it, "
        "and models that name no camera.",
    )
    decides: Literal["node", "registry"] = Field(
        "node",
        description="node: a winner is deployed here and promoted there; registry: winners wait there for a promotion.",
    )
    poll_every_s: Seconds = Field(10.0, gt=0, description="Time between two questions.")

    @model_validator(mode="after")
    def _trusts_somebody(self) -> RegistryConfig:
        if self.service.url is None:
            raise ValueError("service.url is needed")
        if not self.trusted_keys and not self.allow_unsigned:
            raise ValueError("trusted_keys are needed: who may sign models; or set allow_unsigned")
        return self


class LearningConfig(FrozenConfig):
    """What the learning process of one camera is told."""

    run: RunConfig = Field(description="How the camera learns.")
    service: RegistryConfig | None = Field(None, description="The service that trains; null: training is done here.")


class NodeConfig(FrozenConfig):
    """An edge node: several cameras, each of which learns by itself."""

    folder: Path = Field(Path("node"), description="Everything that the node keeps.")
    group_access: bool = Field(False, description="Let the folder's group read the data; false: only its owner.")
    cameras: tuple[CameraConfig, ...] = Field(min_length=1, description="The cameras.")
    learns: bool = Field(
        True,
        description="Collect and train. false: run the finished bundle that `run.edge_model` names, and the models "
        "that a registry deploys.",
    )
    trains_on: Literal["node", "service"] = Field(
        "node",
        description="Where batches are trained on: node: here, which needs torch; service: at the one of `registry`, "
        "which gets the pictures; then this machine needs no torch, and `run.edge_model` is the folder of a bundle.",
    )
    run: RunConfig = Field(RunConfig(), description="How all cameras learn; see the settings of `run`.")
    detect: DetectConfig = DetectConfig()
    batch: BatchConfig = BatchConfig()
    background: BackgroundWorkConfig = BackgroundWorkConfig()
    storage: StorageConfig = StorageConfig()
    registry: RegistryConfig | None = Field(None, description="A registry to share models with; null: none.")
    outputs: OutputsConfig = OutputsConfig(json_lines=JsonLinesConfig())

    @model_validator(mode="after")
    def _makes_sense(self) -> NodeConfig:
        if self.trains_on == "service" and not self.learns:
            raise ValueError("trains_on: service is for a node that learns, and learns is false")
        if self.trains_on == "service" and self.registry is None:
            raise ValueError(
                "trains_on: service needs a registry: its service trains, and its keys say what is trusted"
            )
        mqtt = self.outputs.mqtt
        if mqtt is not None and 1 / self.detect.max_rate_hz >= mqtt.clear_after_s:
            raise ValueError("outputs.mqtt.clear_after_s must be longer than the time between two looks at a camera")
        for camera in self.cameras:
            name = camera.name.lower()
            if name in _RESERVED_NAMES or name.endswith(_RESERVED_SUFFIXES):
                raise ValueError(
                    f"a camera cannot be called {camera.name}: the name is reserved for a file of the node"
                )
        names = [camera.name for camera in self.cameras]
        if len({name.lower() for name in names}) < len(names):
            raise ValueError(f"cameras need different names, got {', '.join(names)}")
        for camera in self.cameras:
            try:
                self.run_of(camera)
            except ValidationError as exc:
                first = exc.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                raise ValueError(f"settings of camera {camera.name}: {where}: {first['msg']}") from exc
        return self

    def run_of(self, camera: CameraConfig) -> RunConfig:
        """Return how one camera learns: `run`, with what differs for it."""
        return RunConfig.model_validate(_merged(self.run.model_dump(), camera.settings))


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for key, change in changes.items():
        there = merged.get(key)
        both_nested = isinstance(there, Mapping) and isinstance(change, Mapping)
        merged[key] = _merged(there, change) if both_nested else change  # type: ignore[arg-type]
    return merged
