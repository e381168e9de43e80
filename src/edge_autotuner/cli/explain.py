"""`edge-autotuner config`: shows settings, and makes their reference pages."""

from __future__ import annotations

from typing import Annotated

import typer
import yaml
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from edge_autotuner.cli.options import ConfigFile, Setting
from edge_autotuner.cli.saying import say
from edge_autotuner.cli.settings import merge_settings
from edge_autotuner.config import RunConfig
from edge_autotuner.config.settings_text import dump_yaml

REQUIRED = "required"
"""Stands for the default of a setting that has none."""

config_app = typer.Typer(help="Show and explain settings.", no_args_is_help=True)


@config_app.command("show")
def show(config: ConfigFile = None, setting: Setting = None) -> None:
    """Print all settings, merged from defaults, file and flags."""
    resolved = merge_settings(config, setting, {})
    say(dump_yaml(resolved.model_dump(mode="json")).rstrip())


@config_app.command("explain")
def explain(
    node: Annotated[bool, typer.Option("--node", help="Explain the settings of an edge node, without `run`.")] = False,
    service: Annotated[bool, typer.Option("--service", help="Explain the settings of the service.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page of docs/reference.")] = False,
) -> None:
    """Explain all settings."""
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
