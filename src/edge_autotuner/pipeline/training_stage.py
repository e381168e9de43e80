"""Stage 3: the edge model is fine-tuned on the teacher's labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from edge_autotuner.annotation import split_labels
from edge_autotuner.config import AnnotationConfig, RunConfig
from edge_autotuner.core import Annotation, LabelMap
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.dataset.atomic import atomic_write_json
from edge_autotuner.errors import DatasetError, NoLabelsFound, TrainingError
from edge_autotuner.evaluation import score_detections, truth_from_annotation
from edge_autotuner.models.torch_detector import TorchDetector
from edge_autotuner.models.torch_weights import save_network
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.pipeline.edge_model import EdgeModel, open_edge_model
from edge_autotuner.pipeline.run_folder import StageRecord, fingerprint_of
from edge_autotuner.pipeline.session import Session
from edge_autotuner.training import TrainingSample, TuningResult, Validate, tune

CANDIDATE_WEIGHTS = "candidate.safetensors"

Labelled = tuple[FrameRecord, Annotation]


def train(session: Session) -> None:
    """Fine-tune the edge model and keep the best weights in the run's training folder.

    Raises:
        TrainingError: there is too little to train on, or the loss diverged.
        ConfigError: the edge model does not have the dataset's classes.
    """
    annotated = session.folder.require("annotation", before="training")
    with DatasetStore.open(session.folder.dataset) as store:
        edge = open_edge_model(session.config, of_dataset=store.labels)
        fingerprint = training_fingerprint(session, edge)
        session.keep_settings()
        weights = session.folder.training(fingerprint) / CANDIDATE_WEIGHTS
        if session.is_done("training", fingerprint) and weights.is_file():
            return
        with session.stage("training", fingerprint) as summary:
            training, validation = split_for_validation(store, annotated.fingerprint, session.config)
            result = _tune(session, store, edge, training, validation, fingerprint)
            save_network(weights, result.network, edge.labels)
            summary.update(
                layers=result.layers,
                best_epoch=result.best_epoch,
                best_val_ap=result.best_val_ap,
                stopped_by=result.stopped_by,
                n_parameters=result.n_parameters,
                n_training_frames=len(training),
                n_validation_frames=len(validation),
                history=[asdict(record) for record in result.history],
                seconds=result.seconds,
            )
            atomic_write_json(weights.with_name("result.json"), summary)


def training_fingerprint(session: Session, edge: EdgeModel) -> str:
    """Return what a training is known by: its labels, its start and its settings."""
    config = session.config
    annotated = session.folder.require("annotation", before="training")
    settings = config.training.model_dump(mode="json", exclude={"deadline_s", "n_threads"})
    thresholds = config.annotation.min_score, config.annotation.uncertain_score
    labelled = annotated.fingerprint, annotated.summary["n_frames"]
    return fingerprint_of(labelled, edge.sha256, config.input_size, settings, thresholds)


def require_training(session: Session, edge: EdgeModel, *, before: str) -> StageRecord:
    """Return the record of the finished training, which must be that of the present settings.

    Raises:
        DatasetError: there is none, or it was done with another edge model or other settings.
    """
    record = session.folder.require("training", before=before)
    if record.fingerprint != training_fingerprint(session, edge):
        raise DatasetError(
            f"the training in {session.folder.path} was done with another edge model or other settings than now; "
            "run `edge-autotuner tune` on it with the new ones, or give the old ones"
        )
    return record


def split_for_validation(
    store: DatasetStore, fingerprint: str, config: RunConfig
) -> tuple[list[Labelled], list[Labelled]]:
    """Divide the annotated training frames by time; the last ones choose the checkpoint.

    The cut is made where the last `val_fraction` of the frames with labels begins, so that both parts have
    some. Validation frames beyond `max_val_images` are used for neither.

    Raises:
        NoLabelsFound: fewer than two training frames have labels.
    """
    frames = [(r, a) for r in store.frames("train") if (a := store.annotation_of(r, fingerprint)) is not None]
    with_labels = [i for i, (_, a) in enumerate(frames) if (a.detections.scores >= config.annotation.min_score).any()]
    if len(with_labels) < 2:
        raise NoLabelsFound(
            f"{len(with_labels)} of {len(frames)} training frames have labels, at least 2 are needed: capture more, "
            "lower annotation.min_score, or take another teacher"
        )
    n_val = max(1, round(len(with_labels) * config.training.val_fraction))
    cut = with_labels[-n_val]
    later = frames[cut:]
    chosen = np.unique(np.linspace(0, len(later) - 1, min(config.training.max_val_images, len(later))).round())
    return frames[:cut], [later[int(i)] for i in chosen]


def _tune(
    session: Session,
    store: DatasetStore,
    edge: EdgeModel,
    training: Sequence[Labelled],
    validation: Sequence[Labelled],
    fingerprint: str,
) -> TuningResult[TrainableNetwork]:
    config = session.config
    return tune(
        edge.network,
        [make_sample(store, record, annotation, config.annotation) for record, annotation in training],
        config.training,
        input_size_wh=config.input_size,
        validate=make_validation(store, validation, config),
        folder=session.folder.training(fingerprint),
        fingerprint=fingerprint,
        deadline=session.training_deadline(),
        progress=session.progress,
    )


def make_sample(
    store: DatasetStore, record: FrameRecord, annotation: Annotation, config: AnnotationConfig
) -> TrainingSample:
    """Return a frame with its labels as the training wants it."""
    labels = split_labels(annotation, config)
    return TrainingSample(
        read_image=lambda: store.read_image(record),
        size_wh=record.size_wh,
        boxes_xyxy=labels.boxes_xyxy,
        class_ids=labels.class_ids,
        ignored_xyxy=labels.ignored_xyxy,
        looked_xyxy=labels.looked_xyxy,
    )


def make_validation(store: DatasetStore, frames: Sequence[Labelled], config: RunConfig) -> Validate[TrainableNetwork]:
    """Return a function that scores a network on some frames against the teacher's labels.

    The score is the AP50:95 of the classes weighted by their number of labels: in the plain mean, a class with
    two labels in the whole slice would choose the checkpoint as much as one with two thousand.
    """
    images = [store.read_image(record) for record, _ in frames]
    truths = [truth_from_annotation(a, min_score=config.annotation.min_score) for _, a in frames]
    labels: LabelMap = store.labels

    def validate(network: TrainableNetwork) -> float:
        detector = TorchDetector(network, labels, config.input_size, min_score=config.evaluation.min_score)
        scores = score_detections(
            [detector.detect(image) for image in images],
            truths,
            labels,
            max_detections=config.evaluation.max_detections,
            min_score=config.evaluation.min_score,
        )
        if scores.n_truths == 0:
            raise TrainingError("the validation frames have no labels; raise training.val_fraction")
        return sum(c.ap * c.n_truths for c in scores.per_class.values()) / scores.n_truths

    return validate


def candidate_weights(session: Session) -> Path:
    """Return the weights of the finished training."""
    record = session.folder.require("training", before="evaluation")
    return session.folder.training(record.fingerprint) / CANDIDATE_WEIGHTS
