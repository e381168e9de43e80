"""Runs the benchmark of the simulated world piece by piece, and keeps each piece at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.result_file import read_results, store_result
from benchmarks.simulation import accuracy, poses, specialization, speed
from edge_autotuner.errors import ConfigError
from edge_autotuner.simulation.world import SCENE_TYPES, SimulatedWorld, Steady

RESULTS = Path(__file__).parent.parent / "results" / "simulation.json"
GROUPS = ("detectors", "teacher", "poses", "specialization", "speed", "week")


@dataclass(frozen=True)
class Place:
    """Where and how a piece is measured.

    Attributes:
        folder: of frames, labels and trainings; what is there is used again.
        quick: shorten everything.
        say: told of scores.
    """

    folder: Path
    quick: bool
    say: Callable[[str], None]


@dataclass(frozen=True)
class Piece:
    """Some minutes of work and one entry of the result file."""

    key: str
    measure: Callable[[Place], Any]


def all_pieces() -> list[Piece]:
    """Return every piece; keys are "GROUP/WHAT"."""
    pieces = []
    for scene in SCENE_TYPES:
        pieces.append(Piece(f"detectors/{scene}", partial(_detectors, scene)))
        pieces.append(Piece(f"teacher/{scene}", partial(_teacher, scene)))
    pieces.append(Piece("poses/plain", lambda place: poses.run_plain(quick=place.quick)))
    pieces += [Piece(f"poses/{scene}", partial(_poses, scene)) for scene in SCENE_TYPES]
    pieces += [Piece(f"specialization/{scene}/start", partial(_start, scene)) for scene in specialization.TESTS]
    for seed in specialization.SEEDS:
        for scene in specialization.TESTS:
            for labels in specialization.LABELS:
                key = f"specialization/{scene}/{labels}/seed-{seed}"
                pieces.append(Piece(key, partial(_trained, scene, labels, seed)))
    pieces += [Piece(f"speed/{scene}", partial(_speed, scene)) for scene in SCENE_TYPES]
    return [*pieces, Piece("week", lambda place: speed.run_week(quick=place.quick))]


def chosen(names: Sequence[str] | None) -> list[Piece]:
    """Return the pieces of these keys or beginnings of keys up to a slash; all if none are given.

    Raises:
        ConfigError: a name is no piece's.
    """
    pieces = all_pieces()
    for name in names or ():
        if not any(_is_named(piece, name) for piece in pieces):
            raise ConfigError(f"no piece {name}; groups: {', '.join(GROUPS)}; all pieces: --list")
    return [piece for piece in pieces if not names or any(_is_named(piece, name) for name in names)]


def run(
    pieces: Sequence[Piece], folder: Path, *, again: bool, quick: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure the pieces that are not there, or of other pixels; return the results that there are now.

    With `quick`, everything is shortened, and results go to a file of their own below the folder.
    """
    place = Place(folder / "quick" if quick else folder, quick, say)
    path = results_file(folder, quick=quick)
    for number, piece in enumerate(pieces, start=1):
        where = f"[{number}/{len(pieces)}] {piece.key}"
        if not again and standing(piece, read_results(path)) == "done":
            say(f"{where}: is there")
            continue
        say(f"{where} ...")
        entry = {"machine": describe_machine(), "pixels": pixels_digest(), "measured": piece.measure(place)}
        store_result(path, piece.key, entry)
    return read_results(path)


def results_file(folder: Path, *, quick: bool) -> Path:
    """Return the committed file, or that of short runs."""
    return folder / "quick" / RESULTS.name if quick else RESULTS


def standing(piece: Piece, results: dict[str, Any]) -> str:
    """Return "done", "outdated" if the world drew other pixels then, or "left"."""
    if piece.key not in results:
        return "left"
    return "done" if results[piece.key].get("pixels") == pixels_digest() else "outdated"


@cache
def pixels_digest() -> str:
    """Return a hash of one frame of each scene type and light: results of other pixels are outdated."""
    digest = hashlib.sha256()
    for scene in SCENE_TYPES:
        for conditions in accuracy.LIGHTS.values():
            digest.update(SimulatedWorld(scene, schedule=Steady(conditions)).image(100).tobytes())
    return digest.hexdigest()[:16]


def _is_named(piece: Piece, name: str) -> bool:
    return f"{piece.key}/".startswith(f"{name.rstrip('/')}/")


def _detectors(scene: Any, place: Place) -> Any:  # noqa: ANN401 (JSON)
    return accuracy.run_detectors(scene, quick=place.quick, say=place.say)


def _teacher(scene: Any, place: Place) -> Any:  # noqa: ANN401
    return accuracy.run_teacher(scene, quick=place.quick, say=place.say)


def _poses(scene: Any, place: Place) -> Any:  # noqa: ANN401
    return poses.run_scene(scene, quick=place.quick, say=place.say)


def _speed(scene: Any, place: Place) -> Any:  # noqa: ANN401
    return speed.run_speed(scene, quick=place.quick, say=place.say)


def _start(scene: Any, place: Place) -> Any:  # noqa: ANN401
    return specialization.run_start(scene, place.folder / "specialization", quick=place.quick)


def _trained(scene: Any, labels: Any, seed: int, place: Place) -> Any:  # noqa: ANN401
    return specialization.run_trained(scene, labels, seed, place.folder / "specialization", quick=place.quick)
