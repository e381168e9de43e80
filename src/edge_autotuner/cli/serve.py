"""`edge-autotuner serve`: the annotation service as a process."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.cli.database_option import load_server_part
from edge_autotuner.cli.saying import say


def serve(
    config: Annotated[
        Path | None, typer.Argument(help="YAML file with the settings of the service.", show_default=False)
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0: any free port. Default: 8080.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder. Default: server-data.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="NAME=SOURCE",
            help="Groundtruth model to serve, instead of those in the file; may be repeated.",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Any setting, e.g. batching.max_batch=16."),
    ] = None,
    show: Annotated[bool, typer.Option("--dry-run", help="Print the resolved settings and exit.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Run all start-up checks, then exit.")] = False,
) -> None:
    """Annotate the pictures of edge nodes over HTTP, until SIGTERM or Ctrl-C; clients need a token."""
    from edge_autotuner.cli.server_settings import merge_server_settings, settings_text

    flags = {"host": host, "port": port, "data": data}
    resolved = merge_server_settings(config, setting, flags, models=model)
    if show:
        say(settings_text(resolved))
        return
    if check:
        load_server_part("process").check_server(resolved)
        say(f"the service can start with {_listed(resolved.models)}; data folder: {resolved.data}")
        return
    load_server_part("process").run_server(resolved, say=say)


def _listed(models: Collection[str]) -> str:
    return f"the models {', '.join(models)}" if models else "no model"
