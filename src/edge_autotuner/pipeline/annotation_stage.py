"""Stage 2: a teacher labels the collected frames."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge_autotuner.annotation import (
    PROBE_GRID,
    EnsembleTeacher,
    Labeller,
    Magnification,
    MirroredTeacher,
    RegionTeacher,
    annotate_dataset,
    check_plugin_teacher,
    find_teacher_model,
    is_plugin_teacher,
    judging_teacher,
    known_classes,
    measure_magnification,
    open_detector_teacher,
    open_plugin_teacher,
    refine_dataset,
    with_grid,
)
from edge_autotuner.annotation.ahead import n_cores, threads_each
from edge_autotuner.config import AnnotationConfig, RunConfig
from edge_autotuner.config.annotation import AUTO, REMOTE, ZOOM
from edge_autotuner.core import Deadline, Detector, LabelMap, Teacher
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.core.types import SizeWH
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import ConfigError, StorageError, TeacherError
from edge_autotuner.models import DetectorSpec, describe_onnx, locate
from edge_autotuner.models.transformers_folder import is_detector_folder, read_detector_folder
from edge_autotuner.pipeline.edge_weights import check_labels, choose_labels, find_weights, model_sha256
from edge_autotuner.pipeline.loop import ANNOTATION, CAPTURE
from edge_autotuner.pipeline.privacy import guard_teacher, guarding_fingerprint
from edge_autotuner.pipeline.remote_teacher import RemoteTeachers, remote_teachers
from edge_autotuner.pipeline.session import Prepared, Session
from edge_autotuner.pipeline.stage_results import AnnotationResult
from edge_autotuner.pipeline.teacher_check import TeacherCheck, check_against_start

if TYPE_CHECKING:
    from edge_autotuner.pipeline.edge_model import EdgeModel  # loads torch

logger = logging.getLogger(__name__)

_ONNX_SUFFIX = ".onnx"
_ATTEMPTS_BEFORE_CAPTURE = 3

logger = logging.getLogger(__name__)


@contextmanager
def prepare(session: Session) -> Iterator[Prepared[AnnotationResult]]:
    """Open the teacher, to let it look at every frame that it has not seen.

    Raises:
        TeacherError: the teacher cannot be loaded, or finds nothing to learn from.
        ConfigError: there is no such teacher, or it does not know the classes.
        NoLabelsFound: the teacher found nothing to learn from, or the refinement leaves nothing.
    """
    captured = session.folder.require(CAPTURE.name, before=ANNOTATION.name)
    config = session.config
    deadline = session.deadline(ANNOTATION)
    with (
        remote_teachers(config.annotation, deadline) as remote,
        DatasetStore.open(session.folder.dataset) as store,
    ):
        labels = _labels(session, store.labels)  # opens the edge model early, to find out that it can be trained
        opened = _open_members(session, labels, remote)
        guarding = guarding_fingerprint(config)
        magnification = _magnification(session, store, opened[0], key=fingerprint_of(captured.fingerprint, *guarding))
        annotation, opened = _magnified(config.annotation, opened, magnification)
        teacher, teacher_hash = _joined(session, labels, opened)
        raw = fingerprint_of(captured.fingerprint, annotation.teacher_fingerprint(), teacher_hash, *guarding)
        for_test = _for_test(session, labels, opened, raw)
        answers = for_test.fingerprint if for_test is not None else raw
        rules = config.annotation.refine
        is_derived = rules.is_on or for_test is not None
        fingerprint = fingerprint_of(answers, rules.fingerprint()) if is_derived else raw

        def work() -> AnnotationResult:
            numbers = annotate_dataset(
                store,
                teacher,
                config.annotation,
                fingerprint=raw,
                deadline=deadline,
                progress=session.progress,
                n_parallel=frames_at_once(config),
                stop=remote.stop if remote is not None else lambda: None,
                for_test=for_test,
            )
            refinement = None
            if is_derived:
                refinement = refine_dataset(
                    store,
                    config.annotation,
                    teacher=teacher.name,
                    raw_fingerprint=raw,
                    fingerprint=fingerprint,
                    test_fingerprint=answers,
                )
            return AnnotationResult(
                numbers,
                teacher.input_size_wh,
                refinement if rules.is_on else None,
                _check_teacher(session, store, opened, raw, deadline),
                magnification,
                seconds=numbers.seconds,
            )

        is_kept = not _may_continue(session)
        if is_kept and session.is_done(ANNOTATION, fingerprint):
            store.refresh()
        yield Prepared(work, fingerprint, is_kept=is_kept)


def check_teacher(config: RunConfig, labels: LabelMap | None = None) -> None:
    """Check before a long capture that the teachers of the settings are there.

    With the classes to learn, those of this machine are opened; without, only their files are looked for.

    Raises:
        ConfigError: there is no such teacher, or it is not said how to read it.
        WeightsError: its file is missing or not usable.
        TeacherError: it is at a service that does not answer or refuses.
        MissingDependency: it is at a service, and the HTTP library is not installed.
    """
    with remote_teachers(_with_little_patience(config.annotation), Deadline()) as remote:
        for name in config.annotation.teachers:
            if remote is not None and name.startswith(REMOTE):
                remote.open(_alone(config, name), lambda labels: labels)
            elif is_plugin_teacher(name):
                check_plugin_teacher(name)
            elif name != ZOOM and labels is None:
                _find_teacher(config, name)
    if labels is None:
        for name in config.annotation.test_labels.names:
            _find_teacher(config, name)
    if labels is not None:
        check_local_teachers(config, labels)


def check_local_teachers(config: RunConfig, labels: LabelMap) -> None:
    """Open the teachers of this machine as the annotation does, and let go of them.

    Raises:
        ConfigError, WeightsError, MissingDependency: as `check_teacher`; or one does not know the classes.
    """
    for name in config.annotation.teachers:
        if name != ZOOM and not name.startswith(REMOTE):
            _open_local(config, labels, name)
    _open_judges(config, labels)


def labels_to_learn(config: RunConfig) -> LabelMap:
    """Return the classes to learn where the edge model is a bundle, without loading it.

    Raises:
        ConfigError: it is no bundle, or does not know them.
    """
    return _labels_of_bundle(config, None)


def frames_at_once(config: RunConfig) -> int:
    """Return how many frames are looked at at the same time: one for each core.

    Motion crops come one frame after the other, torch spreads each picture over all cores by itself, and a teacher of
    another package may not bear several threads.
    """
    local = [name for name in config.annotation.teachers if name != ZOOM and not name.startswith(REMOTE)]
    if config.annotation.look == "crops" or any(_is_asked_alone(config, name) for name in local):
        return 1
    return n_cores(config.training.n_threads)


def _is_asked_alone(config: RunConfig, name: str) -> bool:
    return is_plugin_teacher(name) or _find_teacher(config, name)[0].is_dir()


def _may_continue(session: Session) -> bool:
    """Whether a deadline left frames without labels, and there is no deadline this time."""
    if session.config.deadline_s is not None:
        return False
    done = session.folder.find_result(ANNOTATION)
    return done is not None and sum(done.numbers.n_left.values()) > 0


def _labels(session: Session, of_dataset: LabelMap) -> LabelMap:
    """Return the classes to learn, which are those of the dataset.

    Raises:
        ConfigError: they are not.
    """
    if session.trains_here:
        return session.edge_model(of_dataset=of_dataset).labels
    return _labels_of_bundle(session.config, of_dataset)


def _labels_of_bundle(config: RunConfig, of_dataset: LabelMap | None) -> LabelMap:
    """Return the classes to learn, without loading the edge model.

    Raises:
        ConfigError: the edge model is no bundle, or is to learn other classes than the dataset has.
    """
    found = find_weights(config)
    if found.bundle is None:
        raise ConfigError(f"without torch, the edge model must be a bundle, and {config.edge_model} is not one")
    labels = choose_labels(found.bundle.detector.labels, config.annotation.classes)
    if of_dataset is not None:
        check_labels(found.name, labels, of_dataset)
    return labels


_Member = tuple[RegionTeacher, str]
"""A teacher, and a hash of what it is."""


def _open_members(session: Session, labels: LabelMap, remote: RemoteTeachers | None) -> list[_Member]:
    return [_open_member(session, labels, remote, name) for name in session.config.annotation.teachers]


def _magnification(session: Session, store: DatasetStore, first: _Member, *, key: str) -> Magnification | None:
    """Return the grid that the scene asks for; None where the settings say it."""
    annotation = session.config.annotation
    if annotation.tile_grid != AUTO or annotation.look != "tiles":
        return None
    teacher, teacher_hash = first
    asked = guard_teacher(session.config, session.folder.path, teacher.in_grid(PROBE_GRID))
    found = measure_magnification(store, asked, annotation, fingerprint_of(key, teacher_hash))
    logger.info("%s", found.explain())
    return found


def _magnified(
    annotation: AnnotationConfig, opened: list[_Member], magnification: Magnification | None
) -> tuple[AnnotationConfig, list[_Member]]:
    """Return settings and teachers with the grid that was chosen."""
    if magnification is None:
        return annotation, opened
    grid_wh = magnification.grid_wh
    return with_grid(annotation, grid_wh), [(member.in_grid(grid_wh), a_hash) for member, a_hash in opened]


def _joined(session: Session, labels: LabelMap, opened: list[_Member]) -> tuple[Teacher, str]:
    """Return the teachers of the settings as one, guarded where needed, and a hash of what they are."""
    teacher: Teacher
    teacher, teacher_hash = opened[0]
    if len(opened) > 1:
        teacher = EnsembleTeacher([member for member, _ in opened], session.config.annotation, labels=labels)
        teacher_hash = fingerprint_of(*(member_hash for _, member_hash in opened))
    return guard_teacher(session.config, session.folder.path, teacher), teacher_hash


def _for_test(session: Session, labels: LabelMap, opened: list[_Member], raw: str) -> Labeller | None:
    """Return who labels the test frames, where the settings want other looks at them than at training frames."""
    annotation = session.config.annotation
    wanted = annotation.test_labels
    if not wanted.is_on:
        return None
    further = _open_judges(session.config, labels)
    of_teachers = zip(annotation.teachers, opened, strict=True)
    members = [member for name, (member, _) in of_teachers if name in annotation.judges]
    grid_wh = opened[0][0].grid_wh
    members += [judge.in_grid(grid_wh) for judge, _ in further]
    settings = annotation.model_copy(update={"teacher_weights": None}) if further else annotation
    guarded = guard_teacher(session.config, session.folder.path, judging_teacher(members, settings, labels=labels))
    return Labeller(guarded, fingerprint_of(raw, "test", wanted.fingerprint(), *(a_hash for _, a_hash in further)))


def _open_judges(config: RunConfig, labels: LabelMap) -> list[_Member]:
    """Return the further models that label test frames.

    Raises:
        ConfigError, WeightsError: as `check_teacher`; or a name is that of another package's teacher.
    """
    names = config.annotation.test_labels.names
    others = [name for name in names if is_plugin_teacher(name)]
    if others:
        raise ConfigError(
            f"annotation.test_labels.teachers: {others[0]} is another package's teacher, which may send pictures "
            "elsewhere; use a known model's name, an ONNX file or the folder of a transformers detector"
        )
    return [_open_local(config, labels, name) for name in names]


def _check_teacher(
    session: Session, store: DatasetStore, opened: list[_Member], raw: str, deadline: Deadline
) -> TeacherCheck | None:
    """Say whether the teacher may be worse than the start model; None where nobody asked, or it cannot be told.

    Motion crops say nothing about whole frames, and without torch the start model cannot be run here. Pictures are not
    sent to a service, or to another package, a second time. A teacher that fails now has given its labels, and a disk
    without room may still do for the rest: the check is left out.
    """
    config = session.config
    sends = any(name.startswith(REMOTE) or is_plugin_teacher(name) for name in config.annotation.teachers)
    can_tell = session.trains_here and not sends and config.annotation.look != "crops"
    if config.annotation.check_teacher_frames == 0 or not can_tell or deadline.has_passed:
        return None
    mirrored = [MirroredTeacher(member) for member, _ in opened]
    together = mirrored[0] if len(mirrored) == 1 else EnsembleTeacher(mirrored, config.annotation, labels=store.labels)
    try:
        start = _zoom_detector(session, session.edge_model(of_dataset=store.labels), config.input_size)
        check = check_against_start(store, raw, together, start, config.annotation)
    except (TeacherError, StorageError) as exc:
        logger.warning("the teacher was not compared with the start model: %s", exc)
        return None
    if check is not None and check.warning:
        logger.warning("%s", check.warning)
    return check


def _open_member(session: Session, labels: LabelMap, remote: RemoteTeachers | None, name: str) -> _Member:
    config = session.config
    if name == ZOOM:
        return _open_zoom(session, labels)
    if remote is not None and name.startswith(REMOTE):
        return remote.open(_alone(config, name), lambda known: _classes_of(config, labels, known, name))
    return _open_local(config, labels, name)


def _classes_of(config: RunConfig, labels: LabelMap, known: LabelMap, name: str) -> LabelMap:
    """Return the classes to ask a teacher for: all of them if it is the only one, otherwise those it knows."""
    return labels if config.annotation.teachers == (name,) else known_classes(labels, known, teacher=name)


def _open_local(config: RunConfig, labels: LabelMap, name: str) -> _Member:
    n_threads = threads_each(config.training.n_threads, frames_at_once(config))
    if is_plugin_teacher(name):
        classes = partial(_classes_of, config, labels, name=name)
        return open_plugin_teacher(_alone(config, name), classes, n_threads=n_threads)
    path, spec = _find_teacher(config, name)
    teacher = open_detector_teacher(
        _alone(config, name),
        _classes_of(config, labels, spec.labels, name),
        model_path=path,
        spec=spec,
        n_threads=n_threads,
    )
    return teacher, model_sha256(path)


def _with_little_patience(annotation: AnnotationConfig) -> AnnotationConfig:
    """Return the same settings for a question that somebody at a terminal waits for."""
    n_attempts = min(annotation.service.max_attempts, _ATTEMPTS_BEFORE_CAPTURE)
    service = annotation.service.model_copy(update={"max_attempts": n_attempts})
    return annotation.model_copy(update={"service": service})


def _alone(config: RunConfig, name: str) -> AnnotationConfig:
    return config.annotation.model_copy(update={"teacher": name})


def _open_zoom(session: Session, labels: LabelMap) -> _Member:
    config, edge = session.config, session.edge_model(of_dataset=labels)
    annotation = _alone(config, ZOOM)
    detector = _zoom_detector(session, edge, annotation.zoom_input)
    return open_detector_teacher(annotation, edge.labels, edge_detector=detector), edge.sha256


def _zoom_detector(session: Session, edge: EdgeModel, size_wh: SizeWH) -> Detector:
    """Return the start model with this input, pixels; its file is kept in the folder of the run."""
    config = session.config
    return edge.as_detector(
        size_wh,
        session.folder.path
        / "teacher"
        / f"zoom-{fingerprint_of(edge.sha256, edge.labels.names, size_wh)}{_ONNX_SUFFIX}",
        min_score=config.annotation.uncertain_score,
        n_threads=threads_each(config.training.n_threads, frames_at_once(config)),
    )


def _find_teacher(config: RunConfig, name: str) -> tuple[Path, DetectorSpec]:
    path = Path(name)
    if is_detector_folder(path) or (path.is_dir() and path.parent != Path()):
        return path, read_detector_folder(path).spec
    if path.is_file():
        return path, describe_onnx(path, config.annotation.adapter)
    if path.suffix == _ONNX_SUFFIX or path.parent != Path():
        raise ConfigError(
            f"teacher {path} does not exist; give an ONNX file, the folder of a transformers detector, a known "
            "model's name, or zoom"
        )
    model = find_teacher_model(name)
    if model.detector is None:
        raise ConfigError(
            f"{model.name} is an edge model without an ONNX file; to use it as a teacher, set --edge-model "
            f"{model.name} with --teacher zoom"
        )
    return locate(model.name, models_dir=config.models_dir), model.detector
