"""Which settings a tuning job takes with it: what training, evaluation and report use, and nothing of a machine.

Paths, threads, the device, teachers and services stay behind; where a job runs, others stand in for them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_autotuner.config import RunConfig
from edge_autotuner.errors import ConfigError

_TRAVEL: dict[str, Any] = {
    "input_size": True,
    "capture": {"background": {"method"}, "motion": {"sensitivity"}},  # what the report says about the capture
    "annotation": {
        "look",
        "tile_grid",
        "tile_overlap",
        "crop_margin",
        "min_crop_px",
        "cut_border_px",
        "merge_iou",
        "fusion_iou",
        "same_object_iou",
        "min_score",
        "uncertain_score",
        "classes",
        "max_detections",
        "refine",
        "zoom_input",
    },
    "training": {
        "layers": True,
        "auto_all_from_boxes": True,
        "n_epochs": True,
        "max_steps_per_epoch": True,
        "min_steps_per_epoch": True,
        "batch_size": True,
        "max_lr": True,
        "weight_decay": True,
        "ema_decay": True,
        "val_fraction": True,
        "max_val_images": True,
        "patience_epochs": True,
        "distill_weight": True,
        "keep_start": True,
        "augmentation": True,
        "features": True,
        "second_look": True,
        "score_weight": True,
        "repeat_rare": True,
        "precision": True,
        "deadline_s": True,
        "seed": True,
        "replay": {"share", "generic_share"},
    },
    "evaluation": {
        "map_classes",
        "max_detections",
        "min_score",
        "max_false_alarms_per_hour",
        "promotion_max_iou",
        "n_bootstrap",
        "confidence",
        "seed",
    },
}

_MOST = {
    "input_size": 2048,
    "annotation.max_detections": 10_000,
    "annotation.min_crop_px": 65_536,
    "annotation.zoom_input": 2048,
    "training.n_epochs": 1000,
    "training.max_steps_per_epoch": 10_000,
    "training.min_steps_per_epoch": 10_000,
    "training.batch_size": 64,
    "training.max_val_images": 10_000,
    "training.features.max_gb": 64.0,
    "training.seed": 2**32 - 1,
    "evaluation.max_detections": 10_000,
    "evaluation.n_bootstrap": 100_000,
    "evaluation.seed": 2**32 - 1,
}


def portable_settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings of a run that go with a tuning job, JSON values."""
    values = config.model_dump(mode="json", include=_TRAVEL)
    if values["evaluation"]["max_false_alarms_per_hour"] is None:
        del values["evaluation"]["max_false_alarms_per_hour"]  # services of earlier versions do not know it
    return values


def settings_from_portable(
    values: dict[str, Any],
    *,
    edge_model: Path | str,
    architecture: str | None = None,
    models_dir: Path | None = None,
    ground_truth: Path | None = None,
    reservoir: Path | None = None,
    n_threads: int | None = None,
) -> RunConfig:
    """Return the settings of a job where it runs.

    Args:
        values: what `portable_settings` returned, perhaps elsewhere.
        edge_model: the model to start from.
        architecture: of it.
        models_dir: of known models.
        ground_truth: human boxes.
        reservoir: of replayed pictures; it keeps all that it is offered.
        n_threads: CPU threads; None for all.

    Raises:
        ConfigError: a value is not allowed here, makes no sense, or asks for too much.
    """
    _refuse_others(values, _TRAVEL, "")
    try:
        json.dumps(values, allow_nan=False)
        config = RunConfig.model_validate(values)
    except (ValueError, RecursionError) as exc:  # also ValidationError
        raise ConfigError(f"settings: {_first(exc)}") from exc
    _refuse_too_much(config)
    replay = config.training.replay.model_copy(
        update={"folder": reservoir, "max_pictures": 1_000_000, "max_mb": 1_000_000.0}
    )
    training = config.training.model_copy(update={"replay": replay, "n_threads": n_threads})
    # Without a second look nobody looks at magnified views here, and their size need not fit the model.
    looks = config.training.second_look.enabled
    zoom_input = config.annotation.zoom_input if looks else config.input_size
    return config.model_copy(
        update={
            "edge_model": str(edge_model),
            "architecture": architecture,
            "models_dir": models_dir,
            "training": training,
            "annotation": config.annotation.model_copy(update={"zoom_input": zoom_input}),
            "evaluation": config.evaluation.model_copy(update={"ground_truth": ground_truth}),
        }
    )


def _refuse_others(values: object, allowed: dict[str, Any] | set[str], where: str) -> None:
    """Refuse settings that do not travel.

    Raises:
        ConfigError: it names the first.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"settings: {where or 'they '}must be an object")
    for name, value in values.items():
        if name not in allowed:
            raise ConfigError(f"settings: {where}{name!s:.100} is not allowed in a tuning job")
        inner: Any = allowed[name] if isinstance(allowed, dict) else True
        if inner is not True:
            _refuse_others(value, inner, f"{where}{name}.")


def _refuse_too_much(config: RunConfig) -> None:
    for path, most in _MOST.items():
        value: Any = config
        for name in path.split("."):
            value = getattr(value, name)
        if max(value if isinstance(value, tuple) else (value,)) > most:
            raise ConfigError(f"settings: {path} may be at most {most} in a tuning job, got {value}")


def _first(exc: Exception) -> str:
    if not isinstance(exc, ValidationError):
        return str(exc)[:200]
    first = exc.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
