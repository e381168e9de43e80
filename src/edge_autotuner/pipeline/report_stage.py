"""Stage 6: everything that a run folder holds becomes one page for people."""

from __future__ import annotations

import platform
import shlex
from contextlib import suppress
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import numpy as np

from edge_autotuner._version import __version__
from edge_autotuner.annotation import RefinementSummary
from edge_autotuner.capture import CaptureSummary
from edge_autotuner.core import Detector
from edge_autotuner.core.file_names import text_of_name
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.deployment import deployed_bundle, read_bundle
from edge_autotuner.evaluation.report import (
    Costs,
    FrameComparison,
    LearningCurve,
    MotionExample,
    RefinementFacts,
    ReportData,
    SecondLookFacts,
    TimelineFrame,
    write_report,
)
from edge_autotuner.pipeline.capture_facts import motion_facts, pixels_of_frames, read_capture, sent_facts
from edge_autotuner.pipeline.edge_model import open_edge_model
from edge_autotuner.pipeline.evaluation_result import Evaluation, read_evaluation
from edge_autotuner.pipeline.evaluation_stage import DISPLAY_SCORE, edge_detectors
from edge_autotuner.pipeline.run_folder import STAGES, RunFolder, StageRecord
from edge_autotuner.pipeline.session import Session
from edge_autotuner.pipeline.training_stage import require_training

_N_FRAMES_SHOWN = 6
_N_MOTION_EXAMPLES = 3
_MAX_TIMELINE_FRAMES = 1500
_VERSIONS_OF = ("numpy", "opencv-python-headless", "av", "onnxruntime", "torch")


def report(session: Session) -> Path:
    """Write `report.html` from what the stages have left so far, and return its path.

    Raises:
        DatasetError: not even the capture is finished.
    """
    folder = session.folder
    folder.require("capture", before="report")
    evaluation = read_evaluation(folder.evaluation) if folder.stage("evaluation") else None
    with DatasetStore.open(folder.dataset) as store:
        data = _collect(session, store, evaluation)
    write_report(folder.report, data)
    return folder.report


def _collect(session: Session, store: DatasetStore, evaluation: Evaluation | None) -> ReportData:
    config, folder = session.config, session.folder
    capture = read_capture(folder, before="report")
    return ReportData(
        title=store.source.name,
        source=store.source,
        labels=store.labels,
        edge_model=Path(config.edge_model).name,
        teacher=_teacher_name(folder, config.annotation.teacher),
        display_score=DISPLAY_SCORE,
        comparison=evaluation.comparison if evaluation else None,
        found_before=evaluation.found_before if evaluation else None,
        found_after=evaluation.found_after if evaluation else None,
        promotion=evaluation.promotion if evaluation else None,
        frames=_compared_frames(session, store) if evaluation else (),
        background=_last_background(store),
        motion_examples=_motion_examples(store),
        selection_counts={reason: count for reason, count in capture.reasons.items() if count},
        timeline=_timeline(store, capture),
        motion=motion_facts(capture),
        sent=sent_facts(capture, folder.stage("annotation")),
        events=tuple(store.events()),
        teacher_scores=_teacher_scores(store),
        min_score=config.annotation.min_score,
        uncertain_score=config.annotation.uncertain_score,
        refinement=_refinement(folder.stage("annotation")),
        learning=_learning(folder.stage("training")),
        costs=_costs(folder, capture, evaluation),
        settings=_settings(session),
        command=session.command or _command(folder),
        versions=_versions(),
        hashes=_hashes(store, folder),
        created_at=session.clock.now(),
    )


def _teacher_name(folder: RunFolder, configured: str) -> str:
    record = folder.stage("annotation")
    return str(record.summary["teacher"]) if record else text_of_name(Path(configured).stem)


def _compared_frames(session: Session, store: DatasetStore) -> tuple[FrameComparison, ...]:
    """Run both models on some test frames, spread over the kept part, and show the boxes side by side."""
    edge = open_edge_model(session.config, of_dataset=store.labels)
    require_training(session, edge, before="report")
    before, after = edge_detectors(session, edge)
    return tuple(_compare(store, record, before, after) for record in _spread(store.frames("test"), _N_FRAMES_SHOWN))


def _compare(store: DatasetStore, record: FrameRecord, before: Detector, after: Detector) -> FrameComparison:
    image = store.read_image(record)
    found = [detector.detect(image).above(DISPLAY_SCORE) for detector in (before, after)]
    return FrameComparison(_caption(record), image, *found)


def _caption(record: FrameRecord) -> str:
    if record.file_name is not None:
        return record.file_name
    minutes, seconds = divmod(record.time_s, 60)
    return f"{int(minutes)}:{seconds:04.1f}, frame {record.index}"


def _spread(records: list[FrameRecord], n: int) -> list[FrameRecord]:
    positions = np.linspace(0, len(records) - 1, min(n, len(records))).round().astype(int)
    return [records[int(i)] for i in dict.fromkeys(positions.tolist())]


def _last_background(store: DatasetStore) -> ImageArray | None:
    names = [record.background for record in store.frames() if record.background]
    return store.read_background(names[-1]) if names else None


def _motion_examples(store: DatasetStore) -> tuple[MotionExample, ...]:
    records = [record for record in store.frames("train") if record.regions_xyxy]
    return tuple(
        MotionExample(f"{_caption(record)}: {record.reason}", store.read_image(record), record.regions)
        for record in _spread(records, _N_MOTION_EXAMPLES)
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
    annotations = [store.annotation_of(record) for record in store.frames("train")]
    scores = [annotation.detections.scores for annotation in annotations if annotation is not None]
    return np.concatenate(scores) if scores else None


def _refinement(record: StageRecord | None) -> RefinementFacts | None:
    """Return what the rules changed; None before the annotation, and where they are switched off."""
    if record is None or "refinement" not in record.summary:
        return None
    refined = RefinementSummary.from_json(record.summary["refinement"])
    return RefinementFacts(
        n_static_places=refined.n_static_places,
        n_static_labels=refined.n_static_labels,
        n_labels=refined.n_labels,
        n_empty_frames=refined.n_negatives,
        is_followed=any(refined.is_film.values()),
        **asdict(refined.temporal),
    )


def _learning(record: StageRecord | None) -> LearningCurve | None:
    if record is None:
        return None
    history = record.summary["history"]
    best = int(record.summary["best_epoch"])
    look = record.summary.get("second_look")
    return LearningCurve(
        train_loss=tuple(epoch["loss"] for epoch in history[1:]),
        val_ap=tuple(epoch["val_ap"] for epoch in history[1:]),
        best_epoch=best or None,
        start_ap=history[0]["val_ap"],
        second_look=SecondLookFacts(**look) if look else None,
    )


def _costs(folder: RunFolder, capture: CaptureSummary, evaluation: Evaluation | None) -> Costs:
    records = {name: record for name in STAGES if (record := folder.stage(name)) is not None}
    annotation = records["annotation"].summary if "annotation" in records else {}
    return Costs(
        stage_seconds={name: record.seconds for name, record in records.items()},
        teacher_calls=annotation.get("n_calls"),
        pixels_sent=annotation.get("n_pixels"),
        pixels_captured=pixels_of_frames(capture),
        edge_ms_before=evaluation.ms_before if evaluation else None,
        edge_ms_after=evaluation.ms_after if evaluation else None,
    )


def _settings(session: Session) -> dict[str, str]:
    config, trained = session.config, session.folder.stage("training")
    values = {
        "edge input": f"{config.input_size[0]}x{config.input_size[1]}",
        "background": config.capture.background.method,
        "sensitivity": config.capture.motion.sensitivity,
        "teacher looks at": config.annotation.look,
        "label threshold": str(config.annotation.min_score),
        "seed": str(config.training.seed),
    }
    if trained:
        values["trained layers"] = f"{trained.summary['layers']} ({trained.summary['n_parameters']:,} parameters)"
        values["training frames"] = str(trained.summary["n_training_frames"])
        values["training ended by"] = str(trained.summary["stopped_by"])
    return values


def _command(folder: RunFolder) -> str:
    """Return a command that gives the same result, for a run that was made stage by stage."""
    source = str(folder.require("capture", before="report").summary["source"])
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
