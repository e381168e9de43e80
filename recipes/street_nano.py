"""Trains `street-nano`, the generic edge model that the package ships: `scripts/train_street_nano`.

Official YOLOX-nano weights are cut down to six street classes and fine-tuned on pictures of fixed cameras whose
licences permit it, with labels from the tiled deimv2-femto teacher. Distillation from the starting weights, and an
average of both in weight space, keep what these pictures do not show.

Sources: learning without forgetting, Li & Hoiem, arXiv 1606.09282; averaging fine-tuned and starting weights (WiSE-FT),
Wortsman et al., arXiv 2109.01903.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.scenes import data_folder
from edge_autotuner.annotation import annotate_dataset, make_onnx_teacher
from edge_autotuner.capture import PictureFolder, open_source
from edge_autotuner.cli.progress_bar import ProgressBar
from edge_autotuner.config import AnnotationConfig, AugmentationConfig, TrainingConfig
from edge_autotuner.core import STREET_6, Deadline, Frame, FrameSource
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.models import Yolox, find_model, load_yolox, locate, save_yolox, with_classes
from edge_autotuner.models.catalogue import packaged_weights_folder
from edge_autotuner.pipeline.training_samples import make_sample
from edge_autotuner.storage.atomic import atomic_write_json
from edge_autotuner.training import TrainingSample, tune
from recipes.street_nano_scores import score_on_test_cameras, score_unseen

START, TEACHER = "yolox-nano", "deimv2-femto"
INPUT_SIZE = (416, 416)


@dataclass(frozen=True)
class Clip:
    """Training material: every n-th frame of a source below the data folder."""

    name: str
    source: str
    every: int
    licence: str


# PETS and NGSIM sequence 1 are test cameras: nothing here shows them.
CLIPS = (
    Clip("ngsim-seq2", "scenes/ngsim_us101_seq2/images/train", 1, "US DOT"),
    Clip("car-detection", "scenes/unlabelled/intel_car-detection.mp4", 2, "CC BY 4.0, Intel"),
    Clip("one-by-one", "scenes/unlabelled/intel_one-by-one.mp4", 7, "CC BY 4.0, Intel"),
    Clip("motorway", "scenes/unlabelled/bgs_video02.avi", 4, "MIT"),
    Clip("pose", "scenes/pose/demo.mp4", 3, "BSD-3-Clause"),
)

ANNOTATION = AnnotationConfig(teacher=TEACHER)
TRAINING = TrainingConfig(
    layers="all",
    n_epochs=4,
    max_lr=5e-4,
    distill_weight=0.2,
    augmentation=AugmentationConfig(scale=0.5, noise=6.0),
)
WEIGHTS = packaged_weights_folder()
BLEND = 0.35
"""Share of the fine-tuned weights in the average with the starting weights."""
SHARES = (0.0, 0.25, BLEND, 0.5, 0.75, 1.0)


def main(
    output: Annotated[
        Path, typer.Option(help="Folder of datasets and checkpoints; an interrupted run continues.")
    ] = Path("runs/street-nano"),
    blend: Annotated[float, typer.Option(min=0, max=1, help="Share of the fine-tuned weights.")] = BLEND,
    weights: Annotated[Path, typer.Option(help="Where the weights and their card go.")] = WEIGHTS,
    hold_out: Annotated[
        list[str] | None, typer.Option(help="Clips to leave out; scores every blend on them and stores nothing.")
    ] = None,
) -> None:
    """Train, blend, store and score street-nano."""
    data, progress = data_folder(), ProgressBar()
    start_path = locate(START, models_dir=data / "models")
    network, labels = load_yolox(start_path, architecture=START)
    start = with_classes(network, labels, STREET_6)
    stores = {clip.name: _label(clip, data, output / clip.name, progress) for clip in CLIPS}
    seen = {name: store for name, store in stores.items() if name not in (hold_out or ())}
    tuned = _tune(start, seen, output, progress)
    if hold_out:
        blends = {str(share): blend_networks(start, tuned, share=share) for share in SHARES}
        held_out = {name: stores[name] for name in hold_out}
        typer.echo(json.dumps(score_unseen(blends, held_out, data, ANNOTATION.min_score), indent=2))
        return
    street = blend_networks(start, tuned, share=blend)
    weights.mkdir(parents=True, exist_ok=True)
    path = weights / "street_nano.safetensors"
    save_yolox(path, street, STREET_6, half=True)
    stored, _ = load_yolox(path)
    card = {
        "name": "street-nano",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "licence": "Apache-2.0",
        "start": {"name": START, "sha256": hashlib.sha256(start_path.read_bytes()).hexdigest()},
        "teacher": {"name": TEACHER, "sha256": find_model(TEACHER).files[0].sha256},
        "data": [_describe(clip, stores[clip.name]) for clip in CLIPS],
        "annotation": ANNOTATION.model_dump(mode="json"),
        "training": TRAINING.model_dump(mode="json"),
        "blend": blend,
        "scores": score_on_test_cameras({START: start, "street-nano": stored}, data),
    }
    atomic_write_json(weights / "street_nano.json", card, indent=2)
    typer.echo(json.dumps(card["scores"], indent=2))


def blend_networks(start: Yolox, tuned: Yolox, *, share: float) -> Yolox:
    """Return the average of two networks' weights, with `share` (0..1) of the second."""
    blended = copy.deepcopy(start)
    with torch.no_grad():
        for ours, other in zip(blended.parameters(), tuned.parameters(), strict=True):
            ours.lerp_(other, share)
    return blended


def _label(clip: Clip, data: Path, folder: Path, progress: ProgressBar) -> DatasetStore:
    """Store every n-th frame of a clip with the teacher's labels; what is there already stays."""
    source = open_source(data / clip.source)
    store = DatasetStore.create(folder, source=source.info, labels=STREET_6, settings={"every": clip.every})
    originals = source if isinstance(source, PictureFolder) else None
    for frame in _every_nth(source, clip.every):
        store.add_frame(
            frame,
            split="train",
            regions_xyxy=as_boxes([]),
            motion_fraction=0.0,
            background=None,
            reason=f"every {clip.every}",
            original=originals.original_path(frame) if originals else None,
        )
    model = find_model(TEACHER)
    assert model.detector is not None
    teacher = make_onnx_teacher(locate(TEACHER, models_dir=data / "models"), model.detector, ANNOTATION, STREET_6)
    annotate_dataset(
        store, teacher, ANNOTATION, fingerprint=ANNOTATION.fingerprint(), deadline=Deadline(None), progress=progress
    )
    return store


def _tune(start: Yolox, stores: dict[str, DatasetStore], output: Path, progress: ProgressBar) -> Yolox:
    fingerprint = fingerprint_of(TRAINING.fingerprint(), list(stores))
    return tune(
        start,
        [sample for store in stores.values() for sample in _samples(store)],
        TRAINING,
        input_size_wh=INPUT_SIZE,
        validate=_latest_is_best(),
        folder=output / "training" / fingerprint,
        fingerprint=fingerprint,
        progress=progress,
    ).network


def _every_nth(source: FrameSource, n: int) -> Iterator[Frame]:
    return (frame for frame in source.frames() if frame.index % n == 0)


def _samples(store: DatasetStore) -> list[TrainingSample]:
    pairs = [(record, store.annotation_of(record)) for record in store.frames("train")]
    return [make_sample(store, record, annotation, ANNOTATION) for record, annotation in pairs if annotation]


def _latest_is_best() -> Callable[[Yolox], float]:
    """Return a validation that prefers the last epoch: the blend, not early stopping, limits how far weights move."""
    calls = iter(range(1, 1_000_000))
    return lambda _network: next(calls) / 1_000_000


def _describe(clip: Clip, store: DatasetStore) -> dict[str, object]:
    return {
        "name": clip.name,
        "source": Path(clip.source).name if clip.source.endswith((".mp4", ".avi")) else clip.source.split("/")[1],
        "sha256": store.source.sha256,
        "licence": clip.licence,
        "n_frames": len(store.frames("train")),
    }


if __name__ == "__main__":
    typer.run(main)
