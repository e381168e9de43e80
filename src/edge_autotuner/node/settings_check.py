"""Checks before a node starts, and for `--check`: everything that the settings name exists and can be used.

Nothing is written, opened for writing, or connected to. A camera that is off or a broker that is down is not a mistake
in the settings; `probe` tries those.
"""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from edge_autotuner.annotation import find_teacher_model, is_plugin_teacher
from edge_autotuner.capture import is_live_address
from edge_autotuner.capture.live.address import parse_live_address
from edge_autotuner.config.annotation import REMOTE, ZOOM
from edge_autotuner.config.node import CameraConfig, NodeConfig, OutputsConfig, RegistryConfig
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core import SystemClock
from edge_autotuner.core.plugins import OUTPUTS, RUNTIMES, TRIGGERS
from edge_autotuner.errors import ConfigError, EdgeAutotunerError, MissingDependency, errors_about
from edge_autotuner.node.named_bundle import check_first_models
from edge_autotuner.node.node_files import holds_camera, is_free_for_camera, is_reserved_for_node, lines_files
from edge_autotuner.pipeline.edge_weights import find_weights
from edge_autotuner.storage.lock import LOCK_NAME, FolderLock
from edge_autotuner.storage.outputs import BUNDLE_FILE, check_output_file, check_output_folder

_PEEKED_BYTES = 256
_WRITTEN = {
    "folder",
    "outputs.json_lines.path",
    "run.training.replay.folder",
}  # the rest is read
_LINES = "outputs.json_lines.path"


@dataclass(frozen=True)
class StartProblem:
    """A problem that the settings cause.

    Attributes:
        error: what is wrong.
        camera: that it concerns; None: all of the node.
        stops_watching: whether the camera cannot be watched because of it.
    """

    error: EdgeAutotunerError
    camera: str | None = None
    stops_watching: bool = True


def check_can_start(config: NodeConfig) -> None:
    """Make sure that every camera gets a model, and that what learning needs is installed.

    Raises:
        ConfigError: a camera would never get a first model.
        MissingDependency: a library is not installed.
    """
    check_first_models(config)
    check_can_learn(config)


def check_can_learn(config: NodeConfig) -> None:
    """Make sure that torch is installed where it is needed: for training here, and for local teachers.

    Raises:
        MissingDependency: torch is not installed.
    """
    if not config.learns or importlib.util.find_spec("torch") is not None:
        return
    if config.trains_on == "node":
        raise MissingDependency(
            "training on this machine needs torch: pip install 'edge-autotuner[edge,train]', or set trains_on: service"
        )
    for camera in config.cameras:
        for teacher in config.run_of(camera).annotation.teachers:
            if teacher == ZOOM or Path(teacher).is_dir():
                raise MissingDependency(
                    f"camera {camera.name}: teacher {teacher} needs torch, which is not installed; use remote:NAME, a "
                    "model at the service, or an ONNX file"
                )


def settings_problems(config: NodeConfig, settings_file: Path | None = None) -> Iterator[StartProblem]:
    """Find what keeps a node with these settings from starting.

    Args:
        config: of the node.
        settings_file: that they came from; no output may replace it.

    Yields:
        Mistakes of the settings, and cameras whose recording is not there: it may be on a drive that is mounted later.
    """
    for camera in config.cameras:
        if not is_live_address(camera.source) and not Path(camera.source).exists():
            missing = ConfigError(
                f"camera {camera.name}: source: {camera.source} does not exist; give a video file, a folder of "
                "pictures, or an address such as rtsp://host/path"
            )
            yield StartProblem(missing, camera.name)
        yield from _mistakes(partial(_check_camera, config, camera))
    yield from _mistakes(partial(_check_folder, config.folder))
    yield from _mistakes(partial(_check_plugins, config))
    yield from _mistakes(partial(_check_outputs, config.outputs, config, settings_file))
    if config.registry is not None:
        yield from _mistakes(partial(_check_registry, config.registry))


def _mistakes(check: Callable[[], None]) -> Iterator[StartProblem]:
    try:
        check()
    except EdgeAutotunerError as exc:
        yield StartProblem(exc)


def _check_camera(config: NodeConfig, camera: CameraConfig) -> None:
    with errors_about(f"camera {camera.name}"):
        if is_live_address(camera.source):
            parse_live_address(camera.source)
        _check_place(config, camera)
        if config.learns:
            _check_learning(config, camera)


def _check_place(config: NodeConfig, camera: CameraConfig) -> None:
    """Make sure that the camera's folder is free or the node's, and that the node keeps nothing where it reads."""
    place = config.folder / camera.name
    if not holds_camera(place) and not is_free_for_camera(place):
        raise ConfigError(f"{place} exists and was not created by a node; choose another folder, or rename the camera")
    if not is_live_address(camera.source) and is_reserved_for_node(config, Path(camera.source)):
        raise ConfigError(f"source: {camera.source} is in a folder that the node manages; move it")


def _check_learning(config: NodeConfig, camera: CameraConfig) -> None:
    run = config.run_of(camera)
    if config.trains_on == "node":
        find_weights(run)
    for teacher in run.annotation.teachers:
        if teacher == ZOOM or Path(teacher).exists():
            continue
        if teacher.startswith(REMOTE):
            _check_service(run.annotation.service, "annotation.service")
        elif not is_plugin_teacher(teacher):
            find_teacher_model(teacher)


@errors_about("folder")
def _check_folder(folder: Path) -> None:
    """Make sure that a folder can be made and written, and that no other node works in it."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ConfigError(f"{there} is a file; choose another folder")
    bundle = next((parent for parent in (there, *there.resolve().parents) if (parent / BUNDLE_FILE).is_file()), None)
    if bundle is not None:
        raise ConfigError(f"{folder} is in the bundle {bundle}; choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write to {there}; choose another folder, or change its permissions")
    if (folder / LOCK_NAME).exists():
        FolderLock(folder).release()


def _check_plugins(config: NodeConfig) -> None:
    for table, name, setting in (
        (RUNTIMES, config.detect.runtime, "detect.runtime"),
        (TRIGGERS, config.batch.trigger, "batch.trigger"),
    ):
        if name not in table.built_in:
            with errors_about(setting):
                table.load(name)
    for name, settings in config.outputs.plugins.items():
        with errors_about("outputs.plugins"):  # only the output itself knows which settings it takes
            OUTPUTS.make(name, settings, config.cameras, clock=SystemClock()).close()


def _check_outputs(outputs: OutputsConfig, config: NodeConfig, settings_file: Path | None) -> None:
    from edge_autotuner.client.credentials import make_ssl_context, read_secret, read_token_file
    from edge_autotuner.node.outputs.webhook_post import parse_webhook_url

    mqtt, webhook = outputs.mqtt, outputs.webhook
    if mqtt is not None:
        with errors_about("outputs.mqtt"):
            if mqtt.password_file is not None:
                read_secret(mqtt.password_file)
            if mqtt.tls:
                make_ssl_context(mqtt.ca_file)
    if webhook is not None:
        with errors_about("outputs.webhook"):
            if webhook.token_file is not None:
                read_token_file(webhook.token_file)
            make_ssl_context(webhook.ca_file)
            parse_webhook_url(webhook.url)
    reads: dict[str, Path | str | None] = {f"the source of {camera.name}": camera.source for camera in config.cameras}
    reads |= {"the settings file": settings_file, **dict(_files_read(config))}
    check_output_folder(config.folder, option="folder", reads=reads)
    for path in lines_files(config):
        _check_lines_file(path, config, reads)


def _check_lines_file(path: Path, config: NodeConfig, reads: dict[str, Path | str | None]) -> None:
    check_output_file(path, option=_LINES, reads=reads, is_own=_holds_lines)
    if is_reserved_for_node(config, path):
        raise ConfigError(f"{_LINES} {path} is used by the node itself; choose another name")
    if path.exists() and not path.is_file():
        raise ConfigError(f"{_LINES} {path} is not a file; remove the path to use standard output")


def _files_read(settings: BaseModel, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Yield what the settings name to be read, such as passwords, keys and certificates, by the name of its setting."""
    for field in type(settings).model_fields:
        name, value = f"{prefix}{field}", getattr(settings, field)
        if isinstance(value, BaseModel):
            yield from _files_read(value, f"{name}.")
        elif isinstance(value, Path) and name not in _WRITTEN:
            yield name, value


def _holds_lines(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_PEEKED_BYTES).startswith(b"{")


def _check_registry(registry: RegistryConfig) -> None:
    from edge_autotuner.deployment.signing import read_signing_key, trusted_keys

    with errors_about("registry"):
        trusted_keys(registry.trusted_keys)
        if registry.signing_key is not None:
            read_signing_key(registry.signing_key)
        _check_service(registry.service, "service")


def _check_service(service: ServiceConfig, setting: str) -> None:
    from edge_autotuner.client.credentials import make_ssl_context, read_token_file

    with errors_about(setting):
        if service.token_file is not None:
            read_token_file(service.token_file)
        make_ssl_context(service.ca_file, client_cert=service.client_cert, client_key=service.client_key)


def probe(config: NodeConfig, *, timeout_s: float = 5.0) -> Iterator[tuple[str, str | None]]:
    """Connect to every camera and to the broker, one after the other.

    Yields:
        What was tried, and what is wrong with it; None when it answers.
    """
    from edge_autotuner.capture import open_source

    for camera in config.cameras:
        stream = config.run_of(camera).capture.stream
        limits = {"open_timeout_s": timeout_s, "read_timeout_s": timeout_s, "give_up_after_s": timeout_s}
        problem = None
        try:
            open_source(camera.source, stream.model_copy(update=limits)).close()
        except EdgeAutotunerError as exc:
            problem = str(exc)
        yield f"camera {camera.name}", problem
    mqtt = config.outputs.mqtt
    if mqtt is not None:
        problem = None
        try:
            with socket.create_connection((mqtt.host, mqtt.port), timeout_s):
                pass
        except OSError as exc:
            problem = exc.strerror or str(exc)
        yield f"broker {mqtt.host}:{mqtt.port}", problem
