"""Precedence of settings, and the values that flags understand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_autotuner.cli.settings import merge_settings, parse_class_map, parse_classes
from edge_autotuner.config import RunConfig, load_config
from edge_autotuner.errors import ConfigError
from support.runs.cli_runs import run_cli


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        pytest.param(None, None, id="none"),
        pytest.param([], None, id="empty"),
        pytest.param(["truck=car"], {"truck": "car"}, id="one"),
        pytest.param(["truck=car,bus=car"], {"truck": "car", "bus": "car"}, id="comma"),
        pytest.param(["truck=car", "bus=car"], {"truck": "car", "bus": "car"}, id="twice"),
        pytest.param([" truck = car , my bus=car"], {"truck": "car", "my bus": "car"}, id="spaces"),
    ],
)
def test_class_maps(pairs: list[str] | None, expected: dict[str, str] | None) -> None:
    assert parse_class_map(pairs) == expected


@pytest.mark.parametrize("text", ["truck", "truck=", "=car", "=", "", "truck=car,", "truck=car,bus"])
def test_wrong_class_maps(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a class mapping; use"):
        parse_class_map([text])


@pytest.mark.parametrize(
    ("text", "expected"), [(None, None), ("car", ["car"]), (" person, traffic light,", ["person", "traffic light"])]
)
def test_classes(text: str | None, expected: list[str] | None) -> None:
    assert parse_classes(text) == expected


def settings_file(folder: Path, **values: Any) -> Path:
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_flags_win_over_pairs_over_the_file_over_defaults(tmp_path: Path) -> None:
    path = settings_file(tmp_path, training={"n_epochs": 3, "batch_size": 2, "patience_epochs": 2})
    pairs = ["training.n_epochs=4", "training.batch_size=5"]
    config = merge_settings(path, pairs, {"training.n_epochs": 6, "training.seed": None})
    training = config.training
    assert (training.n_epochs, training.batch_size, training.patience_epochs) == (6, 5, 2)
    assert training.seed == RunConfig().training.seed


def test_nothing_given_gives_the_defaults() -> None:
    assert merge_settings(None, None, {}) == RunConfig()


@pytest.mark.parametrize(
    ("pair", "key", "value"),
    [
        pytest.param("training.max_lr=0.0005", "max_lr", 0.0005, id="number"),
        pytest.param("training.layers=box", "layers", "box", id="text"),
        pytest.param("training.deadline_s=2min", "deadline_s", 120.0, id="duration"),
        pytest.param("training.augmentation={flip: 0}", "augmentation.flip", 0.0, id="mapping"),
    ],
)
def test_pairs_are_yaml(pair: str, key: str, value: object) -> None:
    found: object = merge_settings(None, [pair], {}).training
    for name in key.split("."):
        found = getattr(found, name)
    assert found == value


def test_a_pair_clears_what_a_file_sets(tmp_path: Path) -> None:
    path = settings_file(tmp_path, annotation={"same_object_iou": 0.6, "classes": ["car"]})
    config = merge_settings(path, ["annotation.same_object_iou=null", "annotation.classes="], {})
    assert config.annotation.same_object_iou is None
    assert config.annotation.classes is None
    flagged = merge_settings(path, ["annotation.classes=null"], {"annotation.classes": ["bus"]})
    assert flagged.annotation.classes == ("bus",)
    with pytest.raises(ConfigError, match=r"^training\.n_epochs: Input should be a valid integer \(got None\)$"):
        merge_settings(settings_file(tmp_path, training={"n_epochs": 3}), ["training.n_epochs=null"], {})


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        pytest.param("training.n_epochs", "use KEY=VALUE", id="no-value"),
        pytest.param("=3", "use KEY=VALUE", id="no-key"),
        pytest.param("training.n_epochs=[1", "not valid YAML", id="yaml"),
        pytest.param("training.speed=3", r"training\.speed: no such setting", id="unknown"),
        pytest.param("speed=3", "speed: no such setting", id="unknown-top"),
        pytest.param("training.n_epochs=0", r"training\.n_epochs: .*greater than or equal to 1 \(got 0\)", id="range"),
    ],
)
def test_wrong_pairs(pair: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        merge_settings(None, [pair], {})


def test_config_show_prints_what_a_run_would_use(tmp_path: Path) -> None:
    path = settings_file(tmp_path, input_size="320x192")
    outcome = run_cli("config", "show", "-c", path, "--set", "training.n_epochs=3")
    assert outcome.code == 0
    shown = tmp_path / "shown.yaml"
    shown.write_text(outcome.out)
    assert load_config(shown) == merge_settings(path, ["training.n_epochs=3"], {})
    assert yaml.safe_load(outcome.out)["input_size"] == [320, 192]


def leaves(model: object, prefix: str = "") -> list[str]:
    found = []
    for name in type(model).model_fields:  # type: ignore[attr-defined]
        value = getattr(model, name)
        found += leaves(value, f"{prefix}{name}.") if hasattr(value, "model_fields_set") else [f"{prefix}{name}"]
    return found


def test_config_explain_covers_every_setting() -> None:
    lines = run_cli("config", "explain").out.splitlines()
    keys = [line.split(" ", 1)[0] for line in lines]
    assert keys == leaves(RunConfig())
    assert "training.augmentation.flip" in keys
    assert all(line.partition(": ")[2] for line in lines), "each says what it means"
