"""One training of the benchmark: a camera, an edge model, a teacher, and the settings that differ from the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.scenes import Scene
from edge_autotuner.config import PrivacyConfig, RunConfig, resolve_config
from edge_autotuner.core.fingerprints import fingerprint_of

FEMTO, ZOOM = "deimv2-femto", "zoom"
NANO, SSDLITE, STREET = "yolox-nano", "ssdlite-mobilenet-v2", "street-nano"

QUICK_SETTINGS: Mapping[str, Any] = {
    "capture.max_images": 12,
    "capture.max_test_images": 4,
    "training.n_epochs": 1,
    "training.max_steps_per_epoch": 2,
    "training.min_steps_per_epoch": 1,
    "training.batch_size": 2,
    "training.max_val_images": 4,
    "evaluation.n_bootstrap": 100,
}
"""Of a run that only shows that it works."""


@dataclass(frozen=True)
class Trial:
    """What is trained, and on what.

    Attributes:
        name: of its folder; letters, digits and hyphens.
        scene: the camera.
        edge_model: name of a known model.
        input_px: side of its input, pixels.
        teacher: as `annotation.teacher`.
        seed: of order and augmentation.
        settings: dotted keys that differ from the defaults.
    """

    name: str
    scene: Scene
    edge_model: str = NANO
    input_px: int = 416
    teacher: str = FEMTO
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def overrides(self) -> dict[str, Any]:
        """Return all dotted keys of this trial, without the paths of a machine."""
        return {
            **self.scene.settings,
            "evaluation.map_classes": self.scene.map_classes,
            "edge_model": self.edge_model,
            "input_size": str(self.input_px),
            "annotation.teacher": self.teacher,
            "training.seed": self.seed,
            **self.settings,
        }

    def config(self, paths: Mapping[str, Any] | None = None, *, quick: bool = False) -> RunConfig:
        """Return the resolved settings.

        Args:
            paths: dotted keys of files and folders; None where nothing is going to be read.
            quick: shorten everything.

        Raises:
            ConfigError: a setting does not exist, or its value is wrong.
        """
        shorter = QUICK_SETTINGS if quick else {}
        return resolve_config(None, {**self.overrides(), **shorter, **(paths or {})})

    def with_settings(self, name: str, **changes: Any) -> Trial:  # noqa: ANN401 (fields of a dataclass)
        """Return a trial of another name, some fields or, as `settings`, some more dotted keys changed."""
        settings = {**self.settings, **changes.pop("settings", {})}
        return replace(self, name=name, settings=settings, **changes)


def labels_key(config: RunConfig, scene: Scene) -> str:
    """Return a hash of everything that the frames and the teacher's own labels depend on.

    The student is a part of it only where it is asked: as the zoom teacher, or by the selection of frames. Rules that
    refine labels are no part: they are applied to a copy.
    """
    asks_student = ZOOM in config.annotation.teachers or config.capture.selection.asks_student
    return fingerprint_of(
        scene.name,
        config.capture.model_dump(mode="json"),
        config.annotation.teacher_fingerprint(),
        config.edge_model if asks_student else None,
    )


def settings_key(config: RunConfig) -> str:
    """Return a hash of the settings that a result depends on, the same on every machine."""
    elsewhere: dict[str, Any] = {"models_dir": True, "training": {"n_threads"}, "annotation": {"service"}}  # not what
    values = config.model_dump(mode="json", exclude=elsewhere)
    values["evaluation"] = {key: values["evaluation"][key] for key in ("map_classes", "max_detections", "min_score")}
    values["training"].get("replay", {}).pop("folder", None)
    if config.privacy == PrivacyConfig():  # nothing is hidden: as before one could hide anything
        del values["privacy"]
    return fingerprint_of(values)


def machine_paths(data: Path, truth: Path, scene: Scene) -> dict[str, Any]:
    """Return the dotted keys of files and folders on this machine."""
    return {
        "evaluation.ground_truth": truth,
        "evaluation.test_source": data / scene.test_source if scene.test_source else None,
        "models_dir": data / "models",
    }
