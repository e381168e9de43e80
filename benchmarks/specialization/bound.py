"""How much better human labels would be: trained on half of the labelled pictures of NGSIM, scored on the other half.

The 177 pictures are cut, in the order of their numbers, into blocks of 15; the first, third, ... block is trained on,
the others are scored. Next to each other lie pictures of the same minute, so that this is an upper bound for labels and
not a forecast for another day.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scenes import NGSIM, Scene
from benchmarks.specialization.accuracy import specialized
from benchmarks.specialization.given_labels import stage_record, store_labels, sure_annotation
from benchmarks.specialization.piece import Measure, Piece
from benchmarks.specialization.scoring import TestSet, run_test_set, score, specialized_detector, start_detector
from benchmarks.specialization.trial import Trial
from benchmarks.specialization.workplace import Finished, Workplace
from edge_autotuner.capture import open_source
from edge_autotuner.config import RunConfig
from edge_autotuner.core import STREET_6, Annotation
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.dataset import CocoTruth, DatasetStore, FrameRecord, load_coco_truth
from edge_autotuner.pipeline import stages
from edge_autotuner.pipeline.loop import TRAINING
from edge_autotuner.pipeline.run_folder import RunFolder

BLOCK = 15
N_TRAINED = 90  # six blocks of the twelve
N_SCORED = 87

_HUMAN = "human boxes"
_HALVES = Scene(
    name="NGSIM seq 1 halves",
    source="scenes/ngsim_us101_seq1/images/test",
    test_source=None,
    ground_truth=NGSIM.ground_truth,
    pick=lambda images: images,
    map_classes=NGSIM.map_classes,
)
HUMAN_TRIAL = Trial("bound-human", _HALVES, settings={"training.second_look.enabled": False})  # people need none
TEACHER_TRIAL = Trial("bound-teacher", _HALVES)
OTHERS_TRIAL = Trial("bound-teacher-other-pictures", NGSIM, settings={"capture.max_images": N_TRAINED})


def pieces() -> list[Piece]:
    """Return the trainings with human and with the teacher's labels, and what they are compared with."""
    return [
        Piece("bound/start", _start),
        Piece("bound/human-labels", _on_halves(HUMAN_TRIAL, _label_by_hand), (HUMAN_TRIAL,), (HUMAN_TRIAL,)),
        Piece("bound/teacher-labels", _on_halves(TEACHER_TRIAL, _label_by_teacher), (TEACHER_TRIAL,), (TEACHER_TRIAL,)),
        Piece("bound/teacher-labels-of-other-pictures", _others(OTHERS_TRIAL), (OTHERS_TRIAL,), (OTHERS_TRIAL,)),
        Piece("bound/all-pictures", _others(specialized("ngsim")), (specialized("ngsim"),)),
    ]


def is_trained_on(position: int) -> bool:
    """Whether the picture at this place, in the order of the numbers in their names, is trained on."""
    return position // BLOCK % 2 == 0


def _start(place: Workplace) -> dict[str, Any]:
    folder, config = halves(place, HUMAN_TRIAL)
    return score(start_detector(place, config), _scored_half(folder, config))


def _on_halves(trial: Trial, label: Callable[[Workplace, RunFolder, RunConfig], None]) -> Measure:
    def measure(place: Workplace) -> dict[str, Any]:
        folder, config = halves(place, trial)
        label(place, folder, config)
        return _scored(place.trained(trial, folder, config), _scored_half(folder, config))

    return measure


def _others(trial: Trial) -> Measure:
    def measure(place: Workplace) -> dict[str, Any]:
        return _scored(place.carry_out(trial), _scored_half(*halves(place, HUMAN_TRIAL)))

    return measure


def _scored(done: Finished, test_set: TestSet) -> dict[str, Any]:
    training = done.folder.result(TRAINING, before="the benchmark")
    return {
        **score(specialized_detector(done), test_set),
        "n_training_frames": training.n_training_frames,
        "n_validation_frames": training.n_validation_frames,
        "best_epoch": training.best_epoch,
    }


def halves(place: Workplace, trial: Trial) -> tuple[RunFolder, RunConfig]:
    """Return a run folder with the two halves as captured frames, and its settings."""
    config, folder = place.config(trial), RunFolder(place.trial_folder(trial))
    if folder.stage("capture") is None:
        shutil.rmtree(folder.path, ignore_errors=True)
        folder.save_settings(config)
        _capture(folder, place.data / _HALVES.source, n_pictures=2 * BLOCK if place.quick else N_TRAINED + N_SCORED)
    return folder, config


def _capture(folder: RunFolder, source_path: Path, *, n_pictures: int) -> None:
    source = open_source(source_path)
    numbers = [int(Path(name).stem) for name in source.names]
    position_of = {index: position for position, index in enumerate(np.argsort(numbers).tolist())}
    with DatasetStore.create(folder.dataset, source=source.info, labels=STREET_6, settings={"block": BLOCK}) as store:
        for frame in source.frames():
            position = position_of[frame.index]
            if position >= n_pictures:
                continue
            store.add_frame(
                frame,
                split="train" if is_trained_on(position) else "test",
                regions_xyxy=np.zeros((0, 4), np.float32),
                motion_fraction=0.0,
                background=None,
                reason="half",
                original=source_path / str(frame.file_name),
            )
    folder.finish("capture", stage_record(fingerprint_of("halves", BLOCK), {}))


def _label_by_hand(place: Workplace, folder: RunFolder, config: RunConfig) -> None:
    """Store the human boxes as if a teacher had said them, surely and of the whole picture."""
    truth = load_coco_truth(place.data / NGSIM.ground_truth, labels=STREET_6, map_classes=config.evaluation.map_classes)
    store_labels(folder, lambda record: _human_annotation(truth, record), teacher=_HUMAN)


def _human_annotation(truth: CocoTruth, record: FrameRecord) -> Annotation:
    boxes = truth.for_frame(record.index, record.file_name)
    assert boxes is not None, "every picture of the folder is labelled"
    boxes_xyxy, class_ids, _ = boxes
    return sure_annotation(boxes_xyxy, class_ids, record)


def _label_by_teacher(place: Workplace, folder: RunFolder, config: RunConfig) -> None:
    stages.annotate(folder.path, config, progress=place.progress)


def _scored_half(folder: RunFolder, config: RunConfig) -> TestSet:
    return run_test_set(folder, config, _HALVES)
