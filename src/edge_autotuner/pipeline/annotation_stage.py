"""Stage 2: a teacher labels the collected frames."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edge_autotuner.annotation import annotate_dataset, open_detector_teacher
from edge_autotuner.config import RunConfig
from edge_autotuner.core import LabelMap, Teacher
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.models import DetectorSpec, describe_onnx, find_model, locate
from edge_autotuner.pipeline.edge_model import EdgeModel, export_network, open_edge_model, open_exported
from edge_autotuner.pipeline.run_folder import fingerprint_of
from edge_autotuner.pipeline.session import Session

_ZOOM = "zoom"


def annotate(session: Session) -> None:
    """Let the teacher look at every frame that it has not seen.

    Raises:
        TeacherError: the teacher cannot be loaded, or finds nothing to learn from.
        ConfigError: the teacher does not know the classes.
    """
    captured = session.folder.require("capture", before="annotation")
    config = session.config
    with DatasetStore.open(session.folder.dataset) as store:
        teacher, teacher_hash = _open_teacher(session, store.labels)
        fingerprint = fingerprint_of(captured.fingerprint, config.annotation.fingerprint(), teacher_hash)
        if session.is_done("annotation", fingerprint):
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


def _open_teacher(session: Session, labels: LabelMap) -> tuple[Teacher, str]:
    """Return the teacher that the settings name, and a hash of what it is."""
    config = session.config
    if config.annotation.teacher == _ZOOM:
        return _open_zoom(session, open_edge_model(config), labels)
    path, spec = _find_teacher(config)
    teacher = open_detector_teacher(
        config.annotation, labels, model_path=path, spec=spec, n_threads=config.training.n_threads
    )
    return teacher, hashlib.sha256(path.read_bytes()).hexdigest()


def _open_zoom(session: Session, edge: EdgeModel, labels: LabelMap) -> tuple[Teacher, str]:
    config = session.config
    size = config.annotation.zoom_input
    folder = session.folder.path / "teacher"
    folder.mkdir(parents=True, exist_ok=True)
    path = export_network(edge.network, size, folder / f"zoom-{edge.sha256[:8]}-{size[0]}x{size[1]}.onnx")
    detector = open_exported(
        path,
        edge.name,
        edge.labels,
        size,
        min_score=config.annotation.uncertain_score,
        n_threads=config.training.n_threads,
    )
    return open_detector_teacher(config.annotation, labels, edge_detector=detector), edge.sha256


def _find_teacher(config: RunConfig) -> tuple[Path, DetectorSpec]:
    path = Path(config.annotation.teacher)
    if path.is_file():
        return path, describe_onnx(path, config.annotation.adapter)
    model = find_model(config.annotation.teacher)
    if model.detector is None:
        return _no_onnx(model.name)
    return locate(model.name, models_dir=config.models_dir), model.detector


def _no_onnx(name: str) -> tuple[Path, DetectorSpec]:
    from edge_autotuner.errors import ConfigError

    raise ConfigError(f"{name} is an edge model without an ONNX file; to let it teach, use teacher zoom with it")
