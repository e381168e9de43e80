"""`edge-autotuner simulate`: a video of a synthetic fixed camera, with exact boxes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_autotuner.cli.saying import say
from edge_autotuner.config.base import parse_size
from edge_autotuner.errors import ConfigError
from edge_autotuner.storage.outputs import STANDARD_OUTPUT, check_output_file, check_outputs_differ

if TYPE_CHECKING:
    from edge_autotuner.simulation.world.live import LiveWorld

_NOT_WITH_SCRIPT = {
    "frames": "set 'length' in the script",
    "noise": "set 'noise' in the script",
    "clouds": "write a 'clouds' event into the script",
    "rain": "write a 'rain' event into the script",
    "event": "write 'events' into the script",
    "shadows": "shadows follow the light and the clouds of the script",
    "sway": "trees stand still in a scripted world",
    "flicker": "the light of a scripted world does not flicker",
}
_OF_THE_WORLD = ("scene", "camera", "serve")
_OF_BOTH = ("size", "rate", "seed")


def simulate(
    context: typer.Context,
    video: Annotated[Path | None, typer.Argument(help="Video file to write, .mp4 or .avi.")] = None,
    script: Annotated[
        str | None,
        typer.Option(
            help=(
                "Simulate a scripted world: a YAML file, or a ready script: dynamic, semi-repetitive, repetitive, "
                "quiet-day or week."
            )
        ),
    ] = None,
    scene: Annotated[
        str | None, typer.Option(help="With --script: replace its scene by street, parking, campus or motorway.")
    ] = None,
    camera: Annotated[
        int | None,
        typer.Option(min=0, max=9999, help="With --script: replace its camera; every number is another place."),
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(
            help=(
                "With --script: stream MJPEG over HTTP in real time from this HOST:PORT, to at most 16 viewers, "
                "until interrupted."
            )
        ),
    ] = None,
    frames: Annotated[
        int, typer.Option(min=2, max=10_000_000, help="Number of frames; a script has a 'length' instead.")
    ] = 600,
    size: Annotated[
        str, typer.Option(help="Frame size, WIDTHxHEIGHT; with --script: replaces the script's.")
    ] = "480x272",
    rate: Annotated[
        float,
        typer.Option(min=0.1, max=1000, help="Frames per second; with --script: replaces the script's, at most 100."),
    ] = 10.0,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Random seed; with --script: replaces the script's.")
    ] = 0,
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
    """Render a simulated fixed camera, with exact truth: a plain street, or a scripted world."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = {name for name, source in sources.items() if source is not None and source.name != "DEFAULT"}
    for option, path in (("VIDEO", video), ("--ground-truth", ground_truth)):
        if path is not None:
            check_output_file(path, option=option, reads={"--script": script}, overwrite=overwrite)
    check_outputs_differ({"VIDEO": video, "--ground-truth": ground_truth})
    if script is not None:
        for name in sorted(given & _NOT_WITH_SCRIPT.keys()):
            raise ConfigError(f"--{name} cannot be used with --script; {_NOT_WITH_SCRIPT[name]}")
        overrides = {name: context.params[name] for name in (*_OF_BOTH, "scene", "camera") if name in given}
        _simulate_world(script, overrides, video, ground_truth, serve)
        return
    for name in sorted(given & set(_OF_THE_WORLD)):
        raise ConfigError(f"--{name} needs --script; name a script such as week")
    if video is None:
        raise ConfigError("no video to write; name one that ends in .mp4 or .avi")
    from edge_autotuner.simulation import Conditions, SimulatedCamera, parse_event

    try:
        events = [parse_event(text) for text in event or ()]
        conditions = Conditions(noise, sway, shadows, clouds, rain, flicker)
        street = SimulatedCamera(parse_size(size), frames, rate, seed, conditions=conditions, events=events)
    except ValueError as exc:
        raise ConfigError(f"cannot simulate {video}: {exc}") from exc
    with _named_as_a_video(video):
        street.write_video(video)
    if ground_truth is not None:
        street.write_ground_truth(ground_truth)
    _say_written(video, ground_truth)


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
            with _named_as_a_video(video):
                write_world_video(world, video)
        if ground_truth is not None:
            write_world_truth(world, ground_truth)
        _say_written(video, ground_truth)
        if live is not None:
            _serve(live)


@contextlib.contextmanager
def _named_as_a_video(video: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise ConfigError(f"cannot write {video}: {exc}; give a name that ends in .mp4 or .avi") from exc


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
