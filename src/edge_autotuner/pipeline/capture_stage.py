"""Stage 1: collect frames that show something new, and keep the last part for the evaluation."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.capture import PictureFolder, collect_frames, collect_test_frames, open_source
from edge_autotuner.core import FrameSource, LabelMap
from edge_autotuner.dataset import CocoTruth, DatasetStore, load_coco_truth
from edge_autotuner.pipeline.edge_model import open_edge_model
from edge_autotuner.pipeline.run_folder import fingerprint_of
from edge_autotuner.pipeline.session import Session


def capture(session: Session, source_path: Path | str) -> None:
    """Fill the dataset folder with frames of a source.

    Raises:
        VideoError: a source cannot be read, or nothing moves in it.
        DatasetError: the folder holds a capture with other settings.
        EvaluationError: the ground truth does not fit the frames.
    """
    config = session.config
    source = open_source(source_path)
    test_source = open_source(config.evaluation.test_source) if config.evaluation.test_source else None
    labels = open_edge_model(config).labels
    truth = _ground_truth(session, labels)
    settings = _settings(session, test_source, _labelled_indices(truth, test_source or source))
    fingerprint = fingerprint_of(source.info.sha256, settings, labels.names)
    if session.is_done("capture", fingerprint) and session.folder.dataset.is_dir():
        session.keep_settings()
        return
    with (
        DatasetStore.create(session.folder.dataset, source=source.info, labels=labels, settings=settings) as store,
        session.stage("capture", fingerprint) as summary,
    ):
        session.keep_settings()
        collected = collect_frames(
            source,
            store,
            config.capture,
            keep_test=test_source is None,
            only_test_indices=_labelled_indices(truth, source) if test_source is None else None,
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
        summary.update(collected.to_json(), n_source_pixels=n_source_pixels, source=str(source_path))


def _settings(session: Session, test_source: FrameSource | None, labelled: set[int] | None) -> dict[str, object]:
    """Return what decides which frames are stored; a deadline does not, it only stops earlier."""
    settings = session.config.capture.model_dump(mode="json", exclude={"deadline_s"})
    return {
        **settings,
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
    if source.info.kind == "video":
        return {p.frame_index for p in truth.pictures if p.frame_index is not None}
    names = source.names if isinstance(source, PictureFolder) else ()
    return {i for i, name in enumerate(names) if truth.for_frame(None, name) is not None}
