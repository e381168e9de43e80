"""`edge-autotuner serve` and `work`: the service, and more workers for its tuning jobs."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.cli.loading import load_server_part
from edge_autotuner.cli.options import DataOption
from edge_autotuner.cli.saying import say
from edge_autotuner.cli.settings import merge_server_settings, settings_text

ServiceFile = Annotated[
    Path | None, typer.Argument(help="YAML file with the settings of the service.", show_default=False)
]


def serve(
    config: ServiceFile = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0: any free port. Default: 8080.")] = None,
    data: DataOption = None,
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
    """Run the service: label pictures, store models and train for edge nodes, until SIGTERM or Ctrl-C."""
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


def work(
    config: ServiceFile = None,
    data: DataOption = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Any setting, e.g. jobs.n_threads=4."),
    ] = None,
) -> None:
    """Run one more worker for the tuning jobs of `serve`, on its data folder, until SIGTERM or Ctrl-C."""
    resolved = merge_server_settings(config, setting, {"data": data}, models=None)
    process = load_server_part("jobs.process")
    logging.getLogger("edge_autotuner").setLevel(logging.INFO)
    process.run_worker(resolved)


def _listed(models: Collection[str]) -> str:
    return f"the models {', '.join(models)}" if models else "no model"
