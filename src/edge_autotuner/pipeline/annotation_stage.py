"""Stage 2: a teacher labels the collected frames."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edge_autotuner.annotation import annotate_dataset, open_detector_teacher
from edge_autotuner.config import RunConfig
from edge_autotuner.core import Teacher
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.dataset.atomic import make_folder
from edge_autotuner.errors import ConfigError
from edge_autotuner.models import DetectorSpec, describe_onnx, find_model, locate
from edge_autotuner.pipeline.edge_model import EdgeModel, export_network, open_edge_model, open_exported
from edge_autotuner.pipeline.run_folder import fingerprint_of
from edge_autotuner.pipeline.session import Session

_ZOOM = "zoom"
_ONNX_SUFFIX = ".onnx"


def annotate(session: Session) -> None:
    """Let the teacher look at every frame that it has not seen.

    Raises:
        TeacherError: the teacher cannot be loaded, or finds nothing to learn from.
        ConfigError: there is no such teacher, or it does not know the classes.
    """
    captured = session.folder.require("capture", before="annotation")
    config = session.config
    with DatasetStore.open(session.folder.dataset) as store:
        edge = open_edge_model(config, of_dataset=store.labels)
        teacher, teacher_hash = _open_teacher(session, edge)
        fingerprint = fingerprint_of(captured.fingerprint, config.annotation.fingerprint(), teacher_hash)
        session.keep_settings()
        if session.is_done("annotation", fingerprint) and not _may_continue(session):
            return
        with session.stage("annotation", fingerprint) as summary:
            done = annotate_dataset(
                store,
                teacher,
                config.annotation,
                fingerprint=fingerprint,
                deadline=session.annotation_deadline(),
                progress=session.progress,
            )
            summary.update(done.to_json())


def check_teacher(config: RunConfig) -> None:
    """Find out before a long capture whether the teacher that the settings name is there.

    Raises:
        ConfigError: there is no such teacher, or it is not said how to read it.
        WeightsError: its file is missing or not usable.
    """
    if config.annotation.teacher != _ZOOM:
        _find_teacher(config)


def _may_continue(session: Session) -> bool:
    """Whether a deadline left frames without labels, and there is no deadline this time."""
    record = session.folder.stage("annotation")
    return record is not None and sum(record.summary["n_left"].values()) > 0 and session.config.deadline_s is None


def _open_teacher(session: Session, edge: EdgeModel) -> tuple[Teacher, str]:
    """Return the teacher that the settings name, and a hash of what it is."""
    config = session.config
    if config.annotation.teacher == _ZOOM:
        return _open_zoom(session, edge)
    path, spec = _find_teacher(config)
    teacher = open_detector_teacher(
        config.annotation, edge.labels, model_path=path, spec=spec, n_threads=config.training.n_threads
    )
    return teacher, hashlib.sha256(path.read_bytes()).hexdigest()


def _open_zoom(session: Session, edge: EdgeModel) -> tuple[Teacher, str]:
    config = session.config
    size = config.annotation.zoom_input
    folder = session.folder.path / "teacher"
    make_folder(folder)
    name = f"zoom-{fingerprint_of(edge.sha256, edge.labels.names, size)}{_ONNX_SUFFIX}"
    path = export_network(edge.network, size, folder / name)
    detector = open_exported(
        path,
        edge.name,
        edge.labels,
        size,
        min_score=config.annotation.uncertain_score,
        n_threads=config.training.n_threads,
    )
    return open_detector_teacher(config.annotation, edge.labels, edge_detector=detector), edge.sha256


def _find_teacher(config: RunConfig) -> tuple[Path, DetectorSpec]:
    path = Path(config.annotation.teacher)
    if path.is_file():
        return path, describe_onnx(path, config.annotation.adapter)
    if path.suffix == _ONNX_SUFFIX or path.parent != Path():
        raise ConfigError(f"teacher {path} does not exist; give an ONNX file, a known model's name, or zoom")
    model = find_model(config.annotation.teacher)
    if model.detector is None:
        raise ConfigError(
            f"{model.name} is an edge model without an ONNX file; to let it teach, use --edge-model {model.name} "
            "with --teacher zoom"
        )
    return locate(model.name, models_dir=config.models_dir), model.detector
