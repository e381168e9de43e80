"""`edge-autotuner forget`: delete the pictures of a run, and keep its numbers and models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.cli.saying import say


def forget(
    output: Annotated[Path, typer.Argument(help="Folder of a run, or of an edge node's batch.", show_default=False)],
) -> None:
    """Delete the pictures of a run: frames, backgrounds, training data, and pictures in the report.

    Scores, settings, statistics in the report and bundles are kept. For a replay reservoir, see
    `replay forget`.
    """
    from edge_autotuner.pipeline.forgetting import forget_pictures
    from edge_autotuner.pipeline.run_folder import RunFolder

    gone = forget_pictures(RunFolder(output))
    for path in gone:
        say(f"{'emptied' if path.is_file() else 'deleted'} {path}")
    if not gone:
        say(f"{output} has no pictures left")
