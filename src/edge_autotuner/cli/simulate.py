"""`edge-autotuner simulate`: a video of a synthetic fixed camera, with exact boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.cli.saying import say
from edge_autotuner.config.base import parse_size
from edge_autotuner.errors import ConfigError
from edge_autotuner.storage.outputs import check_output_file, check_outputs_differ


def simulate(
    video: Annotated[Path, typer.Argument(help="Video file to write, .mp4 or .avi.")],
    frames: Annotated[int, typer.Option(min=2, max=10_000_000, help="Number of frames.")] = 600,
    size: Annotated[str, typer.Option(help="Frame size, WIDTHxHEIGHT.")] = "480x272",
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="Frames per second.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Random seed of the street.")] = 0,
    ground_truth: Annotated[Path | None, typer.Option(help="COCO JSON file to write, with exact boxes.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Overwrite existing files.")] = False,
    noise: Annotated[float, typer.Option(min=0, max=64, help="Sensor noise, standard deviation in grey levels.")] = 2.0,
    sway: Annotated[float, typer.Option(min=0, max=1, help="Strength of trees moving in the wind, 0 to 1.")] = 0.0,
    shadows: Annotated[float, typer.Option(min=0, max=1, help="Strength of cast shadows, 0 to 1.")] = 0.0,
    clouds: Annotated[float, typer.Option(min=0, max=1, help="Strength of cloud shadows, 0 to 1.")] = 0.0,
    rain: Annotated[float, typer.Option(min=0, max=1, help="Strength of rain, 0 to 1.")] = 0.0,
    flicker: Annotated[
        float, typer.Option(min=0, max=1, help="Relative brightness change between frames, 0 to 1.")
    ] = 0.0,
    event: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "Event at a frame: light@FRAME:GAIN, night@FRAME, day@FRAME, bump@FRAME:RIGHT:DOWN, "
                "truck@FRAME, parked@FRAME:FRAME. May be repeated."
            )
        ),
    ] = None,
) -> None:
    """Write the video of a simulated camera: cars and people on a street."""
    from edge_autotuner.simulation import Conditions, SimulatedCamera, parse_event

    for option, path in (("VIDEO", video), ("--ground-truth", ground_truth)):
        if path is not None:
            check_output_file(path, option=option, reads={}, overwrite=overwrite)
    check_outputs_differ({"VIDEO": video, "--ground-truth": ground_truth})
    try:
        events = [parse_event(text) for text in event or ()]
        conditions = Conditions(noise, sway, shadows, clouds, rain, flicker)
        camera = SimulatedCamera(parse_size(size), frames, rate, seed, conditions=conditions, events=events)
        camera.write_video(video)
    except ValueError as exc:
        needed = "even sides of 64 to 7680 pixels and a name that ends in .mp4 or .avi"
        raise ConfigError(f"cannot simulate {video}: {exc}; give {needed}") from exc
    if ground_truth is not None:
        camera.write_ground_truth(ground_truth)
    say(video)
