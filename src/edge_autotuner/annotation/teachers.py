"""Builds the teacher that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_autotuner.annotation.region_teacher import RegionTeacher
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.config.annotation import ZOOM
from edge_autotuner.core import Detector, LabelMap
from edge_autotuner.core.plugins import TEACHERS
from edge_autotuner.errors import ConfigError
from edge_autotuner.models import KnownModel, find_model, list_models
from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.models.onnx_detector import OnnxDetector


def open_detector_teacher(
    config: AnnotationConfig,
    labels: LabelMap,
    *,
    edge_detector: Detector | None = None,
    model_path: Path | None = None,
    spec: DetectorSpec | None = None,
    n_threads: int | None = None,
) -> RegionTeacher:
    """Return the teacher that `config.teacher` names.

    "zoom" needs the edge model that is to be improved. Everything else needs `model_path`, an ONNX file or the folder
    of a detector of the transformers library, and the `spec` that says how it is fed and read. It uses `n_threads` CPU
    threads, None for all cores.

    Raises:
        ConfigError: the teacher lacks a class, or what its name needs was not given.
        WeightsError: the file or the folder is missing or not usable.
    """
    if config.teacher == ZOOM:
        if edge_detector is None:
            raise ConfigError("teacher zoom needs an edge model; give one, or choose another teacher")
        return RegionTeacher(edge_detector, config, labels=labels, name=ZOOM)
    if model_path is None or spec is None:
        raise ConfigError(
            f"teacher {config.teacher} needs a model file and an adapter; see `edge-autotuner models list`"
        )
    make_teacher = make_transformers_teacher if model_path.is_dir() else make_onnx_teacher
    return make_teacher(model_path, spec, config, labels, n_threads)


def is_plugin_teacher(name: str) -> bool:
    """Whether an installed distribution opens this teacher: neither zoom, a service, a file, nor a known model."""
    family = _family_of(name)
    is_model = Path(name).exists() or name in {model.name for model in list_models()}
    return not is_model and family in TEACHERS


def open_plugin_teacher(
    config: AnnotationConfig, choose_labels: Callable[[LabelMap], LabelMap], *, n_threads: int | None
) -> tuple[RegionTeacher, str]:
    """Return the teacher of an installed distribution, and a text that changes whenever its answers may.

    `config.teacher` is NAME or NAME:ARGUMENT. `choose_labels` returns the classes to ask for, from those that it knows.

    Raises:
        ConfigError: the distribution does not work, or the teacher lacks a class.
    """
    family, _, argument = config.teacher.partition(":")
    detector, version = TEACHERS.make(family, argument, config, n_threads=n_threads)
    labels = choose_labels(detector.labels)
    teacher = RegionTeacher(detector, config, labels=labels, name=config.teacher)
    return teacher, f"{config.teacher} {TEACHERS.distribution_of(family)} {version}"


def check_plugin_teacher(name: str) -> None:
    """Import what opens a teacher, without opening it.

    Raises:
        ConfigError: the distribution does not work.
    """
    TEACHERS.load(_family_of(name))


def find_teacher_model(name: str) -> KnownModel:
    """Return the known model of this name.

    Raises:
        ConfigError: there is none; the message lists everything that can teach.
    """
    try:
        return find_model(name)
    except ConfigError as exc:
        raise ConfigError(f"{exc}; other teachers: {', '.join(TEACHERS.names)}") from exc


def _family_of(name: str) -> str:
    return name.partition(":")[0]


def known_classes(labels: LabelMap, detector_labels: LabelMap, *, teacher: str) -> LabelMap:
    """Return the classes of a dataset that one of several teachers knows.

    Raises:
        ConfigError: it knows none.
    """
    known = labels.with_names(label for label in labels if label in detector_labels)
    if len(known) == 0:
        raise ConfigError(f"teacher {teacher} supports none of the classes {', '.join(labels)}; choose another teacher")
    return known


def make_onnx_teacher(
    model_path: Path, spec: DetectorSpec, config: AnnotationConfig, labels: LabelMap, n_threads: int | None = None
) -> RegionTeacher:
    """Let an ONNX detector teach.

    Raises:
        ConfigError: it lacks a class of `labels`.
        WeightsError: the file is missing or not usable.
    """
    detector = OnnxDetector(
        model_path,
        spec,
        n_threads=n_threads,
        min_score=config.uncertain_score,
        max_detections=config.max_detections,
    )
    return RegionTeacher(detector, config, labels=labels, name=spec.name)


def make_transformers_teacher(
    folder: Path, spec: DetectorSpec, config: AnnotationConfig, labels: LabelMap, n_threads: int | None = None
) -> RegionTeacher:
    """Let a detector of the transformers library teach: a folder in the layout of Hugging Face.

    Raises:
        ConfigError: it lacks a class of `labels`.
        WeightsError: the folder is not usable.
        MissingDependency: torch or the transformers library is not installed.
    """
    # torch loads only where such a teacher is asked for
    from edge_autotuner.models.torch_detector import TorchDetector
    from edge_autotuner.models.trainable_weights import load_network

    network, own_labels = load_network(folder)
    detector = TorchDetector(
        network,
        own_labels,
        spec.input_size_wh,
        min_score=config.uncertain_score,
        max_detections=config.max_detections,
        n_threads=n_threads,
    )
    return RegionTeacher(detector, config, labels=labels, name=spec.name)
