"""`edge-autotuner replay`: put pictures of other scenes into a reservoir, and see what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.cli.saying import say
from edge_autotuner.core.arguments import check_choice
from edge_autotuner.core.clock import parse_duration_s
from edge_autotuner.dataset.replay import OWN_NAMES, ReplayReservoir
from edge_autotuner.dataset.replay_records import ORIGINS, ReplayPicture
from edge_autotuner.errors import ConfigError
from edge_autotuner.storage.outputs import check_output_folder

app = typer.Typer(help="Manage replay reservoirs, pictures for later trainings.", no_args_is_help=True)

Reservoir = Annotated[Path, typer.Argument(help="Folder of a replay reservoir.", show_default=False)]


@app.command()
def add(
    reservoir: Reservoir,
    folder: Annotated[Path, typer.Argument(help="Folder of an annotated run or dataset.", show_default=False)],
    origin: Annotated[
        str, typer.Option("--as", help="replay: earlier pictures of the camera; generic: other scenes.")
    ] = "generic",
    max_pictures: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_000, help="Maximum pictures. Default: unchanged; 500 in a new reservoir."),
    ] = None,
    max_mb: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=10_000_000,
            help="Maximum size, MB. Default: unchanged; 200 in a new reservoir.",
        ),
    ] = None,
) -> None:
    """Add labelled training frames of FOLDER to RESERVOIR, which is created if missing."""
    from edge_autotuner.pipeline.replay_offers import add_dataset

    try:
        kind = check_choice(origin, ORIGINS, "origin")
    except ValueError as exc:
        raise ConfigError(f"--as {origin}: {exc}") from exc
    check_output_folder(reservoir, option="RESERVOIR", reads={"the dataset": folder}, own=OWN_NAMES)
    added = add_dataset(reservoir, folder, origin=kind, max_pictures=max_pictures, max_mb=max_mb)
    say(
        f"{added.n_taken} of {added.n_offered} labelled training frames were added; {reservoir} now has "
        f"{added.n_held} pictures"
    )


@app.command()
def show(reservoir: Reservoir) -> None:
    """Count the pictures of RESERVOIR by origin, class and time."""
    there = ReplayReservoir(reservoir)
    say("\n".join(_describe(there.pictures(), there)))


@app.command()
def forget(
    reservoir: Reservoir,
    older_than: Annotated[
        str,
        typer.Option(help="Delete pictures added longer ago than this, e.g. 30d.", show_default=False),
    ],
) -> None:
    """Delete old pictures of RESERVOIR."""
    before = datetime.now(UTC) - timedelta(seconds=parse_duration_s(older_than))
    there = ReplayReservoir(reservoir)
    n_deleted = there.forget(before=before) if there.exists else len(there.pictures())  # which says what is wrong
    say(f"{n_deleted} pictures were deleted; {reservoir} now has {len(there.pictures())}")


def _describe(pictures: Sequence[ReplayPicture], reservoir: ReplayReservoir) -> list[str]:
    limits = reservoir.limits
    mb = sum(picture.n_bytes for picture in pictures) / 1e6
    lines = [
        f"pictures: {len(pictures)} of at most {limits.max_pictures}",
        f"size: {mb:.1f} MB of at most {limits.max_mb:g} MB",
    ]
    for origin in ("replay", "generic"):
        members = [picture for picture in pictures if picture.origin == origin]
        lines.append(f"{origin}: {len(members)} pictures")
        if members:
            eras = sorted({picture.era for picture in members})
            lines += _counts(name for picture in members for name in picture.labels.classes or ("(nothing)",))
            lines.append(f"  hours: {len(eras)}, from {eras[0]} to {eras[-1]}")
    return lines


def _counts(names: Iterable[str]) -> list[str]:
    return [f"  {name}: {count} pictures" for name, count in sorted(Counter(names).items())]
