"""Stage 6: everything that a run folder holds becomes one page for people."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from edge_autotuner._version import __version__
from edge_autotuner.capture import CaptureSummary
from edge_autotuner.config import RunConfig
from edge_autotuner.core.file_names import text_of_name
from edge_autotuner.core.sampling import evenly_spread
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.deployment import deployed_bundle, read_bundle
from edge_autotuner.errors import DatasetError
from edge_autotuner.evaluation import PointResult
from edge_autotuner.evaluation.report import (
    Costs,
    FrameComparison,
    MotionExample,
    ReportData,
    TimelineFrame,
    write_report,
)
from edge_autotuner.pipeline.evaluation_result import START, Evaluation, read_evaluation
from edge_autotuner.pipeline.evaluation_stage import (
    DISPLAY_SCORE,
    detect_for_report,
    frames_to_show,
    open_detectors,
)
from edge_autotuner.pipeline.loop import ANNOTATION, CAPTURE, EVALUATION, REPORT, TRAINING
from edge_autotuner.pipeline.report_facts import label_notes, learning_curve, motion_facts, refinement_facts, sent_facts
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.session import Prepared, Session
from edge_autotuner.pipeline.stage_results import AnnotationResult, CaptureResult, TrainingResult
from edge_autotuner.pipeline.training_stage import require_training

_N_MOTION_EXAMPLES = 3
_MAX_TIMELINE_FRAMES = 1500
_VERSIONS_OF = ("numpy", "opencv-python-headless", "av", "onnxruntime", "torch")


@contextmanager
def prepare(session: Session) -> Iterator[Prepared[None]]:
    """Open the dataset, to write `report.html` from what the stages have left so far.

    Raises:
        DatasetError: not even the capture is finished.
    """
    folder = session.folder
    with DatasetStore.open(folder.dataset) as store:
        yield Prepared(lambda: write_report(folder.report, _collect(session, store)))


@dataclass(frozen=True)
class _Results:
    """What the stages have left; None for those that are not done."""

    capture: CaptureResult
    annotation: AnnotationResult | None
    training: TrainingResult | None
    evaluation: Evaluation | None

    @classmethod
    def of(cls, folder: RunFolder) -> _Results:
        evaluation = read_evaluation(folder.evaluation) if folder.stage(EVALUATION.name) else None
        capture = folder.result(CAPTURE, before=REPORT.name)
        return cls(capture, folder.find_result(ANNOTATION), folder.find_result(TRAINING), evaluation)


def _collect(session: Session, store: DatasetStore) -> ReportData:
    config, folder = session.config, session.folder
    done = _Results.of(folder)
    evaluation, capture = done.evaluation, done.capture.numbers
    return ReportData(
        title=store.source.name,
        source=store.source,
        labels=store.labels,
        edge_model=Path(config.edge_model).name,
        teacher=done.annotation.numbers.teacher
        if done.annotation
        else text_of_name(Path(config.annotation.teacher).stem),
        display_score=DISPLAY_SCORE,
        comparison=evaluation.comparison if evaluation else None,
        found_before=evaluation.before.found if evaluation else None,
        found_after=evaluation.after.found if evaluation else None,
        at_point=_at_point(evaluation) if evaluation else {},
        point=evaluation.after.point if evaluation else None,
        promotion=evaluation.promotion if evaluation else None,
        frames=_compared_frames(session, store, evaluation) if evaluation else (),
        background=_last_background(store),
        motion_examples=_motion_examples(store),
        selection_counts={reason: count for reason, count in capture.reasons.items() if count},
        timeline=_timeline(store, capture),
        motion=motion_facts(capture),
        sent=sent_facts(done.capture, done.annotation),
        events=tuple(store.events()),
        teacher_scores=_teacher_scores(store),
        min_score=config.annotation.min_score,
        uncertain_score=config.annotation.uncertain_score,
        refinement=refinement_facts(done.annotation),
        notes=label_notes(done.annotation, config.annotation.judges),
        learning=learning_curve(done.training),
        costs=_costs(folder, done),
        settings=_settings(config, done),
        command=session.command or _command(folder, done.capture.source),
        versions=_versions(),
        hashes=_hashes(store, folder),
        created_at=session.clock.now(),
    )


def _compared_frames(session: Session, store: DatasetStore, evaluation: Evaluation) -> tuple[FrameComparison, ...]:
    """Return test frames with what was found in them before and after the training.

    Raises:
        DatasetError: the evaluation is of another training than that of the settings, or not of this dataset.
    """
    require_training(session, before=REPORT.name)
    shown = {frame.index: frame.found for frame in evaluation.shown}
    frames, detectors = frames_to_show(store), None
    if evaluation.has_points:
        by_index = {record.index: record for record in store.frames("test")}
        frames = [by_index[frame.index] for frame in evaluation.shown if frame.index in by_index]
    if any(record.index not in shown for record in frames):  # an earlier version evaluated
        session.edge_model(of_dataset=store.labels)
        detectors = open_detectors(session)
    compared = []
    for record in frames:
        found = shown[record.index] if detectors is None else detect_for_report(store, record, detectors)
        before, after = found.get(START), found.get(evaluation.candidate)
        if any((one.class_ids >= len(store.labels)).any() for one in (before, after) if one is not None):
            raise DatasetError(f"{session.folder.evaluation} is not of this dataset: it has other classes")
        compared.append(FrameComparison(_caption(record), store.read_image(record), before, after))
    return tuple(compared)


def _at_point(evaluation: Evaluation) -> dict[str, tuple[PointResult, PointResult]]:
    """Return what both models show at their operating points, by truth."""
    before, after = evaluation.before.at_point, evaluation.after.at_point
    return {truth: (before[truth], after[truth]) for truth in after if truth in before}


def _caption(record: FrameRecord) -> str:
    if record.file_name is not None:
        return record.file_name
    minutes, seconds = divmod(record.time_s, 60)
    return f"{int(minutes)}:{seconds:04.1f}, frame {record.index}"


def _last_background(store: DatasetStore) -> ImageArray | None:
    names = [record.background for record in store.frames() if record.background]
    return store.read_background(names[-1]) if names else None


def _motion_examples(store: DatasetStore) -> tuple[MotionExample, ...]:
    records = [record for record in store.frames("train") if record.regions_xyxy]
    return tuple(
        MotionExample(f"{_caption(record)}: {record.reason}", store.read_image(record), record.regions)
        for record in (records[i] for i in evenly_spread(len(records), _N_MOTION_EXAMPLES))
    )


def _timeline(store: DatasetStore, capture: CaptureSummary) -> tuple[TimelineFrame, ...]:
    """Return when frames were kept, and, evenly spread over the time of the source, when they were not."""
    shown = [TimelineFrame(record.time_s, record.split) for record in store.frames("train")]
    if store.settings.get("test_source") is None:
        shown += [TimelineFrame(record.time_s, record.split) for record in store.frames("test")]
    n_skipped = min(_MAX_TIMELINE_FRAMES, max(0, capture.n_frames - len(shown)))
    shown += [TimelineFrame(time_s, "skipped") for time_s in np.linspace(0, capture.watched_s, n_skipped).tolist()]
    return tuple(sorted(shown, key=lambda frame: frame.time_s))


def _teacher_scores(store: DatasetStore) -> FloatArray | None:
    scores = [annotation.detections.scores for _, annotation in store.labelled("train")]
    return np.concatenate(scores) if scores else None


def _costs(folder: RunFolder, done: _Results) -> Costs:
    return Costs(
        stage_seconds=folder.seconds(),
        teacher_calls=done.annotation.numbers.n_calls if done.annotation else None,
        pixels_sent=done.annotation.numbers.n_pixels if done.annotation else None,
        pixels_captured=done.capture.n_source_pixels,
        edge_ms_before=done.evaluation.before.ms if done.evaluation else None,
        edge_ms_after=done.evaluation.after.ms if done.evaluation else None,
    )


def _settings(config: RunConfig, done: _Results) -> dict[str, str]:
    training = done.training
    values = {
        "edge input": f"{config.input_size[0]}x{config.input_size[1]}",
        "background": config.capture.background.method,
        "sensitivity": config.capture.motion.sensitivity,
        "teacher looks at": _how_teacher_looks(config, done.annotation),
        "label threshold": str(config.annotation.min_score),
        "seed": str(config.training.seed),
    }
    if training is not None:
        values["trained layers"] = f"{training.layers} ({training.n_parameters:,} parameters)"
        values["training frames"] = str(training.n_training_frames)
        values["training ended by"] = training.stopped_by
    return values


def _how_teacher_looks(config: RunConfig, annotated: AnnotationResult | None) -> str:
    look = config.annotation.look
    magnification = annotated.magnification if annotated else None
    return look if magnification is None else f"{look}: {magnification.explain()}"


def _command(folder: RunFolder, source: str) -> str:
    """Return a command that gives the same result, for a run that was made stage by stage."""
    settings = ["--config", str(folder.path / "settings.yaml"), "--output", str(folder.path)]
    return shlex.join(["edge-autotuner", "run", source, *settings])


def _versions() -> dict[str, str]:
    versions = {"edge-autotuner": __version__, "python": platform.python_version()}
    for name in _VERSIONS_OF:
        with suppress(metadata.PackageNotFoundError):  # for example OpenCV's package with windows
            versions[name] = metadata.version(name)
    return versions


def _hashes(store: DatasetStore, folder: RunFolder) -> dict[str, str]:
    hashes = {f"source {store.source.name}": store.source.sha256}
    bundle = deployed_bundle(folder.path)
    if bundle is not None:
        deployed = read_bundle(bundle)
        hashes |= {f"{bundle.name}/{file.name}": file.sha256 for file in (deployed.model, deployed.weights)}
    return hashes
