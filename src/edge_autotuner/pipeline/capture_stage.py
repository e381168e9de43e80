"""Stage 1: collect frames that show something new, and keep the last part for the evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_autotuner.capture import (
    EventLog,
    LiveProgress,
    collect_frames,
    collect_live,
    collect_test_frames,
    is_live_address,
    open_source,
    plan_end_s,
    redact,
)
from edge_autotuner.config import RunConfig
from edge_autotuner.core import Detector, FrameSource, LabelMap
from edge_autotuner.core.file_names import text_of_name
from edge_autotuner.dataset import CocoTruth, DatasetStore, load_coco_truth
from edge_autotuner.dataset.replay import OWN_NAMES
from edge_autotuner.errors import ConfigError, DatasetError
from edge_autotuner.pipeline.edge_model import EdgeModel, open_as_detector, open_edge_model
from edge_autotuner.pipeline.privacy import open_filter, stored_settings
from edge_autotuner.pipeline.run_folder import fingerprint_of
from edge_autotuner.pipeline.session import Session
from edge_autotuner.storage.outputs import check_output_folder

GROUND_TRUTH_OF_LIVE = (
    "evaluation.ground_truth names frames of a recording; with a live source give evaluation.test_source"
)


def check_places(source: Path | str, output: Path, config: RunConfig) -> None:
    """Make sure that a run writes nothing over what it reads.

    Raises:
        ConfigError: its folder is, or is inside, something that it reads.
    """
    reads: dict[str, Path | str | None] = {
        "the source": source,
        "the ground truth": config.evaluation.ground_truth,
        "the test source": config.evaluation.test_source,
        "the edge model": config.edge_model if Path(config.edge_model).exists() else None,
    }
    check_output_folder(output, option="--output", reads=reads)
    if config.training.replay.folder is not None:
        reservoir = {"the replay reservoir": config.training.replay.folder}
        check_output_folder(output, option="--output", reads=reservoir)
        check_output_folder(config.training.replay.folder, option="--replay", reads=reads, own=OWN_NAMES)


def capture(session: Session, source_path: Path | str) -> None:
    """Fill the dataset folder with frames of a source.

    A live source is watched for `capture.stream.duration_s`; when that is done, or when the settings have not
    changed since, the camera is not asked again.

    Raises:
        VideoError: a source cannot be read, or nothing moves in it.
        DatasetError: the folder holds a capture with other settings.
        EvaluationError: the ground truth does not fit the frames.
    """
    if is_live_address(str(source_path)) and _was_watched(session, source_path):
        session.keep_settings()
        return
    events = EventLog()
    with _opened(session, source_path, events) as (source, end_s):
        _capture(session, source, source_path, events, end_s)


def _capture(session: Session, source: FrameSource, source_path: Path | str, events: EventLog, end_s: float) -> None:
    config = session.config
    test_source = open_source(config.evaluation.test_source) if config.evaluation.test_source else None
    edge = open_edge_model(config)
    truth = _ground_truth(session, edge.labels)
    if source.info.is_live and truth is not None and test_source is None:
        raise ConfigError(GROUND_TRUTH_OF_LIVE)
    settings = _settings(session, source, test_source, _labelled_indices(truth, test_source or source))
    fingerprint = fingerprint_of(source.info.sha256, settings, edge.labels.names)
    if session.is_done("capture", fingerprint) and session.folder.dataset.is_dir():
        session.keep_settings()
        return
    student = _student(session, edge) if config.capture.selection.asks_student else None
    with (
        DatasetStore.create(
            session.folder.dataset,
            source=source.info,
            labels=edge.labels,
            settings=settings,
            treatment=open_filter(config, session.folder.path) if config.privacy.treats_stored_pictures else None,
        ) as store,
        session.stage("capture", fingerprint) as summary,
    ):
        session.keep_settings()
        if source.info.is_live:
            collected = collect_live(
                source,
                store,
                config.capture,
                events=events,
                end_s=end_s,
                keep_test=test_source is None,
                student=student,
                clock=session.clock,
                progress=session.progress,
            )
        else:
            collected = collect_frames(
                source,
                store,
                config.capture,
                keep_test=test_source is None,
                labelled_indices=_labelled_indices(truth, source) if test_source is None else None,
                student=student,
                events=events,
                deadline=session.capture_deadline(),
                progress=session.progress,
            )
        if test_source is not None:
            collect_test_frames(
                test_source,
                store,
                config.capture,
                ground_truth_frames=_labelled_indices(truth, test_source),
                progress=session.progress,
            )
        if truth is not None:
            truth.check_frames(store.frames("test"))
        store.export()
        width, height = source.info.size_wh
        n_source_pixels = collected.n_frames * width * height
        summary.update(collected.to_json(), n_source_pixels=n_source_pixels, source=_name_of(source_path))


@contextmanager
def _opened(session: Session, source_path: Path | str, events: EventLog) -> Iterator[tuple[FrameSource, float]]:
    """Open a source until the end of the block, and yield it with the time at which a watch of it ends.

    A live one continues where an interrupted watch stopped.
    """
    before = _watched_before(session)
    end_s = plan_end_s(session.config.capture, before, session.capture_deadline())
    source = open_source(
        source_path,
        session.config.capture.stream,
        clock=session.clock,
        on_event=events.add,
        start_index=before.n_frames,
        start_time_s=before.watched_s,
        end_time_s=end_s,
    )
    with source:
        yield source, end_s


def _watched_before(session: Session) -> LiveProgress:
    try:
        with DatasetStore.open(session.folder.dataset) as store:
            return LiveProgress.of(store) if store.source.is_live else LiveProgress()
    except DatasetError:  # there is none yet, or `DatasetStore.create` will say what is wrong with it
        return LiveProgress()


def _name_of(source_path: Path | str) -> str:
    """Return a source as it may be shown and stored: no secrets, valid Unicode."""
    return text_of_name(redact(str(source_path)))


def _was_watched(session: Session, address: Path | str) -> bool:
    """Whether this camera was watched to the end with these settings, so that it need not be there any more."""
    record = session.folder.stage("capture")
    if record is None or record.summary["source"] != _name_of(address) or not session.folder.dataset.is_dir():
        return False
    old = session.folder.settings()
    same_privacy = stored_settings(old) == stored_settings(session.config)
    return same_privacy and (old.capture, old.edge_model) == (session.config.capture, session.config.edge_model)


def _student(session: Session, edge: EdgeModel) -> Detector:
    """Return the edge model as it would run beside the camera, for scores that ask for its opinion."""
    size = session.config.input_size
    path = session.folder.path / "student" / f"{fingerprint_of(edge.sha256, edge.labels.names, size)}.onnx"
    config = session.config
    return open_as_detector(
        edge, size, path, min_score=config.annotation.uncertain_score, n_threads=config.training.n_threads
    )


def _settings(
    session: Session, source: FrameSource, test_source: FrameSource | None, labelled: set[int] | None
) -> dict[str, object]:
    """Return what decides which frames are stored.

    A deadline does not, it only stops earlier; nor does how a camera is connected to, or for how long.
    """
    config = session.config.capture.model_dump(mode="json", exclude={"deadline_s", "stream"})
    return {
        **config,
        **stored_settings(session.config),
        "live": source.info.is_live,
        "test_source": test_source.info.sha256 if test_source else None,
        "ground_truth": f"{len(labelled)} frames {fingerprint_of(sorted(labelled))}" if labelled is not None else None,
    }


def _ground_truth(session: Session, labels: LabelMap) -> CocoTruth | None:
    path = session.config.evaluation.ground_truth
    if path is None:
        return None
    return load_coco_truth(path, labels=labels, map_classes=session.config.evaluation.map_classes)


def _labelled_indices(truth: CocoTruth | None, source: FrameSource) -> set[int] | None:
    """Return the frames of a source that have human boxes; None without a ground truth."""
    if truth is None:
        return None
    if source.info.kind == "folder":
        return {i for i, name in enumerate(source.names) if truth.for_frame(None, name) is not None}
    return {p.frame_index for p in truth.pictures if p.frame_index is not None}
