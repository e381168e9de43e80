"""Opens the privacy filter of a run or camera, with the model that finds objects to hide.

Pictures leave the machine in two ways only: to a teacher, behind `guard_teacher`, and to a training elsewhere, as
`remote_training.treated_copy` prepares them.

DIR/hiding/HASH/    a bundle of the model that finds objects to hide, with their classes only
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from edge_autotuner.annotation import PrivacyFilter, ProtectedTeacher, is_plugin_teacher
from edge_autotuner.config import RunConfig
from edge_autotuner.core import Detector, Teacher
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.deployment import load_edge_detector
from edge_autotuner.deployment.bundle import DESCRIPTION_FILE
from edge_autotuner.errors import ConfigError

HIDING_FOLDER = "hiding"


def open_filter(config: RunConfig, folder: Path) -> PrivacyFilter:
    """Return the privacy filter; the model that finds objects is exported into the folder if missing.

    Raises:
        ConfigError: there is no such model, or it does not know a class that is to be hidden.
        WeightsError: its weights are missing or damaged.
        ModelBundleError: it cannot be exported.
    """
    export_hiding_model(config, folder)
    return open_ready_filter(config, folder, n_threads=config.training.n_threads)


def open_ready_filter(config: RunConfig, folder: Path, *, n_threads: int | None) -> PrivacyFilter:
    """Return the privacy filter, using the model that `export_hiding_model` wrote; needs no torch.

    Raises:
        ModelBundleError: it has left nothing for these settings, or that is damaged.
    """
    finder: Detector | None = None
    if config.privacy.hide_classes:
        bundle = hiding_bundle(config, folder)
        finder = load_edge_detector(bundle, n_threads, min_score=config.privacy.hide_min_score)
    return PrivacyFilter(config.privacy, config.annotation, finder)


def hiding_bundle(config: RunConfig, folder: Path) -> Path:
    """Return where the model is, or will be, that finds objects to hide: a bundle as it is, others exported."""
    privacy = config.privacy
    name = privacy.hide_with or config.edge_model
    if (Path(name) / DESCRIPTION_FILE).is_file():
        return Path(name)
    named = name, config.architecture, privacy.hide_classes, config.input_size
    return folder / HIDING_FOLDER / fingerprint_of(*named)


def needs_hiding_model(config: RunConfig, folder: Path) -> bool:
    """Whether `export_hiding_model` has something to do."""
    wanted = bool(config.privacy.hide_classes)
    return wanted and not (hiding_bundle(config, folder) / DESCRIPTION_FILE).is_file()


def export_hiding_model(config: RunConfig, folder: Path) -> None:
    """Write the model that finds objects to hide as a bundle, unless it is there. Raises as `open_filter`."""
    if not needs_hiding_model(config, folder):
        return
    if importlib.util.find_spec("torch") is None:
        raise ConfigError(
            "privacy.hide_classes needs a model that runs without torch; set privacy.hide_with to the folder of a "
            "bundle"
        )
    from edge_autotuner.pipeline.edge_model import open_edge_model  # loads torch

    privacy = config.privacy
    annotation = config.annotation.model_copy(update={"classes": privacy.hide_classes, "teacher": "none"})
    second_look = config.training.second_look.model_copy(update={"enabled": False})
    finder = config.model_copy(
        update={
            "edge_model": privacy.hide_with or config.edge_model,
            "architecture": None if privacy.hide_with else config.architecture,
            "annotation": annotation,
            "training": config.training.model_copy(update={"second_look": second_look}),
        }
    )
    open_edge_model(finder).write_bundle(config.input_size, hiding_bundle(config, folder), name=HIDING_FOLDER)


def guarding_fingerprint(config: RunConfig) -> tuple[str, ...]:
    """Return the privacy settings that labels depend on; empty if no teacher is guarded."""
    if not _guards(config):
        return ()
    rules = config.privacy.model_dump(mode="json", exclude={"apply"})
    model = (config.privacy.hide_with or config.edge_model) if config.privacy.hide_classes else None
    return (fingerprint_of(rules, model),)


def stored_settings(config: RunConfig) -> dict[str, object]:
    """Return the settings applied to pictures before storage, JSON values; empty if there are none."""
    if not config.privacy.treats_stored_pictures:
        return {}
    margins = {"crop_margin": config.annotation.crop_margin, "min_crop_px": config.annotation.min_crop_px}
    return {"privacy": {**config.privacy.model_dump(mode="json", exclude={"send"}), **margins}}


def guard_teacher(config: RunConfig, folder: Path, teacher: Teacher) -> Teacher:
    """Return the teacher as it may be asked: behind the privacy filter if pictures may leave this machine.

    Raises:
        As `open_filter`.
    """
    return ProtectedTeacher(teacher, open_filter(config, folder)) if _guards(config) else teacher


def _guards(config: RunConfig) -> bool:
    """Whether a teacher is at a service, or is another package's, which may ask anybody."""
    annotation = config.annotation
    leaves = bool(annotation.remote_models) or any(map(is_plugin_teacher, annotation.teachers))
    return config.privacy.is_on and leaves
