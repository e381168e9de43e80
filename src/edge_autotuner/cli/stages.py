"""`edge-autotuner capture`, `annotate`, `tune`, `evaluate`, `export`, `report`: one stage at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_autotuner.cli.loading import load_pipeline
from edge_autotuner.cli.options import ConfigFile, Duration, Folder, Output, Realtime, Replay, Setting, Source
from edge_autotuner.cli.progress_bar import ProgressBar
from edge_autotuner.cli.saying import say
from edge_autotuner.cli.settings import merge_settings, parse_class_map, parse_classes
from edge_autotuner.cli.verdict import describe_evaluation
from edge_autotuner.config import RunConfig

_SAVED = "settings.yaml"


def capture(
    source: Source,
    output: Output = Path("runs/camera"),
    config: ConfigFile = None,
    setting: Setting = None,
    duration: Duration = None,
    realtime: Realtime = None,
    max_images: Annotated[int | None, typer.Option(help="Maximum training frames. Default: 1000.")] = None,
    sensitivity: Annotated[
        str | None, typer.Option(help="Motion sensitivity: low, medium or high. Default: medium.")
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(help="Background method: median, percentile, running, first, mog2 or knn. Default: median."),
    ] = None,
    deadline: Annotated[str | None, typer.Option(help="Time limit for collecting, e.g. 10min.")] = None,
) -> None:
    """Collect the frames of SOURCE that show something new."""
    flags = {
        "capture.stream.duration_s": duration,
        "capture.stream.realtime": realtime,
        "capture.max_images": max_images,
        "capture.motion.sensitivity": sensitivity,
        "capture.background.method": background,
        "capture.deadline_s": deadline,
    }
    resolved = merge_settings(config, setting, flags)
    say(load_pipeline().capture_frames(source, output, resolved, progress=ProgressBar()))


def annotate(
    folder: Folder,
    config: ConfigFile = None,
    setting: Setting = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help=(
                "zoom, a known model's name, an ONNX file, the folder of a transformers detector, or "
                "remote:NAME. Separate several by commas to fuse their boxes."
            )
        ),
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="Adapter for an unknown ONNX file: deim, picodet or yolox.")
    ] = None,
    look: Annotated[str | None, typer.Option(help="Views the teacher sees: tiles, crops or full.")] = None,
    min_score: Annotated[float | None, typer.Option(help="Minimum score of a label.")] = None,
    classes: Annotated[str | None, typer.Option(help="Classes to learn; must be the classes of the capture.")] = None,
) -> None:
    """Let the teacher label the frames of a run."""
    flags = {
        "annotation.teacher": teacher,
        "annotation.adapter": adapter,
        "annotation.look": look,
        "annotation.min_score": min_score,
        "annotation.classes": parse_classes(classes),
    }
    say(load_pipeline().annotate(folder, _resolve(folder, config, setting, flags), progress=ProgressBar()))


def tune(
    folder: Folder,
    config: ConfigFile = None,
    setting: Setting = None,
    layers: Annotated[str | None, typer.Option(help="Layers to train: auto, box, top or all.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the frames.")] = None,
    deadline: Annotated[str | None, typer.Option(help="Time limit for training, e.g. 10min.")] = None,
    replay: Replay = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
) -> None:
    """Fine-tune the edge model on the labels of a run."""
    flags = {
        "training.layers": layers,
        "training.n_epochs": epochs,
        "training.deadline_s": deadline,
        "training.replay.folder": replay,
        "training.n_threads": threads,
        "training.seed": seed,
    }
    say(load_pipeline().tune(folder, _resolve(folder, config, setting, flags), progress=ProgressBar()))


def evaluate(
    folder: Folder,
    config: ConfigFile = None,
    setting: Setting = None,
    ground_truth: Annotated[Path | None, typer.Option(help="COCO JSON file with human boxes to score against.")] = None,
    map_class: Annotated[
        list[str] | None, typer.Option(help="Score a class as another, e.g. truck=car; may be repeated.")
    ] = None,
) -> None:
    """Score the old model, the candidate and the teacher on later frames, and decide on promotion."""
    flags = {"evaluation.ground_truth": ground_truth, "evaluation.map_classes": parse_class_map(map_class)}
    result = load_pipeline().evaluate(folder, _resolve(folder, config, setting, flags), progress=ProgressBar())
    say(describe_evaluation(result))


def export(folder: Folder, config: ConfigFile = None, setting: Setting = None) -> None:
    """Write both models as bundles and deploy the winner."""
    say(load_pipeline().export(folder, _resolve(folder, config, setting, {}), progress=ProgressBar()))


def report(folder: Folder, config: ConfigFile = None, setting: Setting = None) -> None:
    """Write the HTML report of a run."""
    say(load_pipeline().report(folder, _resolve(folder, config, setting, {}), progress=ProgressBar()))


def _resolve(folder: Path, file: Path | None, pairs: list[str] | None, flags: Mapping[str, Any]) -> RunConfig | None:
    """Return the folder's saved settings changed by flags; a file given by hand replaces the saved ones."""
    saved = folder / _SAVED
    if file is None and not saved.is_file():
        return None  # the stage says that this is not the folder of a run
    return merge_settings(file or saved, pairs, flags)
