"""`edge-autotuner simulate`: a video of a synthetic fixed camera, with exact boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.config.base import parse_size
from edge_autotuner.errors import ConfigError


def simulate(
    video: Annotated[Path, typer.Argument(help="Video file to write, .mp4 or .avi.")],
    frames: Annotated[int, typer.Option(min=2, help="Length.")] = 600,
    size: Annotated[str, typer.Option(help="Size of the picture, WIDTHxHEIGHT.")] = "480x272",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another street.")] = 0,
    ground_truth: Annotated[Path | None, typer.Option(help="COCO JSON to write with the exact boxes.")] = None,
) -> None:
    """Write a simulated camera's video: cars and people on a still street."""
    from edge_autotuner.simulation import SimulatedCamera

    try:
        camera = SimulatedCamera(parse_size(size), n_frames=frames, seed=seed)
        camera.write_video(video)
    except ValueError as exc:
        needed = "even sides of at least 64 pixels and a name that ends in .mp4 or .avi"
        raise ConfigError(f"cannot simulate {video}: {exc}; give {needed}") from exc
    if ground_truth is not None:
        camera.write_ground_truth(ground_truth)
    typer.echo(video)
