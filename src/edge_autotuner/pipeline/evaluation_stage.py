"""Stage 4: old model, new model and teacher on the later frames, and the decision between old and new."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from edge_autotuner.config import RunConfig
from edge_autotuner.core import Detections, Detector, LabelMap, OperatingPoint
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.core.sampling import evenly_spread
from edge_autotuner.dataset import DatasetStore, FrameRecord, LabelledFrame, load_coco_truth
from edge_autotuner.deployment import ModelBundle, load_edge_detector
from edge_autotuner.errors import DatasetError
from edge_autotuner.evaluation import (
    AGAINST_HUMAN,
    AGAINST_TEACHER,
    TEACHER,
    MatchTable,
    Truth,
    choose_candidate,
    compare_detectors,
    count_found,
    ignored_elsewhere,
    in_looked_area,
    merges_among,
    truth_from_annotation,
)
from edge_autotuner.models.shown import only_shown
from edge_autotuner.pipeline.evaluation_result import DETECTORS, INCUMBENT, START, Contender, Evaluation, ShownFrame
from edge_autotuner.pipeline.incumbent import find_incumbent
from edge_autotuner.pipeline.loop import ANNOTATION, EVALUATION, TRAINING
from edge_autotuner.pipeline.operating_points import choose_points, count_at_point, measure_points
from edge_autotuner.pipeline.session import Prepared, Session
from edge_autotuner.pipeline.shown_frames import typical_frames
from edge_autotuner.pipeline.stage_results import EvaluationResult, Incumbent
from edge_autotuner.pipeline.training_stage import open_models, require_training, split_for_validation
from edge_autotuner.storage import file_sha256
from edge_autotuner.storage.atomic import atomic_write_json

DISPLAY_SCORE = 0.3
_N_FRAMES_SHOWN = 6


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
        incumbent = find_incumbent(session, trained.fingerprint, store.labels)
        judged_by = config.evaluation.fingerprint(), _hash_of_truth(config)
        model_sha256 = incumbent.model.sha256 if incumbent else None
        fingerprint = fingerprint_of(trained.fingerprint, *judged_by, model_sha256)

        def work() -> EvaluationResult:
            detectors = open_detectors(session)
            if incumbent is not None:
                detectors[INCUMBENT] = load_edge_detector(
                    incumbent.folder, config.training.n_threads, min_score=config.evaluation.min_score
                )
            _, validation = split_for_validation(store, annotated.fingerprint, config)
            session.progress.start(EVALUATION.name, len(validation) + len(frames))
            points = choose_points(session, store, validation, detectors)
            detections, ms = _detect_all(session, store, frames, detectors)
            session.progress.finish()
            result = _judge(detections, ms, points, frames, truths, store, config)
            if result.has_points:
                compared = _frames_to_compare(result, detections, frames, truths, store, config)
                shown = [_at_points(record, detections, points, store.labels) for record in compared]
            else:
                shown = [_shown(store, record, detectors, detections) for record in frames_to_show(store)]
            result = replace(result, shown=tuple(shown))
            if incumbent is not None:
                result = _compared_with(incumbent, result)
            atomic_write_json(session.folder.evaluation, result.to_json(), indent=2)
            decided = Incumbent(incumbent.folder.name if incumbent else None)
            return EvaluationResult(result.promotion.promoted, result.n_frames, decided)

        yield Prepared(work, fingerprint, is_kept=session.folder.evaluation.is_file())


def open_detectors(session: Session) -> dict[str, Detector]:
    """Return the start model and every candidate as the edge runtime runs them, by the name of the contender."""
    config = session.config
    record = session.folder.require(TRAINING.name, before=EVALUATION.name)
    return {
        name: model.as_detector(
            config.input_size,
            session.folder.training(record.fingerprint) / f"{name}.onnx",
            min_score=config.evaluation.min_score,
            n_threads=config.training.n_threads,
        )
        for name, model in open_models(session).items()
    }


def frames_to_show(store: DatasetStore) -> list[FrameRecord]:
    """Return the test frames that the report shows, spread over all of them."""
    frames = store.frames("test")
    return [frames[i] for i in evenly_spread(len(frames), _N_FRAMES_SHOWN)]


def detect_for_report(
    store: DatasetStore, record: FrameRecord, detectors: Mapping[str, Detector]
) -> dict[str, Detections]:
    """Return each detector's boxes in a frame, from the display score up."""
    image = store.read_image(record)
    return {name: detector.detect(image).above(DISPLAY_SCORE) for name, detector in detectors.items()}


def _shown(
    store: DatasetStore,
    record: FrameRecord,
    detectors: Mapping[str, Detector],
    detections: Mapping[str, Mapping[int, Detections]],
) -> ShownFrame:
    """Return a frame's labels; a frame without an annotation has not been looked at yet."""
    if all(record.index in by_frame for by_frame in detections.values()):
        found = {name: by_frame[record.index].above(DISPLAY_SCORE) for name, by_frame in detections.items()}
    else:
        found = detect_for_report(store, record, detectors)
    return ShownFrame(record.index, found, store.labels.task)


def _frames_to_compare(
    result: Evaluation,
    detections: Mapping[str, Mapping[int, Detections]],
    frames: Sequence[LabelledFrame],
    truths: Mapping[str, Sequence[Truth | None]],
    store: DatasetStore,
    config: RunConfig,
) -> list[FrameRecord]:
    """Return the test frames that the report shows: typical ones of those in which the two models differ."""
    before, after = (
        count_at_point(result.contenders[name].point, detections[name], frames, truths, store.labels, config)
        for name in (START, result.candidate)
    )
    return [frames[i][0] for i in typical_frames(before, after, _N_FRAMES_SHOWN)]


def _at_points(
    record: FrameRecord,
    detections: Mapping[str, Mapping[int, Detections]],
    points: Mapping[str, OperatingPoint | None],
    labels: LabelMap,
) -> ShownFrame:
    found = {name: by_frame[record.index] for name, by_frame in detections.items()}
    shown = {
        name: found[name].above(DISPLAY_SCORE) if point is None else only_shown(found[name], point, labels)
        for name, point in points.items()
    }
    return ShownFrame(record.index, shown, labels.task)


def _labelled_test_frames(store: DatasetStore, fingerprint: str) -> list[LabelledFrame]:
    frames = store.labelled("test", fingerprint)
    if not frames:
        raise DatasetError(f"{store.folder} has no annotated test frames; capture with a larger capture.test_fraction")
    return frames


def _hash_of_truth(config: RunConfig) -> str | None:
    """Return the hash of the ground truth's content; None without one, or where it cannot be read."""
    path = config.evaluation.ground_truth
    return file_sha256(path) if path is not None and path.is_file() else None


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


def _detect_all(
    session: Session, store: DatasetStore, frames: Sequence[LabelledFrame], detectors: Mapping[str, Detector]
) -> tuple[dict[str, dict[int, Detections]], dict[str, float]]:
    """Run all models on every frame, in turns, so that they meet the same load of the machine.

    Returns:
        What each found by the frame's index, and its median milliseconds per frame.
    """
    detections: dict[str, dict[int, Detections]] = {name: {} for name in detectors}
    times_ms: dict[str, list[float]] = {name: [] for name in detectors}
    for record, _ in frames:
        image = store.read_image(record)
        for name, detector in detectors.items():
            began_s = time.perf_counter()
            detections[name][record.index] = detector.detect(image)
            times_ms[name].append((time.perf_counter() - began_s) * 1000)
        session.progress.advance()
    return detections, {name: float(np.median(values)) for name, values in times_ms.items()}


def _compared_with(incumbent: ModelBundle, result: Evaluation) -> Evaluation:
    """Say in the reason that an earlier specialized model was the one to beat."""
    reason = f"{result.promotion.reason} (compared with the deployed {incumbent.folder.name})"
    return replace(result, promotion=replace(result.promotion, reason=reason))


def _judge(
    detections: Mapping[str, Mapping[int, Detections]],
    ms: Mapping[str, float],
    points: Mapping[str, OperatingPoint | None],
    frames: Sequence[LabelledFrame],
    truths: dict[str, list[Truth | None]],
    store: DatasetStore,
    config: RunConfig,
) -> Evaluation:
    settings = config.evaluation
    # what can be judged: a teacher that may not see everything says nothing about the rest
    known = {
        name: [in_looked_area(found[record.index], annotation) for record, annotation in frames]
        for name, found in detections.items()
    }
    compared = {DETECTORS.get(name, name): found for name, found in known.items() if name != INCUMBENT}
    compared[TEACHER] = [in_looked_area(annotation.detections, annotation) for _, annotation in frames]
    comparison = compare_detectors(
        compared,
        truths,
        store.labels,
        max_detections=settings.max_detections,
        min_score=settings.min_score,
        map_classes=merges_among(store.labels, settings.map_classes),
    )
    teacher_truths = [truth for truth in truths[AGAINST_TEACHER] if truth is not None]
    tables = {
        name: MatchTable.build(
            found, teacher_truths, max_detections=settings.max_detections, max_iou=settings.promotion_max_iou
        )
        for name, found in known.items()
    }
    incumbent = INCUMBENT if INCUMBENT in tables else START
    candidate, decision = choose_candidate(
        {name: table for name, table in tables.items() if name not in (START, INCUMBENT)},
        tables[incumbent],
        n_resamples=settings.n_bootstrap,
        confidence=settings.confidence,
        seed=settings.seed,
    )
    n_human = sum(truth is not None for truth in truths.get(AGAINST_HUMAN, []))
    if AGAINST_HUMAN in truths:
        of_human = f"human boxes cover {n_human} of the {len(teacher_truths)} frames and do not decide"
        decision = replace(decision, reason=f"{decision.reason} ({of_human})")
    at_points = measure_points(points, known, truths, frames, store.labels, config)
    contenders = {
        name: Contender(
            count_found(found, teacher_truths, min_score=DISPLAY_SCORE),
            ms[name],
            points[name],
            at_points.get(name, {}),
        )
        for name, found in known.items()
    }
    return Evaluation(comparison, decision, contenders, len(teacher_truths), n_human, incumbent, candidate)
