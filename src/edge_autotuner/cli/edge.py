"""`edge-autotuner edge`: the node beside the cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def edge(
    config: Annotated[Path, typer.Argument(help="YAML file with the settings of the node.")],
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Any setting, e.g. run.training.max_lr=0.0005."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Run all start-up checks, then exit.")] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also connect to the cameras and the broker; implies --check.")
    ] = False,
) -> None:
    """Run an edge node: detect, report and learn, until SIGTERM or Ctrl-C."""
    from edge_autotuner.cli.edge_screen import check_node, run_node

    if check or probe:
        check_node(config, setting, probes=probe)
    else:
        run_node(config, setting)
