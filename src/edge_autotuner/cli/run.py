"""`edge-autotuner run`: the main job."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.cli.loading import load_pipeline
from edge_autotuner.cli.options import COLLECT_PANEL, ConfigFile, Duration, Output, Realtime, Replay, Setting, Source
from edge_autotuner.cli.progress_bar import ProgressBar
from edge_autotuner.cli.saying import say
from edge_autotuner.cli.settings import merge_settings, parse_class_map, parse_classes
from edge_autotuner.cli.verdict import describe
from edge_autotuner.core.file_names import text_of_name
from edge_autotuner.core.redaction import redact_text

_LABELS = "Labels"
_TRAIN = "Training"
_EVALUATE = "Evaluation"


def run(
    source: Source,
    output: Output = Path("runs/camera"),
    config: ConfigFile = None,
    setting: Setting = None,
    edge_model: Annotated[
        str | None,
        typer.Option(
            help=(
                "Model to improve: a known model's name, a bundle, a weights file, or the folder of a "
                "transformers detector. Default: street-nano."
            )
        ),
    ] = None,
    input_size: Annotated[
        str | None, typer.Option(help="Input size of the edge model, e.g. 416 or 640x384. Default: 416.")
    ] = None,
    models_dir: Annotated[Path | None, typer.Option(help="Local mirror of model files.")] = None,
    deadline: Annotated[
        str | None, typer.Option(help="Time limit for capture, annotation and training together, e.g. 10min.")
    ] = None,
    duration: Duration = None,
    realtime: Realtime = None,
    max_images: Annotated[
        int | None, typer.Option(help="Maximum training frames. Default: 1000.", rich_help_panel=COLLECT_PANEL)
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            help="Background method: median, percentile, running, first, mog2 or knn. Default: median.",
            rich_help_panel=COLLECT_PANEL,
        ),
    ] = None,
    sensitivity: Annotated[
        str | None,
        typer.Option(help="Motion sensitivity: low, medium or high. Default: medium.", rich_help_panel=COLLECT_PANEL),
    ] = None,
    train_frames: Annotated[
        str | None, typer.Option(help="Train only on these frames, START:STOP.", rich_help_panel=COLLECT_PANEL)
    ] = None,
    test_frames: Annotated[
        str | None, typer.Option(help="Evaluate only on these frames, START:STOP.", rich_help_panel=COLLECT_PANEL)
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help=(
                "zoom, a known model's name, an ONNX file, the folder of a transformers detector, or "
                "remote:NAME. Separate several by commas to fuse their boxes. Default: zoom."
            ),
            rich_help_panel=_LABELS,
        ),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(help="Adapter for an unknown ONNX file: deim, picodet or yolox.", rich_help_panel=_LABELS),
    ] = None,
    look: Annotated[
        str | None,
        typer.Option(help="Views the teacher sees: tiles, crops or full. Default: tiles.", rich_help_panel=_LABELS),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Classes to learn, e.g. person,car.", rich_help_panel=_LABELS)
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(help="Minimum score of a label. Default: 0.3.", rich_help_panel=_LABELS)
    ] = None,
    layers: Annotated[
        str | None, typer.Option(help="Layers to train: auto, box, top or all. Default: auto.", rich_help_panel=_TRAIN)
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the frames. Default: 8.", rich_help_panel=_TRAIN)
    ] = None,
    replay: Replay = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads. Default: all cores.", rich_help_panel=_TRAIN)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed. Default: 0.", rich_help_panel=_TRAIN)] = None,
    ground_truth: Annotated[
        Path | None, typer.Option(help="COCO JSON file with human boxes to score against.", rich_help_panel=_EVALUATE)
    ] = None,
    test_source: Annotated[
        Path | None,
        typer.Option(help="Evaluate on this video or folder of the same camera instead.", rich_help_panel=_EVALUATE),
    ] = None,
    map_class: Annotated[
        list[str] | None,
        typer.Option(help="Score a class as another, e.g. truck=car; may be repeated.", rich_help_panel=_EVALUATE),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved settings and exit.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Run all start-up checks, then exit.")] = False,
) -> None:
    """Specialize the edge model for the camera of SOURCE: capture, label, train, evaluate, export, report."""
    flags = {
        "edge_model": edge_model,
        "input_size": input_size,
        "models_dir": models_dir,
        "deadline_s": deadline,
        "capture.stream.duration_s": duration,
        "capture.stream.realtime": realtime,
        "capture.max_images": max_images,
        "capture.background.method": background,
        "capture.motion.sensitivity": sensitivity,
        "capture.train_frames": train_frames,
        "capture.test_frames": test_frames,
        "annotation.teacher": teacher,
        "annotation.adapter": adapter,
        "annotation.look": look,
        "annotation.classes": parse_classes(classes),
        "annotation.min_score": min_score,
        "training.layers": layers,
        "training.n_epochs": epochs,
        "training.replay.folder": replay,
        "training.n_threads": threads,
        "training.seed": seed,
        "evaluation.ground_truth": ground_truth,
        "evaluation.test_source": test_source,
        "evaluation.map_classes": parse_class_map(map_class),
    }
    resolved = merge_settings(config, setting, flags)
    if dry_run:
        say(resolved.model_dump_json(indent=2))
        return
    pipeline = load_pipeline()
    if check:
        pipeline.check_start(source, output, resolved)
        say(f"the run can start with the folder {output}")
        return
    result = pipeline.run(source, output, resolved, progress=ProgressBar(), command=typed_command())
    say(describe(result))


def typed_command() -> str:
    """Return the command line as the user could type it again, without passwords of cameras."""
    from edge_autotuner.capture.live.address import redact

    return " ".join(["edge-autotuner", *(_shell_word(redact_text(redact(argument))) for argument in sys.argv[1:])])


def _shell_word(argument: str) -> str:
    """Quote an argument for a shell; one with bytes that are no UTF-8 as in `$'...'`."""
    if text_of_name(argument) == argument:
        return shlex.quote(argument)
    return "$'" + text_of_name(argument).replace("'", "\\'") + "'"
