"""Settings of an edge node: cameras, detection, learning, storage and outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from edge_autotuner.config.base import FrozenConfig, PlainName, Seconds
from edge_autotuner.config.feeding import FeedingMode
from edge_autotuner.config.places import LineEnds, ZoneCorners
from edge_autotuner.config.run import RunConfig
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core.plugins import OUTPUTS, RUNTIMES, TRIGGERS

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?")
TriggerName = Annotated[str, AfterValidator(TRIGGERS.require)]
_STANDARD_OUTPUT = Path("-")
_HOME_ASSISTANT = "homeassistant"
"""First level of Home Assistant's own topics, where it publishes its status whatever the discovery prefix."""
_RESERVED_NAMES = {"con", "nul", "aux", "prn"}
"""Reserved file names on some systems, in lower case."""
_RESERVED_SUFFIXES = (".json", ".tmp", ".lock", ".yaml")
"""Suffixes of files that the node writes beside the cameras' folders, e.g. status.json."""


_MAX_PLACES = 50


class CameraConfig(FrozenConfig):
    """One camera: a context with its own models."""

    name: PlainName = Field(description="Name of the camera; used for its folder, topics and models.")
    source: str = Field(min_length=1, description="Address such as rtsp://camera/stream, a webcam, or a recording.")
    place: str = Field("", max_length=200, description="Location, for people.")
    shows: str = Field("", max_length=200, description="What the camera shows, for people.")
    settings: Mapping[str, Any] = Field(
        default_factory=dict, description="Settings that override `run` for this camera, in the same layout."
    )
    lines: Mapping[PlainName, LineEnds] = Field(
        default_factory=dict,
        max_length=_MAX_PLACES,
        description="Lines to count crossings at: NAME: [[x, y], [x, y]], fractions of width and height. Seen from the "
        "first point to the second, a crossing from left to right is in, and one from right to left is out.",
    )
    zones: Mapping[PlainName, ZoneCorners] = Field(
        default_factory=dict,
        max_length=_MAX_PLACES,
        description="Zones to count objects in: NAME: three or more corners [x, y], fractions of width and height, in "
        "order around the zone.",
    )

    @model_validator(mode="after")
    def _places_can_be_told_apart(self) -> CameraConfig:
        both = sorted(set(self.lines) & set(self.zones))
        if both:
            raise ValueError(f"{both[0]} is a line and a zone; give one of them another name")
        flat = [name for name, (start, end) in self.lines.items() if start == end]
        if flat:
            raise ValueError(f"line {flat[0]} needs two different points")
        return self


class DetectConfig(FrozenConfig):
    """How the deployed model runs on camera frames."""

    max_rate_hz: float = Field(5.0, gt=0, le=1000, description="Maximum detection rate, frames per second.")
    min_score: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Minimum score of a reported detection; null: the operating point of the model, or "
        "0.3 where its bundle has none.",
    )
    max_detections: int = Field(100, ge=1, le=10_000, description="Maximum detections per frame.")
    n_threads: int = Field(1, ge=1, le=256, description="CPU threads of the model.")
    runtime: Annotated[str, AfterValidator(RUNTIMES.require)] = Field(
        "onnxruntime", description="Runtime of the model: onnxruntime, or one of another installed package."
    )
    mode: FeedingMode | None = Field(
        None,
        description="full: show the model whole frames; regions: what moves, magnified and packed into one input, and "
        "a whole frame now and then; auto: regions on cameras where what moves is small; null: as the bundle says, or "
        "full.",
    )


class TrackingConfig(FrozenConfig):
    """How objects are followed from frame to frame."""

    enabled: bool = Field(
        True,
        description="Give the objects in reports an id, report when they appear and leave, and count at the lines and "
        "zones of cameras.",
    )
    min_seen: int = Field(
        3,
        ge=1,
        le=1000,
        description="Frames in a row that must show an object before it counts; single ones are noise.",
    )
    lost_s: Seconds = Field(3.0, gt=0, le=3600, description="An object that is not seen for longer has left.")


class BatchConfig(FrozenConfig):
    """When a batch of frames is complete (paper, section 4.2: by count, or at a deadline)."""

    max_frames: int = Field(300, ge=10, le=100_000, description="Close a batch at this many training frames.")
    max_age_s: Seconds = Field(
        6 * 3600.0,
        gt=0,
        description="Close a batch at this age, once it has `min_frames`.",
    )
    min_frames: int = Field(40, ge=1, le=100_000, description="Minimum training frames of a batch.")
    pause_s: Seconds | None = Field(
        24 * 3600.0, gt=0, description="Pause between batches; null: collect only one batch."
    )
    trigger: TriggerName = Field(
        "closed",
        description="When to learn: closed: from every batch once it is closed; or a trigger of another installed "
        "package.",
    )

    @model_validator(mode="after")
    def _can_be_full(self) -> BatchConfig:
        if self.min_frames > self.max_frames:
            raise ValueError(f"min_frames must not exceed max_frames, got {self.min_frames} and {self.max_frames}")
        return self


class LearningProcessConfig(FrozenConfig):
    """Resource limits for annotation and training beside detection."""

    max_cpu_percent: float = Field(50.0, gt=0, le=100, description="Maximum CPU use, percent of all cores.")
    priority: Literal["idle", "low", "normal"] = Field(
        "idle",
        description=(
            "idle: use only otherwise idle cores; low: nice 19; normal: same as detection. If other programs keep "
            "all cores busy, idle work never finishes."
        ),
    )
    max_memory_mb: float | None = Field(
        None,
        gt=0,
        le=10_000_000,
        description=(
            "Memory limit of the learning process, MB; above it, the process is stopped and retried later. null: "
            "only `min_free_memory_mb` applies."
        ),
    )
    min_free_memory_mb: float = Field(
        100.0,
        ge=0,
        le=10_000_000,
        description=(
            "Memory to keep free on the machine or in its container, MB. With less, learning does not start, and a "
            "running process is stopped before the kernel kills something else."
        ),
    )
    first_retry_s: Seconds = Field(60.0, gt=0, description="Delay after a failed attempt; doubles each time.")
    longest_retry_s: Seconds = Field(3600.0, gt=0, description="Maximum delay between attempts.")


class StorageConfig(FrozenConfig):
    """Disk reserve and retention."""

    min_free_mb: float = Field(
        500.0, ge=0, le=1e9, description="Stop collecting frames with less free disk space than this, MB."
    )
    keep_pictures_s: Seconds = Field(
        30 * 24 * 3600.0,
        gt=0,
        description="Delete a batch's pictures this long after it was closed, if it was learned from.",
    )
    keep_waiting_s: Seconds = Field(
        90 * 24 * 3600.0,
        gt=0,
        description=(
            "Delete a batch's pictures this long after it was closed, if it was not learned from; those of an "
            "incomplete batch once its camera has been watched for this long."
        ),
    )
    keep_replay_s: Seconds = Field(
        365 * 24 * 3600.0,
        gt=0,
        description="Delete pictures of the replay reservoir this long after they were added.",
    )
    keep_batches: int = Field(
        10, ge=1, le=100_000, description="Finished batches to keep, with reports and models; older ones are deleted."
    )
    keep_bundles: int = Field(
        5, ge=1, le=100_000, description="Models to keep for a rollback, besides the deployed one."
    )


class JsonLinesConfig(FrozenConfig):
    """Detections as lines of JSON."""

    path: Path | None = Field(None, description="File to append to; null or -: standard output.")
    max_mb: float = Field(100.0, gt=0, le=1_000_000, description="Rotate the file to NAME.1 at this size, MB.")

    @field_validator("path")
    @classmethod
    def _dash_is_standard_output(cls, path: Path | None) -> Path | None:
        return None if path == _STANDARD_OUTPUT else path


class MqttConfig(FrozenConfig):
    """Detections to an MQTT broker, with Home Assistant discovery."""

    host: str = Field(min_length=1, max_length=253, description="Broker's host name or IP address, not a URL.")
    port: int = Field(1883, ge=1, le=65535, description="Broker's port; usually 8883 with TLS.")
    username: str | None = Field(None, description="User name to log in with.")
    password_file: Path | None = Field(None, description="File with the password; never the password itself.")
    tls: bool = Field(False, description="Use TLS, and verify the broker's certificate.")
    ca_file: Path | None = Field(None, description="CA bundle (PEM) to verify the broker with; null: the system's.")
    topic: PlainName = Field(
        "edge-autotuner", description="First level of all topics; must be unique for each node at a broker."
    )
    discovery_topic: PlainName | None = Field(
        _HOME_ASSISTANT, description="Home Assistant's discovery prefix; null: no discovery."
    )
    clear_after_s: Seconds = Field(5.0, gt=0, description="Report a class as gone after this long without a detection.")

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, host: str) -> str:
        if "://" in host:
            raise ValueError("expected a host name or IP address without a scheme; set port and tls separately")
        if not _HOST.fullmatch(host) and not _is_ipv6(host):
            raise ValueError("expected a host name such as broker.local, or an IP address, without port, login or path")
        return host

    @model_validator(mode="after")
    def _belong_together(self) -> MqttConfig:
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs a username")
        if self.ca_file is not None and not self.tls:
            raise ValueError("ca_file needs tls: true")
        return self

    @model_validator(mode="after")
    def _has_its_own_topic(self) -> MqttConfig:
        if self.topic in {self.discovery_topic, _HOME_ASSISTANT}:
            raise ValueError(f"topic {self.topic} is used by Home Assistant itself; choose another")
        return self


class WebhookConfig(FrozenConfig):
    """Detections as HTTP POST requests with a JSON body."""

    url: str = Field(pattern=r"^https?://", description="URL to post to, without a login.")
    token_file: Path | None = Field(None, description="File with a bearer token; never the token itself.")
    ca_file: Path | None = Field(None, description="CA bundle (PEM) to verify the server with; null: the system's.")
    timeout_s: Seconds = Field(5.0, gt=0, description="Time limit of a request.")
    min_gap_s: Seconds = Field(1.0, gt=0, description="Minimum time between requests for one camera.")
    when: Literal["change", "detection"] = Field(
        "change",
        description=(
            "change: post when the number of objects of a class changes, and once after the start; detection: post "
            "whenever there is a detection."
        ),
    )


def _is_ipv6(host: str) -> bool:
    try:
        return IPv6Address(host).version == 6
    except ValueError:
        return False


class OutputsConfig(FrozenConfig):
    """Where detections are sent."""

    json_lines: JsonLinesConfig | None = Field(None, description="Detections as lines of JSON; null: off.")
    mqtt: MqttConfig | None = Field(None, description="Detections to an MQTT broker; null: off.")
    webhook: WebhookConfig | None = Field(None, description="Detections as HTTP requests; null: off.")
    plugins: dict[str, dict[str, Any]] = Field(
        {}, description="Outputs of other installed packages: NAME: {its settings}."
    )

    @property
    def named(self) -> dict[str, Any]:
        """The settings of each output that is on, by its name in `OUTPUTS`."""
        built_in = {name: getattr(self, name) for name in OUTPUTS.built_in}
        return {name: settings for name, settings in built_in.items() if settings is not None} | self.plugins

    @field_validator("plugins")
    @classmethod
    def _are_installed(cls, plugins: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in plugins:
            if name in OUTPUTS.built_in:
                raise ValueError(f"{name} is no plug-in; write outputs.{name}")
            OUTPUTS.require(name)
        return plugins


class RegistryConfig(FrozenConfig):
    """Model registry of a service: publish models there, and follow its promotions and rollbacks."""

    service: ServiceConfig = Field(description="Connection to the registry; same as `annotation.service` of a run.")
    trusted_keys: tuple[str, ...] = Field(
        (),
        description="Public keys, `ed25519:...` or PEM files; only bundles signed by one of them are deployed.",
    )
    allow_unsigned: bool = Field(
        False, description="Accept unsigned bundles, i.e. trust everyone with a token of the registry."
    )
    signing_key: Path | None = Field(
        None, description="Private key (PEM) to sign published bundles with; null: do not sign."
    )
    runs_models_of: tuple[PlainName, ...] = Field(
        (),
        max_length=1000,
        description=(
            "Other cameras whose models this node's cameras may run. A camera may always run its own models, and "
            "models that name no camera."
        ),
    )
    decides: Literal["node", "registry"] = Field(
        "node",
        description=(
            "node: deploy a winner here, and promote it at the registry; registry: winners wait for a promotion there."
        ),
    )
    poll_every_s: Seconds = Field(10.0, gt=0, description="Polling interval.")

    @model_validator(mode="after")
    def _trusts_somebody(self) -> RegistryConfig:
        if self.service.url is None:
            raise ValueError("service.url is required")
        if not self.trusted_keys and not self.allow_unsigned:
            raise ValueError("set trusted_keys, the keys that may sign models, or allow_unsigned")
        return self


class LearningConfig(FrozenConfig):
    """Input of one camera's learning process."""

    run: RunConfig = Field(description="Settings of the run.")
    service: RegistryConfig | None = Field(None, description="Service that trains; null: train here.")
    trigger: TriggerName = Field("closed", description="As `batch.trigger`.")


class NodeConfig(FrozenConfig):
    """An edge node with one or more cameras, each of which learns by itself."""

    folder: Path = Field(Path("node"), description="Folder for all data of the node.")
    group_access: bool = Field(False, description="Let the folder's group read the data; false: owner only.")
    cameras: tuple[CameraConfig, ...] = Field(min_length=1, description="Cameras to watch.")
    learns: bool = Field(
        True,
        description=(
            "Collect frames and train. false: only run the finished bundle named by `run.edge_model`, and models "
            "that a registry deploys."
        ),
    )
    trains_on: Literal["node", "service"] = Field(
        "node",
        description=(
            "node: train here, which needs torch; service: train at the service of `registry`, which receives the "
            "pictures. Then this machine needs no torch, and `run.edge_model` is the folder of a bundle."
        ),
    )
    idle_motion_rate_hz: float = Field(
        5.0,
        gt=0,
        le=1000,
        description="Most frames per second that are compared with the background while no batch is open; while one "
        "is, every frame is.",
    )
    run: RunConfig = Field(RunConfig(), description="How all cameras learn; see the settings of `run`.")
    detect: DetectConfig = DetectConfig()
    tracking: TrackingConfig = TrackingConfig()
    batch: BatchConfig = BatchConfig()
    background: LearningProcessConfig = LearningProcessConfig()
    storage: StorageConfig = StorageConfig()
    registry: RegistryConfig | None = Field(None, description="Model registry to use; null: none.")
    outputs: OutputsConfig = OutputsConfig(json_lines=JsonLinesConfig())

    @model_validator(mode="after")
    def _makes_sense(self) -> NodeConfig:
        if not self.tracking.enabled and any(camera.lines or camera.zones for camera in self.cameras):
            raise ValueError("lines and zones of cameras need tracking.enabled: true")
        if self.trains_on == "service" and not self.learns:
            raise ValueError("trains_on: service needs learns: true")
        if self.trains_on == "service" and self.registry is None:
            raise ValueError("trains_on: service needs registry: its service trains, and its trusted_keys apply")
        mqtt = self.outputs.mqtt
        if mqtt is not None and 1 / self.detect.max_rate_hz >= mqtt.clear_after_s:
            raise ValueError("outputs.mqtt.clear_after_s must be longer than 1 / detect.max_rate_hz")
        for camera in self.cameras:
            name = camera.name.lower()
            if name in _RESERVED_NAMES or name.endswith(_RESERVED_SUFFIXES):
                raise ValueError(f"camera name {camera.name} is reserved for a file of the node; choose another")
        names = [camera.name for camera in self.cameras]
        if len({name.lower() for name in names}) < len(names):
            raise ValueError(f"camera names must be unique, ignoring case, got {', '.join(names)}")
        for camera in self.cameras:
            try:
                self.run_of(camera)
            except ValidationError as exc:
                first = exc.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                raise ValueError(f"settings of camera {camera.name}: {where}: {first['msg']}") from exc
        return self

    def run_of(self, camera: CameraConfig) -> RunConfig:
        """Return the run settings of one camera: `run` with the camera's overrides."""
        return RunConfig.model_validate(_merged(self.run.model_dump(), camera.settings))


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for key, change in changes.items():
        there = merged.get(key)
        both_nested = isinstance(there, Mapping) and isinstance(change, Mapping)
        merged[key] = _merged(there, change) if both_nested else change  # type: ignore[arg-type]
    return merged
