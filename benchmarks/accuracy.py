"""Specialization without labels, scored against human boxes by the protocol of `benchmarks/scenes.py`.

Each case is one `edge-autotuner run`; its flags are in the result file. The human boxes are read by the
evaluation only.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.scenes import NGSIM, PETS, Scene, data_folder
from edge_autotuner import __version__
from edge_autotuner.cli.progress_bar import ProgressBar
from edge_autotuner.config import TrainingConfig, resolve_config
from edge_autotuner.dataset import atomic_write_json
from edge_autotuner.errors import ConfigError
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.stages import RunResult, run

RESULTS = Path(__file__).parent / "results" / "accuracy.json"

_BASE = {"input_size": "416", "training.layers": "all"}


@dataclass(frozen=True)
class Case:
    """One line of the table: a scene, an edge model, a teacher, and how long is trained."""

    name: str
    scene: Scene
    edge_model: str
    teacher: str
    n_epochs: int = TrainingConfig().n_epochs


CASES = (
    Case("pets-nano-femto", PETS, "yolox-nano", "deimv2-femto"),
    Case("ngsim-nano-femto", NGSIM, "yolox-nano", "deimv2-femto"),
    Case("ngsim-nano-femto-long", NGSIM, "yolox-nano", "deimv2-femto", n_epochs=20),
    Case("pets-street-zoom", PETS, "street-nano", "zoom"),
    Case("ngsim-street-zoom", NGSIM, "street-nano", "zoom"),
)


def run_cases(only: list[str] | None, output: Path, n_epochs: int | None) -> dict[str, Any]:
    """Run cases and return all results; those of full length are stored.

    Raises:
        ConfigError: there is no such case, or no data folder.
    """
    unknown = set(only or ()) - {case.name for case in CASES}
    if unknown:
        raise ConfigError(f"no case {', '.join(sorted(unknown))}; cases: {', '.join(case.name for case in CASES)}")
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    for case in CASES:
        if only and case.name not in only:
            continue
        results[case.name] = _run(case, output, n_epochs)
        results = {known.name: results[known.name] for known in CASES if known.name in results}
        if n_epochs is None:
            RESULTS.parent.mkdir(exist_ok=True)
            atomic_write_json(RESULTS, results, indent=2)
    return results


def _run(case: Case, output: Path, n_epochs: int | None) -> dict[str, Any]:
    data = data_folder()
    truth = case.scene.write_truth(data, output / f"{case.name}.truth.json")
    settings = _settings(case, data, truth, n_epochs)
    config = resolve_config(None, settings)
    result = run(data / case.scene.source, output / case.name, config, progress=ProgressBar())
    return _describe(case, result, settings)


def _settings(case: Case, data: Path, truth: Path, n_epochs: int | None) -> dict[str, Any]:
    scene = case.scene
    return {
        **_BASE,
        **scene.settings,
        "edge_model": case.edge_model,
        "annotation.teacher": case.teacher,
        "evaluation.ground_truth": truth,
        "evaluation.test_source": data / scene.test_source if scene.test_source else None,
        "evaluation.map_classes": scene.map_classes,
        "models_dir": data / "models",
        "training.n_epochs": n_epochs or case.n_epochs,
    }


def _describe(case: Case, result: RunResult, settings: dict[str, Any]) -> dict[str, Any]:
    folder = RunFolder(result.output)
    stages = {name: folder.stage(name) for name in ("capture", "annotation", "training", "evaluation")}
    training = stages["training"]
    evaluation = result.evaluation
    return {
        "scene": case.scene.name,
        "edge_model": case.edge_model,
        "teacher": case.teacher,
        "settings": {key: value for key, value in settings.items() if value and not isinstance(value, Path)},
        "scores": evaluation.comparison.to_json(),
        "n_test_frames": evaluation.n_frames,
        "n_human_frames": evaluation.n_human_frames,
        "promoted": evaluation.promotion.promoted,
        "promotion": evaluation.promotion.to_json(),
        "ms_per_frame": {"before": evaluation.ms_before, "after": evaluation.ms_after},
        "seconds": {name: record.seconds for name, record in stages.items() if record},
        "best_epoch": training.summary["best_epoch"] if training else None,
        "n_training_frames": training.summary["n_training_frames"] if training else None,
        "version": __version__,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }
