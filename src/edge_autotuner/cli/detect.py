"""`edge-autotuner detect`: run a bundle over a source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.cli.progress_bar import ProgressBar
from edge_autotuner.cli.saying import say
from edge_autotuner.config.feeding import FeedingMode


def detect(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle, or of a run (its deployed bundle).")],
    source: Annotated[str, typer.Argument(help="Video file or folder of pictures.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="COCO results file to write; -: standard output.")
    ] = Path("results.json"),
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Minimum score of a written detection.")] = 0.05,
    operating_point: Annotated[
        bool,
        typer.Option("--operating-point", help="Write only the detections that the bundle's operating point shows."),
    ] = False,
    mode: Annotated[
        FeedingMode | None,
        typer.Option(
            help="full: whole frames; regions: what moves, magnified and packed into one input, and a whole frame now "
            "and then; auto: regions where what moves is small. Default: as the bundle says."
        ),
    ] = None,
    ground_truth: Annotated[
        Path | None, typer.Option(help="COCO file to take image and category IDs from; only its frames are written.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Overwrite a file that contains no detections.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, max=256, help="CPU threads.")] = None,
) -> None:
    """Run a bundle on every frame of SOURCE, and write its detections; needs no torch."""
    from edge_autotuner.pipeline.detect import detect as run_detection

    n_frames = run_detection(
        bundle,
        source,
        output,
        min_score=min_score,
        only_operating_point=operating_point,
        mode=mode,
        ground_truth=ground_truth,
        n_threads=threads,
        overwrite=overwrite,
        progress=ProgressBar(),
    )
    say(f"{n_frames} frames, {output}", err=output == Path("-"))
