"""`edge-autotuner work`: one more worker for the tuning jobs of a service."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.cli.database_option import load_server_part


def work(
    config: Annotated[
        Path | None, typer.Argument(help="YAML file with the settings of the service.", show_default=False)
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder. Default: server-data.")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Any setting, e.g. jobs.n_threads=4."),
    ] = None,
) -> None:
    """Run tuning jobs beside the workers of `serve`, on the same data folder, until SIGTERM or Ctrl-C."""
    from edge_autotuner.cli.server_settings import merge_server_settings

    resolved = merge_server_settings(config, setting, {"data": data}, models=None)
    process = load_server_part("jobs.process")
    logging.getLogger("edge_autotuner").setLevel(logging.INFO)
    process.run_worker(resolved)
