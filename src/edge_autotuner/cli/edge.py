"""`edge-autotuner edge`: the node beside the cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.cli.settings import Setting


def edge(
    config: Annotated[Path, typer.Argument(help="YAML file with the cameras; see docs/how-to/edge-node.md.")],
    setting: Setting = None,
    check: Annotated[bool, typer.Option("--check", help="Check what the start checks; start nothing.")] = False,
    probe: Annotated[bool, typer.Option("--probe", help="With --check: connect to cameras and broker.")] = False,
) -> None:
    """Watch cameras, report what their models see, and let the models learn beside it, for ever."""
    from edge_autotuner.cli.edge_screen import check_node, run_node

    if check or probe:
        check_node(config, setting, probes=probe)
    else:
        run_node(config, setting)
