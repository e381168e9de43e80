"""`edge-autotuner detect`: run a bundle over a source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.cli.progress_bar import ProgressBar
from edge_autotuner.cli.saying import say


def detect(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle, or of a run, whose deployed bundle is used.")],
    source: Annotated[str, typer.Argument(help="A video file or a folder of pictures.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="JSON file for COCO result records; - for standard output.")
    ] = Path("results.json"),
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Lowest score to write.")] = 0.05,
    ground_truth: Annotated[
        Path | None, typer.Option(help="Write the image and category ids of this COCO file, and only its frames.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Overwrite a file that holds no detections.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, max=256, help="CPU threads.")] = None,
) -> None:
    """Write the detections of a bundle on every frame of SOURCE; needs no torch."""
    from edge_autotuner.pipeline.detect import detect as run_detection

    n_frames = run_detection(
        bundle,
        source,
        output,
        min_score=min_score,
        ground_truth=ground_truth,
        n_threads=threads,
        overwrite=overwrite,
        progress=ProgressBar(),
    )
    say(f"{n_frames} frames, {output}", err=output == Path("-"))
