"""What `python -m benchmarks specialization` does: chooses pieces, runs them, and says what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.scenes import data_folder
from benchmarks.specialization.catalogue import chosen, parse_seeds
from benchmarks.specialization.piece import Piece
from benchmarks.specialization.results import RESULTS, Standing, run_pieces, standing
from benchmarks.specialization.workplace import Workplace
from edge_autotuner.core import Progress

__all__ = ["chosen", "parse_seeds", "run", "state"]


def run(
    pieces: Sequence[Piece],
    output: Path,
    *,
    again: bool,
    quick: bool,
    say: Callable[[str], None],
    progress: Progress,
) -> None:
    """Run what is not there yet; with `quick`, shortened, into a result file below `output`.

    Raises:
        ConfigError: there is no data folder, or a setting does not exist.
    """
    work = output / "quick" if quick else output
    place = Workplace(data_folder(), work, quick=quick, progress=progress)
    run_pieces(pieces, place, _results_file(output, quick=quick), again=again, say=say)


def state(pieces: Sequence[Piece], output: Path, *, quick: bool) -> Standing:
    """Return what is done and what is left."""
    return standing(pieces, _results_file(output, quick=quick))


def _results_file(output: Path, *, quick: bool) -> Path:
    return output / "quick" / RESULTS.name if quick else RESULTS
