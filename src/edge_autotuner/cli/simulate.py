"""`edge-autotuner simulate`: a video of a synthetic fixed camera, with exact boxes."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_autotuner.cli.saying import say
from edge_autotuner.config.base import parse_size
from edge_autotuner.errors import ConfigError
from edge_autotuner.storage.outputs import STANDARD_OUTPUT, check_output_file, check_outputs_differ

if TYPE_CHECKING:
    from edge_autotuner.simulation.world.live import LiveWorld

_OF_THE_STREET = ("frames", "noise", "sway", "shadows", "clouds", "rain", "flicker", "event")
_OF_THE_WORLD = ("scene", "camera", "serve")
_OF_BOTH = ("size", "rate", "seed")


def simulate(
    context: typer.Context,
    video: Annotated[Path | None, typer.Argument(help="Video file to write, .mp4 or .avi.")] = None,
    script: Annotated[
        str | None,
        typer.Option(
            help=(
                "Simulate a world by this script: a YAML file, or dynamic, semi-repetitive, repetitive, quiet-day "
                "or week."
            )
        ),
    ] = None,
    scene: Annotated[
        str | None, typer.Option(help="With --script: street, parking, campus or motorway instead of the script's.")
    ] = None,
    camera: Annotated[
        int | None, typer.Option(min=0, max=9999, help="With --script: another camera of this type of scene.")
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(
            help=(
                "With --script: serve MJPEG over HTTP in real time at this HOST:PORT, to 16 viewers at most, until "
                "interrupted."
            )
        ),
    ] = None,
    frames: Annotated[int, typer.Option(min=2, max=10_000_000, help="Number of frames.")] = 600,
    size: Annotated[str, typer.Option(help="Frame size, WIDTHxHEIGHT.")] = "480x272",
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="Frames per second.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Random seed of the street.")] = 0,
    ground_truth: Annotated[
        Path | None, typer.Option(help="COCO JSON file to write, with exact boxes; -: standard output.")
    ] = None,
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
    """Write the video of a simulated camera: cars and people on a street, or a world by a script."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = {name for name, source in sources.items() if source is not None and source.name != "DEFAULT"}
    for option, path in (("VIDEO", video), ("--ground-truth", ground_truth)):
        if path is not None:
            check_output_file(path, option=option, reads={"--script": script}, overwrite=overwrite)
    check_outputs_differ({"VIDEO": video, "--ground-truth": ground_truth})
    if script is not None:
        _refuse(given, _OF_THE_STREET, "belongs to the street without --script; write it into the script")
        overrides = {name: context.params[name] for name in (*_OF_BOTH, "scene", "camera") if name in given}
        _simulate_world(script, overrides, video, ground_truth, serve)
        return
    _refuse(given, _OF_THE_WORLD, "needs --script")
    if video is None:
        raise ConfigError("no video to write; name one that ends in .mp4 or .avi")
    from edge_autotuner.simulation import Conditions, SimulatedCamera, parse_event

    try:
        events = [parse_event(text) for text in event or ()]
        conditions = Conditions(noise, sway, shadows, clouds, rain, flicker)
        street = SimulatedCamera(parse_size(size), frames, rate, seed, conditions=conditions, events=events)
        street.write_video(video)
    except ValueError as exc:
        needed = "even sides of 64 to 7680 pixels and a name that ends in .mp4 or .avi"
        raise ConfigError(f"cannot simulate {video}: {exc}; give {needed}") from exc
    if ground_truth is not None:
        street.write_ground_truth(ground_truth)
    _say_written(video, ground_truth)


def _refuse(given: set[str], names: tuple[str, ...], why: str) -> None:
    wrong = sorted(given & set(names))
    if wrong:
        raise ConfigError(f"--{wrong[0]} {why}")


def _simulate_world(
    script: str, overrides: dict[str, Any], video: Path | None, ground_truth: Path | None, serve: str | None
) -> None:
    from edge_autotuner.simulation.world import load_script, open_world
    from edge_autotuner.simulation.world.recording import write_world_truth, write_world_video

    if video is None and ground_truth is None and serve is None:
        raise ConfigError("nothing to do; name a video to write, --ground-truth or --serve")
    address = None if serve is None else _host_and_port(serve)
    world = open_world(load_script(script, overrides))
    with contextlib.ExitStack() as stack:
        live = None
        if address is not None:  # before hours of drawing
            from edge_autotuner.simulation.world.live import LiveWorld

            live = LiveWorld(world, *address)
            stack.callback(live.close)
        if video is not None:
            try:
                write_world_video(world, video)
            except ValueError as exc:
                raise ConfigError(f"cannot simulate {video}: {exc}; give a name that ends in .mp4 or .avi") from exc
        if ground_truth is not None:
            write_world_truth(world, ground_truth)
        _say_written(video, ground_truth)
        if live is not None:
            _serve(live)


def _say_written(*paths: Path | None) -> None:
    """Name the files on standard output, unless one of them is standard output."""
    if STANDARD_OUTPUT not in paths:
        for path in filter(None, paths):
            say(path)


def _serve(live: LiveWorld) -> None:
    if not live.is_private:
        say("anybody who reaches this machine can watch; use 127.0.0.1 to keep the camera to it", err=True)
    with live, contextlib.suppress(KeyboardInterrupt):
        say(live.url)
        threading.Event().wait()


def _host_and_port(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise ConfigError(f"--serve needs HOST:PORT, e.g. 127.0.0.1:8090 or [::1]:8090, got '{address}'")
    return host.removeprefix("[").removesuffix("]"), int(port)
