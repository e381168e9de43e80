"""How commands reach a service: address, token and certificate authority."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.errors import ConfigError, MissingDependency

if TYPE_CHECKING:
    from edge_autotuner.client import Connection

Url = Annotated[
    str,
    typer.Option("--url", envvar="EDGE_AUTOTUNER_SERVICE", help="URL of the service.", show_default=False),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(help="File with the token. Default: environment variable EDGE_AUTOTUNER_TOKEN.", show_default=False),
]
CaFile = Annotated[
    Path | None,
    typer.Option(help="CA bundle (PEM) to verify the service with. Default: the system's.", show_default=False),
]


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
    try:
        from edge_autotuner.client import Connection
    except ModuleNotFoundError as exc:
        raise MissingDependency(f"this needs {exc.name}: pip install 'edge-autotuner[edge]'") from exc
    with Connection(config, setting_of=lambda name: f"--{name.replace('_', '-')}") as connection:
        yield connection
