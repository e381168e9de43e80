"""The result file: one entry for each piece, written the moment that the piece is done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import describe_machine
from benchmarks.specialization.piece import Piece
from benchmarks.specialization.workplace import Workplace
from edge_autotuner import __version__
from edge_autotuner.errors import ConfigError
from edge_autotuner.storage.atomic import atomic_write_json

RESULTS = Path(__file__).parent.parent / "results" / "specialization.json"


@dataclass(frozen=True)
class Standing:
    """What is there of some pieces.

    Attributes:
        done: with the present settings.
        outdated: there, but measured with other settings.
        left: not there.
    """

    done: tuple[str, ...]
    outdated: tuple[str, ...]
    left: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return one line per piece and one with the counts."""
        marked = [("done", self.done), ("outdated", self.outdated), ("left", self.left)]
        lines = [f"{word:<9}{key}" for word, keys in marked for key in keys]
        return [*lines, f"{len(self.done)} done, {len(self.outdated)} outdated, {len(self.left)} left"]


def read_results(path: Path = RESULTS) -> dict[str, Any]:
    """Return the stored entries by the keys of their pieces; none where there is no file yet.

    Raises:
        ConfigError: the file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise ConfigError(f"{path} is damaged ({exc}); restore it, or delete it to measure everything again") from exc
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected entries by the keys of pieces, got {type(values).__name__}")
    return values


def standing(pieces: Sequence[Piece], path: Path) -> Standing:
    """Return which pieces are done, which were measured with other settings, and which are left."""
    results = read_results(path)
    there = [piece for piece in pieces if piece.key in results]
    is_present = {piece.key: results[piece.key]["fingerprint"] == piece.fingerprint() for piece in there}
    return Standing(
        tuple(key for key, present in is_present.items() if present),
        tuple(key for key, present in is_present.items() if not present),
        tuple(piece.key for piece in pieces if piece.key not in results),
    )


def run_pieces(
    pieces: Sequence[Piece], place: Workplace, path: Path, *, again: bool, say: Callable[[str], None]
) -> None:
    """Measure what is not there yet, and store each piece at once.

    Args:
        pieces: in order.
        place: folders.
        path: the result file; entries of other pieces stay.
        again: measure what is there, too; trainings of such a piece start from the beginning.
        say: told of each piece.

    Raises:
        ConfigError: a setting of any of the pieces does not exist; then nothing is measured.
    """
    for piece in pieces:
        piece.check()
    for number, piece in enumerate(pieces, start=1):
        where = f"[{number}/{len(pieces)}] {piece.key}"
        if piece.key in read_results(path) and not again:
            say(f"{where}: is there")
            continue
        say(f"{where} ...")
        if again:
            for trial in piece.own_trials:
                place.forget(trial)
        began_s = time.perf_counter()
        measured = piece.measure(place)
        entry = {
            "fingerprint": piece.fingerprint(),
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "machine": {**describe_machine(), "torch": torch.__version__, "threads": torch.get_num_threads()},
            "wall_s": round(time.perf_counter() - began_s, 1),
            "result": measured,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_json(path, dict(sorted({**read_results(path), piece.key: entry}.items())), indent=1)
        say(f"{where}: {entry['wall_s']:.0f} s")
