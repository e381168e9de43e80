"""`python -m benchmarks COMMAND`: run a benchmark, or write the tables of README and docs from its results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import accuracy, tables
from edge_autotuner.errors import EdgeAutotunerError

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


@app.command("tables")
def write_tables() -> None:
    """Write the tables of README.md and docs/benchmarks.md from the committed results."""
    for path in tables.write_all():
        typer.echo(path)


if __name__ == "__main__":
    try:
        app()
    except EdgeAutotunerError as exc:
        sys.exit(f"{type(exc).__name__}: {exc}")
