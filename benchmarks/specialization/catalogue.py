"""All pieces of the benchmark, and how some of them are chosen."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from benchmarks.specialization import ablations, accuracy, bound, forgetting, off_the_shelf, speed, transfer
from benchmarks.specialization.piece import GROUPS, Piece
from edge_autotuner.errors import ConfigError


def all_pieces() -> list[Piece]:
    """Return every piece, the most important ones first."""
    groups = (off_the_shelf, accuracy, speed, bound, transfer, forgetting, ablations)
    return [piece for group in groups for piece in group.pieces()]


def chosen(
    names: Sequence[str] | None, *, groups: Collection[str] | None = None, seeds: Collection[int] | None = None
) -> list[Piece]:
    """Return some of the pieces, in their order.

    Args:
        names: keys, or beginnings of keys up to a slash; None or nothing: all.
        groups: only of these groups.
        seeds: only with these seeds.

    Raises:
        ConfigError: there is no such piece or group, or nothing is left.
    """
    pieces = all_pieces()
    _require_known(names or (), pieces)
    if unknown := sorted(set(groups or ()) - set(GROUPS)):
        raise ConfigError(f"no group {', '.join(unknown)}; groups: {', '.join(GROUPS)}")
    found = [
        piece
        for piece in pieces
        if (not names or any(_is_named(piece, name) for name in names))
        and (not groups or piece.group in groups)
        and (not seeds or piece.seed in seeds)
    ]
    if not found:
        raise ConfigError("no piece is of all these names, groups and seeds; see --list")
    return found


def parse_seeds(text: str | None) -> list[int] | None:
    """Read "0,1,2".

    Raises:
        ConfigError: it is something else.
    """
    if text is None:
        return None
    parts = text.split(",")
    if not all(part.strip().isdigit() for part in parts):
        raise ConfigError(f"'{text}' are no seeds; write 0,1,2")
    return [int(part) for part in parts]


def _require_known(names: Sequence[str], pieces: Sequence[Piece]) -> None:
    unknown = [name for name in names if not any(_is_named(piece, name) for piece in pieces)]
    if unknown:
        raise ConfigError(f"no piece {', '.join(unknown)}; see --list")


def _is_named(piece: Piece, name: str) -> bool:
    return f"{piece.key}/".startswith(f"{name.rstrip('/')}/")
