"""How flags, files and saved settings become one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import BaseModel

from edge_autotuner.config import RunConfig, resolve_config
from edge_autotuner.errors import ConfigError

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the run; holds everything.")]
Folder = Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML file with settings; see `edge-autotuner config show`.")
]
Source = Annotated[
    str,
    typer.Argument(
        help="What one fixed camera filmed or films: a video file, a folder of pictures, an address such as "
        "rtsp://camera/stream, or a webcam (/dev/video0).",
        show_default=False,
    ),
]
COLLECT_PANEL = "What is collected"
Duration = Annotated[
    str | None,
    typer.Option(help="How long a live camera is watched, such as 2h. [1h]", rich_help_panel=COLLECT_PANEL),
]
Realtime = Annotated[
    bool | None,
    typer.Option(
        "--realtime", help="Play a recording at its own pace, as if it were live.", rich_help_panel=COLLECT_PANEL
    ),
]
Setting = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Any setting, for example training.max_lr=0.0005."),
]

Replay = Annotated[
    Path | None,
    typer.Option("--replay", help="Folder of earlier pictures to learn from again, and to keep these in; made if new."),
]

config_app = typer.Typer(help="Show settings.", no_args_is_help=True)


@config_app.command("show")
def show(config: ConfigFile = None, setting: Setting = None) -> None:
    """Print every setting with its value: defaults, the file's and the flags' merged."""
    resolved = merge_settings(config, setting, {})
    typer.echo(yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False).rstrip())


@config_app.command("explain")
def explain(
    markdown: Annotated[bool, typer.Option("--markdown", help="As the page docs/reference/settings.md.")] = False,
) -> None:
    """Print what every setting means."""
    rows = describe_settings()
    if markdown:
        typer.echo(settings_page(rows).rstrip())
    else:
        typer.echo("\n".join(f"{key} (default {default}): {text}" for key, default, text in rows))


def describe_settings() -> list[tuple[str, str, str]]:
    """Return dotted key, default and meaning of every setting, in order."""
    return _describe(RunConfig, "")


def settings_page(rows: list[tuple[str, str, str]]) -> str:
    """Return the reference page of all settings."""
    lines = [
        "# Settings",
        "",
        "Every setting of `edge-autotuner run`: a key of the YAML file (dots are levels), or `--set KEY=VALUE`. Made",
        "by `edge-autotuner config explain --markdown`.",
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| `{key}` | {default} | {text} |" for key, default, text in rows]
    return "\n".join(lines) + "\n"


def merge_settings(file: Path | None, pairs: list[str] | None, flags: Mapping[str, Any]) -> RunConfig:
    """Merge defaults, a file, `--set` pairs and flags, in rising precedence; `--set KEY=null` clears a setting.

    Raises:
        ConfigError: a setting is wrong.
    """
    overrides = dict(_parse_pair(pair) for pair in pairs or [])
    overrides |= {key: value for key, value in flags.items() if value is not None}
    return resolve_config(file, overrides, cleared=[key for key, value in overrides.items() if value is None])


def parse_class_map(pairs: list[str] | None) -> dict[str, str] | None:
    """Read "bus=car" pairs; None for none."""
    if not pairs:
        return None
    split = [pair.partition("=") for text in pairs for pair in text.split(",")]
    for source, equals, target in split:
        if not (source and equals and target):
            raise ConfigError(f"'{source}{equals}{target}' is not a class mapping; write for example truck=car")
    return {source.strip(): target.strip() for source, _, target in split}


def parse_classes(text: str | None) -> list[str] | None:
    """Read "person,car"; None for none."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


def _parse_pair(pair: str) -> tuple[str, Any]:
    key, equals, value = pair.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {pair}: write KEY=VALUE, for example training.max_lr=0.0005")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as exc:
        raise ConfigError(f"--set {pair}: the value is not valid YAML") from exc


def _describe(model: type[BaseModel], prefix: str) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            rows += _describe(type(default), f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", _as_yaml(default), (field.description or "").replace("|", "or")))
    return rows


def _as_yaml(value: object) -> str:
    if isinstance(value, tuple):
        value = list(value)
    return str(yaml.safe_dump(value, default_flow_style=True)).replace("\n...", "").strip()
