"""Stage 4: old model, new model and teacher on the later frames, and the decision between old and new."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from edge_autotuner.config import RunConfig
from edge_autotuner.core import Detections, Detector
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.dataset import DatasetStore, FrameRecord, load_coco_truth
from edge_autotuner.deployment import ModelBundle, load_edge_detector
from edge_autotuner.errors import DatasetError
from edge_autotuner.evaluation import (
    AGAINST_HUMAN,
    AGAINST_TEACHER,
    OFF_THE_SHELF,
    SPECIALIZED,
    TEACHER,
    MatchTable,
    Truth,
    compare_detectors,
    count_found,
    decide_promotion,
    ignored_elsewhere,
    in_looked_area,
    truth_from_annotation,
)
from edge_autotuner.pipeline.edge_model import EdgeModel
from edge_autotuner.pipeline.evaluation_result import Evaluation
from edge_autotuner.pipeline.incumbent import find_incumbent
from edge_autotuner.pipeline.loop import ANNOTATION, EVALUATION, TRAINING
from edge_autotuner.pipeline.rounds import LabelledFrame
from edge_autotuner.pipeline.session import Prepared, Session
from edge_autotuner.pipeline.stage_results import EvaluationResult
from edge_autotuner.pipeline.training_stage import load_candidate, require_training
from edge_autotuner.storage.atomic import atomic_write_json

DISPLAY_SCORE = 0.3


@contextmanager
def prepare(session: Session) -> Iterator[Prepared[EvaluationResult]]:
    """Open the test frames and their labels, to score the models on them and decide about the promotion.

    Raises:
        DatasetError: there are no annotated test frames, or the training was done with other settings.
        EvaluationError: the ground truth does not fit the frames.
    """
    annotated = session.folder.require(ANNOTATION.name, before=EVALUATION.name)
    config = session.config
    with DatasetStore.open(session.folder.dataset) as store:
        store.refresh()
        session.edge_model(of_dataset=store.labels)
        trained = require_training(session, before=EVALUATION.name)
        frames = _labelled_test_frames(store, annotated.fingerprint)
        truths = _truths(frames, store, config)
        rival = find_incumbent(session, trained.fingerprint, store.labels)
        fingerprint = fingerprint_of(
            trained.fingerprint, config.evaluation.fingerprint(), _hash_of_truth(config), rival and rival.model.sha256
        )

        def work() -> EvaluationResult:
            before, after = edge_detectors(session)
            detections, ms = _detect_all(session, store, [record for record, _ in frames], before, after)
            detections[TEACHER] = [annotation.detections for _, annotation in frames]
            deployed = _detect_with(rival, store, frames, config) if rival else detections[OFF_THE_SHELF]
            detections = {name: _where_known(found, frames) for name, found in detections.items()}
            result = _judge(detections, _where_known(deployed, frames), truths, store, config, ms)
            if rival is not None:
                result = _compared_with(rival, result)
            atomic_write_json(session.folder.evaluation, result.to_json(), indent=2)
            return EvaluationResult(result.promotion.promoted, result.n_frames)

        yield Prepared(work, fingerprint, is_kept=session.folder.evaluation.is_file())


def edge_detectors(session: Session) -> tuple[Detector, Detector]:
    """Return the old and the new edge model as the edge runtime runs them."""
    config = session.config
    record = session.folder.require(TRAINING.name, before=EVALUATION.name)
    folder = session.folder.training(record.fingerprint)
    start, candidate = session.edge_model(), load_candidate(session, before=EVALUATION.name)

    def opened(model: EdgeModel, file_name: str) -> Detector:
        return model.as_detector(
            config.input_size,
            folder / file_name,
            min_score=config.evaluation.min_score,
            n_threads=config.training.n_threads,
        )

    return opened(start, "start.onnx"), opened(candidate, "candidate.onnx")


def _labelled_test_frames(store: DatasetStore, fingerprint: str) -> list[LabelledFrame]:
    frames = [(r, a) for r in store.frames("test") if (a := store.annotation_of(r, fingerprint)) is not None]
    if not frames:
        raise DatasetError(f"{store.folder} has no annotated test frames; capture with a larger capture.test_fraction")
    return frames


def _hash_of_truth(config: RunConfig) -> str | None:
    """Return the hash of the ground truth's content; None without one, or where it cannot be read."""
    path = config.evaluation.ground_truth
    return hashlib.sha256(path.read_bytes()).hexdigest() if path is not None and path.is_file() else None


def _truths(frames: Sequence[LabelledFrame], store: DatasetStore, config: RunConfig) -> dict[str, list[Truth | None]]:
    truths: dict[str, list[Truth | None]] = {
        AGAINST_TEACHER: [truth_from_annotation(a, min_score=config.annotation.min_score) for _, a in frames]
    }
    if config.evaluation.ground_truth is not None:
        human = load_coco_truth(
            config.evaluation.ground_truth, labels=store.labels, map_classes=config.evaluation.map_classes
        )
        human.check_frames(record for record, _ in frames)
        found = [human.for_frame(record.index, record.file_name) for record, _ in frames]
        truths[AGAINST_HUMAN] = [
            None if boxes is None else ignored_elsewhere(Truth(*boxes), annotation)
            for boxes, (_, annotation) in zip(found, frames, strict=True)
        ]
    return truths


def _where_known(detections: Sequence[Detections], frames: Sequence[LabelledFrame]) -> list[Detections]:
    """Return what can be judged: a teacher that may not see everything says nothing about the rest."""
    return [in_looked_area(found, annotation) for found, (_, annotation) in zip(detections, frames, strict=True)]


def _detect_all(
    session: Session, store: DatasetStore, frames: Sequence[FrameRecord], before: Detector, after: Detector
) -> tuple[dict[str, list[Detections]], dict[str, float]]:
    """Run both models on every frame, in turns, so that both meet the same load of the machine."""
    detectors = {OFF_THE_SHELF: before, SPECIALIZED: after}
    detections: dict[str, list[Detections]] = {name: [] for name in detectors}
    times: dict[str, list[float]] = {name: [] for name in detectors}
    session.progress.start("evaluation", len(frames))
    for record in frames:
        image = store.read_image(record)
        for name, detector in detectors.items():
            began_s = time.perf_counter()
            detections[name].append(detector.detect(image))
            times[name].append((time.perf_counter() - began_s) * 1000)
        session.progress.advance()
    session.progress.finish()
    return detections, {name: float(np.median(values)) for name, values in times.items()}


def _detect_with(
    bundle: ModelBundle, store: DatasetStore, frames: Sequence[LabelledFrame], config: RunConfig
) -> list[Detections]:
    detector = load_edge_detector(bundle.folder, config.training.n_threads, min_score=config.evaluation.min_score)
    return [detector.detect(store.read_image(record)) for record, _ in frames]


def _compared_with(rival: ModelBundle, result: Evaluation) -> Evaluation:
    """Say in the reason that an earlier specialized model was the one to beat."""
    reason = f"{result.promotion.reason} (compared with the deployed {rival.folder.name})"
    return replace(result, promotion=replace(result.promotion, reason=reason))


def _judge(
    detections: dict[str, list[Detections]],
    deployed: list[Detections],
    truths: dict[str, list[Truth | None]],
    store: DatasetStore,
    config: RunConfig,
    ms: dict[str, float],
) -> Evaluation:
    settings = config.evaluation
    comparison = compare_detectors(
        detections,
        truths,
        store.labels,
        max_detections=settings.max_detections,
        min_score=settings.min_score,
        map_classes={name: target for name, target in settings.map_classes.items() if name in store.labels},
    )
    teacher_truths = [truth for truth in truths[AGAINST_TEACHER] if truth is not None]
    candidate_table, deployed_table = (
        MatchTable.build(
            found, teacher_truths, max_detections=settings.max_detections, max_iou=settings.promotion_max_iou
        )
        for found in (detections[SPECIALIZED], deployed)
    )
    decision = decide_promotion(
        candidate_table,
        deployed_table,
        n_resamples=settings.n_bootstrap,
        confidence=settings.confidence,
        seed=settings.seed,
    )
    found = {
        name: count_found(detections[name], teacher_truths, min_score=DISPLAY_SCORE)
        for name in (OFF_THE_SHELF, SPECIALIZED)
    }
    n_human = sum(truth is not None for truth in truths.get(AGAINST_HUMAN, []))
    if AGAINST_HUMAN in truths:
        of_human = f"human boxes cover {n_human} of the {len(teacher_truths)} frames and do not decide"
        decision = replace(decision, reason=f"{decision.reason} ({of_human})")
    return Evaluation(
        comparison,
        decision,
        found[OFF_THE_SHELF],
        found[SPECIALIZED],
        ms[OFF_THE_SHELF],
        ms[SPECIALIZED],
        len(teacher_truths),
        n_human,
    )
