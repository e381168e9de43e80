"""`edge-autotuner watch`: what the motion gate sees, for choosing sensitivity, zones and masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.cli.options import COLLECT_PANEL, ConfigFile, Realtime, Setting, Source
from edge_autotuner.cli.settings import merge_settings
from edge_autotuner.core.clock import parse_duration_s


def watch(
    source: Source,
    config: ConfigFile = None,
    setting: Setting = None,
    duration: Annotated[
        str | None, typer.Option(help="Time limit, e.g. 2min. Default: until the source ends or Ctrl-C.")
    ] = None,
    every: Annotated[str, typer.Option(help="Interval between lines and between pictures, in source time.")] = "5s",
    video: Annotated[Path | None, typer.Option(help="Write the annotated video to this file, .mp4 or .mkv.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Overwrite an existing video.")] = False,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for pictures of the frame with the most motion in each interval.")
    ] = None,
    realtime: Realtime = None,
    sensitivity: Annotated[
        str | None,
        typer.Option(help="Motion sensitivity: low, medium or high. Default: medium.", rich_help_panel=COLLECT_PANEL),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            help="Background method: median, percentile, running, first, mog2 or knn. Default: median.",
            rich_help_panel=COLLECT_PANEL,
        ),
    ] = None,
) -> None:
    """Show what the motion gate sees in SOURCE, without capturing."""
    from edge_autotuner.cli.watch_screen import show_watch

    flags = {
        "capture.stream.realtime": realtime,
        "capture.motion.sensitivity": sensitivity,
        "capture.background.method": background,
    }
    show_watch(
        source,
        merge_settings(config, setting, flags).capture,
        every_s=parse_duration_s(every),
        duration_s=None if duration is None else parse_duration_s(duration),
        video=video,
        pictures=pictures,
        overwrite=overwrite,
    )
