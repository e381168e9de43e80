"""`python -m benchmarks COMMAND`: run a benchmark, or write the tables of README and docs from its results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import accuracy, tables
from benchmarks.capture import quality, soak, speed
from benchmarks.capture import tables as capture_tables
from edge_autotuner.cli.progress_bar import ProgressBar
from edge_autotuner.errors import EdgeAutotunerError

_Quick = Annotated[bool, typer.Option("--quick", help="A short run, to see that it works; nothing is stored.")]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.command("accuracy")
def run_accuracy(
    only: Annotated[list[str] | None, typer.Option(help="Name of a case; all when left out.")] = None,
    output: Annotated[Path, typer.Option(help="Folder of the runs; interrupted ones continue.")] = Path("runs/bench"),
    epochs: Annotated[int | None, typer.Option(help="Shorter trainings, for a quick look.")] = None,
) -> None:
    """Specialize on the labelled scenes and score against human boxes; writes JSON and prints a table."""
    results = accuracy.run_cases(only, output, epochs)
    typer.echo(tables.accuracy_table(results))


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
