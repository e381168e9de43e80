"""How flags, files and saved settings become one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import yaml
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from edge_autotuner.cli.saying import say
from edge_autotuner.config import RunConfig, resolve_settings
from edge_autotuner.config.settings_text import dump_yaml, read_yaml
from edge_autotuner.errors import ConfigError

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the run, for all its files.")]
Folder = Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with settings; see `config show`.")]
Source = Annotated[
    str,
    typer.Argument(
        help=(
            "Fixed camera: a video file, a folder of pictures, an address such as rtsp://camera/stream, or a "
            "webcam (/dev/video0)."
        ),
        show_default=False,
    ),
]
COLLECT_PANEL = "Capture"
Duration = Annotated[
    str | None,
    typer.Option(help="Time to watch a live camera, e.g. 2h. Default: 1h.", rich_help_panel=COLLECT_PANEL),
]
Realtime = Annotated[
    bool | None,
    typer.Option(
        "--realtime", help="Play a recording at its own pace, as if it were live.", rich_help_panel=COLLECT_PANEL
    ),
]
Setting = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Any setting, e.g. training.max_lr=0.0005."),
]

Replay = Annotated[
    Path | None,
    typer.Option("--replay", help="Folder of the replay reservoir; created if missing. Default: no replay."),
]

Model = TypeVar("Model", bound=BaseModel)

REQUIRED = "required"
"""Stands for the default of a setting that has none."""

config_app = typer.Typer(help="Show and explain settings.", no_args_is_help=True)


@config_app.command("show")
def show(config: ConfigFile = None, setting: Setting = None) -> None:
    """Print every setting with its value: defaults, the file's and the flags' merged."""
    resolved = merge_settings(config, setting, {})
    say(dump_yaml(resolved.model_dump(mode="json")).rstrip())


@config_app.command("explain")
def explain(
    node: Annotated[bool, typer.Option("--node", help="Explain the settings of an edge node, without `run`.")] = False,
    service: Annotated[bool, typer.Option("--service", help="Explain the settings of the service.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page of docs/reference.")] = False,
) -> None:
    """Print what every setting means."""
    describe, page = describe_settings, settings_page
    if node:
        describe, page = describe_node_settings, node_settings_page
    if service:
        describe, page = describe_service_settings, service_settings_page
    rows = describe()
    if markdown:
        say(page(rows).rstrip())
    else:
        say("\n".join(f"{key} (default {default}): {text}" for key, default, text in rows))


def describe_settings() -> list[tuple[str, str, str]]:
    """Return dotted key, default and meaning of every setting, in order."""
    return _describe(RunConfig, "")


def describe_node_settings() -> list[tuple[str, str, str]]:
    """Return the same for an edge node; how its cameras learn has a page of its own."""
    from edge_autotuner.config.node import (
        CameraConfig,
        JsonLinesConfig,
        MqttConfig,
        NodeConfig,
        RegistryConfig,
        WebhookConfig,
    )

    optional: dict[str, type[BaseModel]] = {
        "registry": RegistryConfig,
        "outputs.json_lines": JsonLinesConfig,
        "outputs.mqtt": MqttConfig,
        "outputs.webhook": WebhookConfig,
    }
    rows = [row for row in _describe(NodeConfig, "") if not row[0].startswith(("run.", "cameras", *optional))]
    rows += _describe(CameraConfig, "cameras[].")
    for name, model in optional.items():
        rows += _describe(model, f"{name}.")
    return rows


def describe_service_settings() -> list[tuple[str, str, str]]:
    """Return the same for the service."""
    from edge_autotuner.config.server import ServedModel, ServerConfig, TlsConfig

    rows = [row for row in _describe(ServerConfig, "") if row[0] not in ("models", "tls")]
    return rows + _describe(TlsConfig, "tls.") + _describe(ServedModel, "models.NAME.")


def settings_page(rows: list[tuple[str, str, str]]) -> str:
    """Return the reference page of all settings."""
    intro = [
        "Every setting of `edge-autotuner run`: a key of the YAML file (dots are levels), or `--set KEY=VALUE`. Made",
        "by `edge-autotuner config explain --markdown`.",
        "",
        "Files and `--set` use the same YAML. Scalars follow YAML 1.2: `5:20`, `no`, `0123`, `1_000` and dates are",
        "text, `1e3` is a number. Keys are unique text. A switch takes `true`, `false`, `yes` or `no`.",
        "A file may have up to 256 KiB, 32 levels and 20,000 values, with aliases expanded.",
    ]
    return _page("Settings", intro, rows)


def node_settings_page(rows: list[tuple[str, str, str]]) -> str:
    """Return the reference page of the settings of an edge node."""
    intro = [
        "Every setting of `edge-autotuner edge`, besides `run`, which holds [the settings of a run](settings.md) for",
        "all cameras, and `cameras[].settings`, which changes them for one. Detections go to those of the `outputs`",
        "that are given; without any, as lines of JSON to standard output. Made by",
        "`edge-autotuner config explain --node --markdown`.",
    ]
    return _page("Settings of an edge node", intro, rows)


def service_settings_page(rows: list[tuple[str, str, str]]) -> str:
    """Return the reference page of the settings of the service."""
    intro = [
        "Every setting of `edge-autotuner serve`. `models` holds what is served, by the names that requests use;",
        "without `tls` the service speaks plain HTTP. Made by `edge-autotuner config explain --service --markdown`.",
    ]
    return _page("Settings of the service", intro, rows)


def _page(title: str, intro: list[str], rows: list[tuple[str, str, str]]) -> str:
    lines = [f"# {title}", "", *intro, "", "| setting | default | meaning |", "|---|---|---|"]
    lines += [f"| `{key}` | {default} | {text} |" for key, default, text in rows]
    return "\n".join(lines) + "\n"


def merge_settings(file: Path | None, pairs: list[str] | None, flags: Mapping[str, Any]) -> RunConfig:
    """Merge defaults, a file, `--set` pairs and flags, in rising precedence; `--set KEY=null` clears a setting.

    Raises:
        ConfigError: a setting is wrong.
    """
    return resolve_flags(RunConfig, file, pairs, flags)


def resolve_flags(model: type[Model], file: Path | None, pairs: list[str] | None, flags: Mapping[str, Any]) -> Model:
    """Do the same for any settings.

    Args:
        model: class of the settings.
        file: YAML; None for none.
        pairs: KEY=VALUE; "null" clears a setting.
        flags: by key; None: not given.

    Raises:
        ConfigError: a setting is wrong.
    """
    overrides = parse_pairs(pairs)
    overrides |= {key: value for key, value in flags.items() if value is not None}
    return resolve_settings(model, file, overrides, cleared=[key for key, value in overrides.items() if value is None])


def parse_pairs(pairs: list[str] | None) -> dict[str, Any]:
    """Read KEY=VALUE settings, the values as YAML; None clears a setting.

    Raises:
        ConfigError: one is not of this form.
    """
    return dict(_parse_pair(pair) for pair in pairs or [])


def parse_class_map(pairs: list[str] | None) -> dict[str, str] | None:
    """Read "bus=car" pairs; None for none."""
    if not pairs:
        return None
    split = [pair.partition("=") for text in pairs for pair in text.split(",")]
    for source, equals, target in split:
        if not (source and equals and target):
            raise ConfigError(f"'{source}{equals}{target}' is not a class mapping; use e.g. truck=car")
    return {source.strip(): target.strip() for source, _, target in split}


def parse_classes(text: str | None) -> list[str] | None:
    """Read "person,car"; None for none."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


def _parse_pair(pair: str) -> tuple[str, Any]:
    key, equals, value = pair.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {pair}: use KEY=VALUE, e.g. training.max_lr=0.0005")
    return key.strip(), read_yaml(value, where=f"--set {pair}")


def _describe(model: type[BaseModel], prefix: str) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    for name, field in model.model_fields.items():
        default = REQUIRED if field.is_required() else field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            rows += _describe(type(default), f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", _as_yaml(default), (field.description or "").replace("|", "or")))
    return rows


def _as_yaml(value: object) -> str:
    return str(yaml.safe_dump(to_jsonable_python(value), default_flow_style=True)).replace("\n...", "").strip()
