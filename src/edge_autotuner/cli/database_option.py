"""Which database a command of this machine works on: that of a service's settings, or one that is named."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_autotuner.core.redaction import remember_secrets_in
from edge_autotuner.errors import MissingDependency

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML file with the settings of the service.", show_default=False)
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data folder of the service. Default: server-data.", show_default=False)
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="EDGE_AUTOTUNER_DATABASE",
        help="Database URL: sqlite:///FILE or postgresql://USER@HOST/NAME. Default: from the settings.",
        show_default=False,
        show_envvar=True,
    ),
]


def find_database_url(config: Path | None, data: Path | None, database: str | None) -> str:
    """Return the URL that the three options mean.

    Raises:
        ConfigError: the settings are wrong.
        MissingDependency: the `server` extra is not installed.
    """
    if database is not None:
        remember_secrets_in(database)
        return database
    from edge_autotuner.cli.server_settings import merge_server_settings

    settings = merge_server_settings(config, None, {"data": data}, models=None)
    return str(load_server_part("services").database_url(settings))


def load_server_part(name: str) -> Any:  # noqa: ANN401 (a module, loaded late because it imports the `server` extra)
    """Return a module of `edge_autotuner.server`.

    Raises:
        MissingDependency: a part of the `server` extra is not installed.
    """
    try:
        return importlib.import_module(f"edge_autotuner.server.{name}")
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("edge_autotuner"):
            raise
        raise MissingDependency(f"this needs {exc.name}: pip install 'edge-autotuner[server]'") from exc
