"""`python -m benchmarks COMMAND`: run a benchmark, or write the tables of README and docs from its results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import tables
from benchmarks.capture import quality, soak, speed
from benchmarks.capture import tables as capture_tables
from benchmarks.kills import campaign as kills
from benchmarks.kills import tables as kills_tables
from benchmarks.labels import campaign as labels
from benchmarks.node import rate as node_rate
from benchmarks.node import start as node_start
from benchmarks.node import tables as node_tables
from benchmarks.node import uplink as node_uplink
from benchmarks.regions import campaign as regions
from benchmarks.result_file import read_results
from benchmarks.service import decoding, hostile, hostile_tables
from benchmarks.service import load as service_load
from benchmarks.service import tables as service_tables
from benchmarks.simulation import campaign as simulation
from benchmarks.simulation import pictures
from benchmarks.specialization import cost, exported, runner
from benchmarks.tracking import campaign as tracking
from benchmarks.unseen import grids
from edge_autotuner.cli.progress_bar import ProgressBar
from edge_autotuner.core.clock import parse_duration_s
from edge_autotuner.errors import EdgeAutotunerError

_Quick = Annotated[bool, typer.Option("--quick", help="A short run, to see that it works; nothing is stored.")]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.command("specialization")
def run_specialization(
    pieces: Annotated[
        list[str] | None, typer.Argument(help="Keys of pieces, or their beginnings; all if none.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="accuracy, ablations, bound, transfer, forgetting, speed.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Only pieces with these seeds, for example 0,1,2.")] = None,
    show: Annotated[bool, typer.Option("--list", help="Only say what is done and what is left.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure what is there, too.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Shorten everything; results go to a file of their own.")
    ] = False,
    output: Annotated[
        Path, typer.Option(help="Folder of frames, labels and trainings; what is there is used again.")
    ] = Path("runs/bench/specialization"),
) -> None:
    """Measure specialization in pieces of some minutes; each is stored at once, and what is stored is skipped."""
    found = runner.chosen(pieces, groups=group, seeds=runner.parse_seeds(seeds))
    if not show:
        runner.run(found, output, again=again, quick=quick, say=typer.echo, progress=ProgressBar())
    for line in runner.state(found, output, quick=quick).lines():
        typer.echo(line)


@app.command("cost")
def run_cost(
    base: Annotated[Path, typer.Option(help="Checkout of an earlier version: `git worktree add PATH COMMIT`.")],
    seed: Annotated[int, typer.Option(min=0, help="Of both trainings.")] = 0,
    output: Annotated[Path, typer.Option(help="Folder of the runs; replaced.")] = Path("runs/bench/cost"),
    keep: Annotated[bool, typer.Option("--store", help="Keep the results for the tables.")] = False,
) -> None:
    """Measure what the stages of a run with defaults cost on PETS, an earlier version and this one in turns."""
    results = cost.run_cost((cost.Version("before", base), cost.Version("now")), output, seed=seed)
    typer.echo(cost.cost_table(results))
    if keep:
        cost.store(results)


@app.command("capture-speed")
def run_capture_speed(
    quick: _Quick = False,
    output: Annotated[Path, typer.Option(help="Folder that keeps the clip.")] = Path("runs/bench"),
) -> None:
    """Time decoding, the gate, MOG2 and a naive chain on a 1080p clip, in turns on one core. Needs a quiet machine."""
    results = speed.run_speed(output, quick=quick)
    typer.echo(capture_tables.machine_note(results))
    for table in (capture_tables.speed_table, capture_tables.median_table, capture_tables.memory_table):
        typer.echo(f"\n{table(results)}")


@app.command("capture-quality")
def run_capture_quality(quick: _Quick = False) -> None:
    """Score the gate against true boxes: all background methods, sensitivities, thresholds, and its parts."""
    results = quality.run_quality(quick=quick, progress=ProgressBar())
    for table in (capture_tables.method_table, capture_tables.ablation_table, capture_tables.threshold_table):
        typer.echo(f"\n{table(results)}")


@app.command("capture-soak")
def run_capture_soak(
    hours: Annotated[float, typer.Option(min=0.02, help="Simulated time; 24 hours are stored.")] = 24.0,
) -> None:
    """Watch a simulated day at 25 pictures per second: does memory grow, do stamps drift?"""
    typer.echo(capture_tables.soak_table(soak.run_soak(hours=hours, progress=ProgressBar())))


@app.command("service-load")
def run_service_load(
    part: Annotated[list[str] | None, typer.Option(help="load, memory; both if none.")] = None,
    quick: _Quick = False,
    requests: Annotated[
        int, typer.Option(min=100, help="Requests of the memory part; another number than the default is not stored.")
    ] = service_load.MEMORY_REQUESTS,
) -> None:
    """Let 1, 8 and 64 cameras post crops to one service with a stub teacher. Needs a quiet machine."""
    parts = tuple(name for name in service_load.PARTS if not part or name in part)
    plan = None if quick else service_load.Plan(n_memory_requests=requests)
    results = service_load.run_load(parts=parts, quick=quick, plan=plan, progress=ProgressBar())
    if "load" in parts:
        typer.echo(f"{service_tables.load_table(results)}\n\n{service_tables.overhead_line(results)}")
    if "memory" in parts:
        typer.echo(service_tables.memory_line(results))


@app.command("decoding")
def run_decoding(quick: _Quick = False) -> None:
    """Count what usual and hostile pictures cost the service and OpenCV alone, CPU time; about 3 minutes."""
    typer.echo(service_tables.decoding_table({"decoding": decoding.run_decoding(quick=quick)}))


@app.command("service-hostile")
def run_service_hostile(quick: _Quick = False) -> None:
    """Send hostile requests to every operation of one service: what they cost it in time and memory, half a minute."""
    results = hostile.run_hostile(quick=quick, progress=ProgressBar())
    typer.echo(f"{hostile_tables.refused_table(results)}\n\n{hostile_tables.refused_line(results)}")
    typer.echo(f"\n{hostile_tables.accepted_table(results)}\n\n{hostile_tables.token_line(results)}")


@app.command("grids")
def run_grids(quick: _Quick = False) -> None:
    """Score two teachers on grids of tiles from 1x1 to 5x5, on nine simulated cameras; about 10 minutes."""
    grids.run_grids(quick=quick, say=typer.echo)


@app.command("tracking")
def run_tracking(
    bundle: Annotated[Path, typer.Option(help="Bundle or run that is specialized on PETS.")] = Path("runs/demo"),
    tools: Annotated[Path, typer.Option(help="Site-packages with trackeval and supervision.")] = Path("runs/tools"),
    quick: _Quick = False,
) -> None:
    """Follow the people of PETS, and score ids against human tracks, beside ByteTrack; about 2 minutes."""
    tracking.run(bundle, tools, quick=quick, say=typer.echo)


@app.command("kills")
def run_kills(
    points: Annotated[int, typer.Option(min=0, help="Kills over all stages; full disks come in addition.")] = (
        kills.N_POINTS
    ),
    seed: Annotated[int, typer.Option(help="Of all points.")] = kills.SEED,
    deadline: Annotated[
        str, typer.Option(help="No point is begun after it; the same command again goes on.")
    ] = "30min",
    stage: Annotated[list[str] | None, typer.Option(help="client, server, or a stage; all if none.")] = None,
    only: Annotated[list[int] | None, typer.Option(help="Number of a point to play again.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One kill in each stage; nothing is stored.")] = False,
    output: Annotated[Path, typer.Option(help="Folder of states and logs; what was played is not played again.")] = (
        Path("runs/bench/kills")
    ),
) -> None:
    """Kill node and service at seeded moments, spoil links, disks and clocks, and see whether all catches up."""
    order = kills.Order(0 if quick else points, seed, parse_duration_s(deadline), tuple(stage or ()), tuple(only or ()))
    results = kills.run_campaign(output / "quick" if quick else output, order, say=typer.echo)
    typer.echo(f"\n{kills_tables.kills_table(results)}\n\n{kills_tables.kills_line(results)}")
    if any(row["failures"] for row in results["stages"]):
        raise typer.Exit(1)


@app.command("node-rate")
def run_node_rate(quick: _Quick = False) -> None:
    """Let a node detect with and without tuning beside it, in turns, about 7 minutes. Needs a quiet machine."""
    results = {"rate": node_rate.run_rate(quick=quick, progress=ProgressBar())}
    typer.echo(f"{node_tables.rate_table(results)}\n\n{node_tables.rate_note(results)}")


@app.command("node-start")
def run_node_start(quick: _Quick = False) -> None:
    """Time a node from its start to its first detection with a finished bundle, about 1 minute."""
    typer.echo(node_tables.start_table({"start": node_start.run_start(quick=quick, progress=ProgressBar())}))


@app.command("node-uplink")
def run_node_uplink(quick: _Quick = False) -> None:
    """Count the bytes that a node sends for a batch, beside every frame as JPEG; the same in every run."""
    results = {"uplink": node_uplink.run_uplink(quick=quick, progress=ProgressBar())}
    typer.echo(f"{node_tables.uplink_table(results)}\n\n{node_tables.uplink_note(results)}")


@app.command("regions")
def run_regions(
    quick: _Quick = False,
    output: Annotated[Path, typer.Option(help="Folder of the exported models.")] = Path("runs/bench/regions"),
) -> None:
    """Compare whole frames, tiles and regions that move, on far cameras and near ones, about 10 minutes."""
    typer.echo(f"\n{regions.regions_table(regions.run(output, quick=quick, say=typer.echo))}")


@app.command("simulation")
def run_simulation(
    pieces: Annotated[
        list[str] | None, typer.Argument(help="Keys of pieces, or their beginnings; all if none.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Only say what is done and what is left.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure what is there, too.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Shorten everything; results go to a file of their own.")
    ] = False,
    output: Annotated[
        Path, typer.Option(help="Folder of frames, labels and trainings; what is there is used again.")
    ] = Path("runs/bench/simulation"),
) -> None:
    """Score detectors and pose models on the simulated world, time it, specialize on it, in pieces of some minutes.

    Each piece is stored at once; what is stored, and was drawn with the same pixels, is skipped.
    """
    found = simulation.chosen(pieces)
    if not show:
        simulation.run(found, output, again=again, quick=quick, say=typer.echo)
    results = read_results(simulation.results_file(output, quick=quick))
    for piece in found:
        typer.echo(f"{simulation.standing(piece, results):<9}{piece.key}")


@app.command("simulated-pictures")
def write_simulated_pictures() -> None:
    """Draw the sample pictures of the simulated world in the docs, about 20 seconds."""
    pictures.write_page(pictures.PAGE)
    typer.echo(pictures.PAGE)


@app.command("labels")
def run_labels(
    part: Annotated[list[str] | None, typer.Option(help=f"{', '.join(labels.PARTS)}; all if none.")] = None,
    quick: _Quick = False,
    output: Annotated[
        Path, typer.Option(help="Folder of cameras and their labels; what is there is used again.")
    ] = Path("runs/bench/labels"),
) -> None:
    """Measure which labels are spurious, and what the labels of test frames are worth; collects for 15 min first."""
    parts = tuple(name for name in labels.PARTS if not part or name in part)
    results = labels.run(output, parts=parts, quick=quick, progress=ProgressBar())
    for name in parts:
        typer.echo(f"\n{labels.TABLES[name](results)}")


@app.command("exported-labels")
def run_exported_labels(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    ground_truth: Annotated[Path, typer.Option(help="COCO JSON with human boxes of its frames.")],
    name: Annotated[str, typer.Option(help="The class that is compared.")] = "person",
    file: Annotated[str, typer.Option(help="Which exported file.")] = "annotations.coco.json",
) -> None:
    """Say how many of the boxes that a run exports a human drew, too; nothing is stored."""
    for split, found in exported.measure_exported(
        run / "dataset" / file, ground_truth, name=name, map_classes={}
    ).items():
        typer.echo(
            f"{split}: {found.n_frames} frames, {found.n_labels} labels, {found.n_below} below 0.3, "
            f"precision {found.precision:.3f}, recall {found.recall:.3f}"
        )


@app.command("tables")
def write_tables() -> None:
    """Write the tables of README.md and the docs, and the curve, from the committed results."""
    for path in tables.write_all():
        typer.echo(path)


if __name__ == "__main__":
    try:
        app()
    except EdgeAutotunerError as exc:
        sys.exit(f"{type(exc).__name__}: {exc}")
