"""Loads parts of the package that need an extra, only when a command uses them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edge_autotuner.cli.settings import merge_server_settings
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core.redaction import remember_secrets_in
from edge_autotuner.errors import ConfigError, MissingDependency

if TYPE_CHECKING:
    from edge_autotuner.client import Connection


def load_pipeline() -> Any:  # noqa: ANN401 (a module, loaded late because it imports torch)
    """Return `edge_autotuner.pipeline.stages`; raise `MissingDependency` without the `train` extra."""
    return _load("pipeline.stages", extra="train")


def load_server_part(name: str) -> Any:  # noqa: ANN401 (a module, loaded late because it imports the `server` extra)
    """Return a module of `edge_autotuner.server`; raise `MissingDependency` without the `server` extra."""
    return _load(f"server.{name}", extra="server")


def find_database_url(config: Path | None, data: Path | None, database: str | None) -> str:
    """Return the database URL of the three options.

    Raises:
        ConfigError: the settings are wrong.
        MissingDependency: the `server` extra is not installed.
    """
    if database is not None:
        remember_secrets_in(database)
        return database
    settings = merge_server_settings(config, None, {"data": data}, models=None)
    return str(load_server_part("services").database_url(settings))


@contextmanager
def connected(
    url: str, token_file: Path | None, ca_file: Path | None, *, max_upload_kbps: float | None = None
) -> Iterator[Connection]:
    """Connect to a service while the block runs.

    Raises:
        ConfigError: an option is wrong.
        MissingDependency: the HTTP library is not installed.
    """
    try:
        config = ServiceConfig(url=url, token_file=token_file, ca_file=ca_file, max_upload_kbps=max_upload_kbps)
    except ValidationError as exc:
        first = exc.errors()[0]
        option = "--max-upload-kbps" if first["loc"] == ("max_upload_kbps",) else f"--url {url}"
        raise ConfigError(f"{option}: {first['msg']}") from exc
    client = _load("client", extra="edge")
    with client.Connection(config, setting_of=lambda name: f"--{name.replace('_', '-')}") as connection:
        yield connection


def _load(name: str, *, extra: str) -> Any:  # noqa: ANN401 (a module)
    try:
        return importlib.import_module(f"edge_autotuner.{name}")
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("edge_autotuner"):
            raise
        raise MissingDependency(f"this needs {exc.name}: pip install 'edge-autotuner[{extra}]'") from exc
