"""Settings that travel with a tuning job: what the result depends on, and nothing of a machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.errors import ConfigError
from edge_autotuner.pipeline.remote_training.portable_settings import portable_settings, settings_from_portable

RICH = {
    "edge_model": "secret/model.safetensors",
    "models_dir": "secret/models",
    "input_size": 320,
    "annotation": {"teacher": "secret/teacher.onnx", "classes": ["car"], "min_score": 0.4, "zoom_input": 64},
    "training": {"n_epochs": 3, "n_threads": 2, "device": "cpu", "replay": {"folder": "secret/memory", "share": 0.5}},
    "evaluation": {"ground_truth": "secret/gt.json", "test_source": "secret/test.mp4", "seed": 7},
}


def rebuilt(values: dict[str, Any], **more: Any) -> RunConfig:
    return settings_from_portable(values, edge_model="start", **more)


def test_nothing_of_the_machine_travels() -> None:
    text = json.dumps(portable_settings(RunConfig.model_validate(RICH)))
    assert "secret" not in text
    for name in ("folder", "n_threads", "device", "service", "teacher", "models_dir", "ground_truth"):
        assert f'"{name}"' not in text


def test_what_the_result_depends_on_arrives() -> None:
    config = RunConfig.model_validate(RICH)
    there = rebuilt(portable_settings(config), ground_truth=Path("g"), reservoir=Path("r"), n_threads=1)
    own = {"replay", "device", "n_threads", "deadline_s"}
    assert there.training.model_dump(exclude=own) == config.training.model_dump(exclude=own)
    assert (there.training.replay.share, there.training.replay.folder) == (0.5, Path("r"))
    assert (there.input_size, there.annotation.classes, there.annotation.min_score) == ((320, 320), ("car",), 0.4)
    assert there.evaluation == config.evaluation.model_copy(update={"ground_truth": Path("g"), "test_source": None})
    assert (there.edge_model, there.training.n_threads, there.annotation.zoom_input) == ("start", 1, (64, 64))


def test_magnified_views_need_not_fit_where_nobody_looks() -> None:
    config = RunConfig.model_validate(RICH | {"training": {"second_look": {"enabled": False}}})
    assert rebuilt(portable_settings(config)).annotation.zoom_input == (320, 320)


@pytest.mark.parametrize(
    "values",
    [
        {"edge_model": "/etc/passwd"},
        {"models_dir": "/"},
        {"training": {"replay": {"folder": "/tmp"}}},
        {"training": {"device": "cuda"}},
        {"training": {"n_threads": 64}},
        {"evaluation": {"ground_truth": "/etc/passwd"}},
        {"annotation": {"service": {"url": "http://inside"}}},
        {"annotation": {"teacher": "remote:x"}},
        {"privacy": {}},
        {"training": []},
        {"capture": {"motion": {"gate": 1}}},
        {"training": {"augmentation": {"unknown": 1}}},
        {"training": {"n_epochs": "many"}},
        {"training": {"max_lr": float("nan")}},
        {"training": {"batch_size": 10**9}},
        {"training": {"n_epochs": 10**9}},
        {"training": {"features": {"max_gb": 1e6}}},
        {"training": {"seed": 10**40}},
        {"input_size": [100_000, 64]},
        {"evaluation": {"n_bootstrap": 10**9}},
    ],
    ids=str,
)
def test_what_a_client_may_not_decide_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="settings: "):
        rebuilt(values)
