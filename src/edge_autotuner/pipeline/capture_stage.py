"""Stage 1: collect frames that show something new, and keep the last part for the evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from edge_autotuner.core import Detector, FrameSource
from edge_autotuner.core.file_names import text_of_name
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.dataset import CocoTruth, DatasetStore, load_coco_truth
from edge_autotuner.dataset.replay import OWN_NAMES
from edge_autotuner.errors import ConfigError, DatasetError
from edge_autotuner.pipeline.loop import CAPTURE
from edge_autotuner.pipeline.privacy import open_filter, stored_settings
from edge_autotuner.pipeline.session import Prepared, Session
from edge_autotuner.pipeline.stage_results import CaptureResult
from edge_autotuner.storage.outputs import check_output_folder

GROUND_TRUTH_OF_LIVE = "evaluation.ground_truth needs a recording; for a live source, set evaluation.test_source"


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


@contextmanager
def prepare(session: Session) -> Iterator[Prepared[CaptureResult]]:
    """Open the source of a session, to fill the dataset folder with its frames.

    A live source is watched for `capture.stream.duration_s`; when that is done, or when the settings have not
    changed since, the camera is not asked again.

    Raises:
        VideoError: a source cannot be read, or nothing moves in it.
        DatasetError: the folder holds a capture with other settings.
        EvaluationError: the ground truth does not fit the frames.
    """
    assert session.source is not None, "a capture needs a source"
    watched = _finished_watch(session, session.source) if is_live_address(str(session.source)) else None
    if watched is not None:
        yield Prepared(None, watched)
        return
    with _opened(session, session.source) as sources:
        config, labels = session.config, session.edge_model().labels
        if sources.main.info.is_live and sources.truth is not None and sources.test is None:
            raise ConfigError(GROUND_TRUTH_OF_LIVE)
        settings = _settings(session, sources)
        fingerprint = fingerprint_of(sources.main.info.sha256, settings, labels.names)
        if session.is_done(CAPTURE, fingerprint) and session.folder.dataset.is_dir():
            yield Prepared(None, fingerprint)
            return
        student = _student(session) if config.capture.selection.asks_student else None
        with DatasetStore.create(
            session.folder.dataset,
            source=sources.main.info,
            labels=labels,
            settings=settings,
            treatment=open_filter(config, session.folder.path) if config.privacy.treats_stored_pictures else None,
        ) as store:
            yield Prepared(lambda: _capture(session, sources, store, student), fingerprint, is_kept=False)


@dataclass(frozen=True)
class _Sources:
    """What is read.

    Attributes:
        main: frames to train on, and to test on where there is no other source for that.
        end_s: until when a live one is watched, seconds of the source.
        events: what happens to it.
        test: frames to test on.
        truth: human boxes.
    """

    main: FrameSource
    end_s: float
    events: EventLog
    test: FrameSource | None
    truth: CocoTruth | None

    @property
    def labelled(self) -> set[int] | None:
        """Test frames that have human boxes; None without a ground truth."""
        return _labelled_indices(self.truth, self.test or self.main)


def _capture(session: Session, sources: _Sources, store: DatasetStore, student: Detector | None) -> CaptureResult:
    config, source = session.config.capture, sources.main
    if source.info.is_live:
        collected = collect_live(
            source,
            store,
            config,
            events=sources.events,
            end_s=sources.end_s,
            keep_test=sources.test is None,
            student=student,
            clock=session.clock,
            progress=session.progress,
        )
    else:
        collected = collect_frames(
            source,
            store,
            config,
            keep_test=sources.test is None,
            labelled_indices=sources.labelled if sources.test is None else None,
            student=student,
            events=sources.events,
            deadline=session.deadline(CAPTURE),
            progress=session.progress,
        )
    if sources.test is not None:
        collect_test_frames(
            sources.test, store, config, ground_truth_frames=sources.labelled, progress=session.progress
        )
    if sources.truth is not None:
        sources.truth.check_frames(store.frames("test"))
    store.export()
    return CaptureResult(collected, _name_of(session.source or ""))


@contextmanager
def _opened(session: Session, source_path: Path | str) -> Iterator[_Sources]:
    """Open what is read; a live source goes on where an interrupted watch stopped, and is let go at the end."""
    config, before, events = session.config, _watched_before(session), EventLog()
    end_s = plan_end_s(config.capture, before, session.deadline(CAPTURE))
    source = open_source(
        source_path,
        config.capture.stream,
        clock=session.clock,
        on_event=events.add,
        start_index=before.n_frames,
        start_time_s=before.watched_s,
        end_time_s=end_s,
    )
    with source:
        test = open_source(config.evaluation.test_source) if config.evaluation.test_source else None
        yield _Sources(source, end_s, events, test, _ground_truth(session))


def _watched_before(session: Session) -> LiveProgress:
    try:
        with DatasetStore.open(session.folder.dataset) as store:
            return LiveProgress.of(store) if store.source.is_live else LiveProgress()
    except DatasetError:  # there is none yet, or `DatasetStore.create` will say what is wrong with it
        return LiveProgress()


def _name_of(source_path: Path | str) -> str:
    """Return a source as it may be shown and stored: no secrets, valid Unicode."""
    return text_of_name(redact(str(source_path)))


def _finished_watch(session: Session, address: Path | str) -> str | None:
    """Return the fingerprint of a camera's finished watch with these settings, which then needs no camera.

    None where it has to be watched.
    """
    record, result = session.folder.stage(CAPTURE.name), session.folder.find_result(CAPTURE)
    if record is None or result is None or result.source != _name_of(address) or not session.folder.dataset.is_dir():
        return None
    old = session.folder.settings()
    same_privacy = stored_settings(old) == stored_settings(session.config)
    same = same_privacy and (old.capture, old.edge_model) == (session.config.capture, session.config.edge_model)
    return record.fingerprint if same else None


def _student(session: Session) -> Detector:
    """Return the edge model as it would run beside the camera, for scores that ask for its opinion."""
    edge, config = session.edge_model(), session.config
    known_by = fingerprint_of(edge.sha256, edge.labels.names, config.input_size)
    return edge.as_detector(
        config.input_size,
        session.folder.path / "student" / f"{known_by}.onnx",
        min_score=config.annotation.uncertain_score,
        n_threads=config.training.n_threads,
    )


def _settings(session: Session, sources: _Sources) -> dict[str, object]:
    """Return the values that decide which frames are stored.

    A deadline does not, it only stops earlier; nor does how a camera is connected to, or for how long.
    """
    labelled = sources.labelled
    return {
        **session.config.capture.model_dump(mode="json", exclude={"deadline_s", "stream"}),
        **stored_settings(session.config),
        "live": sources.main.info.is_live,
        "test_source": sources.test.info.sha256 if sources.test else None,
        "ground_truth": f"{len(labelled)} frames {fingerprint_of(sorted(labelled))}" if labelled is not None else None,
    }


def _ground_truth(session: Session) -> CocoTruth | None:
    evaluation = session.config.evaluation
    if evaluation.ground_truth is None:
        return None
    labels = session.edge_model().labels
    return load_coco_truth(evaluation.ground_truth, labels=labels, map_classes=evaluation.map_classes)


def _labelled_indices(truth: CocoTruth | None, source: FrameSource) -> set[int] | None:
    """Return the frames of a source that have human boxes; None without a ground truth."""
    if truth is None:
        return None
    if source.info.kind == "folder":
        return {i for i, name in enumerate(source.names) if truth.for_frame(None, name) is not None}
    return {p.frame_index for p in truth.pictures if p.frame_index is not None}
