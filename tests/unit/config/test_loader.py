"""Files and flags become settings; every mistake is shown with file, line and key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from edge_autotuner.config import RunConfig, load_config, resolve_config, resolve_settings
from edge_autotuner.config.base import FrozenConfig
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.config.server import ServerConfig
from edge_autotuner.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        pytest.param("training:\n  n_epoch: 3\n", 2, "training.n_epoch: no such setting", id="unknown key"),
        pytest.param("trainings: {}\n", 1, "trainings: no such setting", id="unknown section"),
        pytest.param(
            "# why\n\ntraining:\n  # which\n  layers: head\n",
            5,
            "training.layers: Input should be 'auto', 'box', 'top' or 'all' (got 'head')",
            id="unknown choice, after comments",
        ),
        pytest.param(
            "training:\n  seed: 1\n  augmentation:\n    scale: 0.1\n    flip: 2\n",
            5,
            "training.augmentation.flip: Input should be less than or equal to 1 (got 2)",
            id="out of range, three levels deep",
        ),
        pytest.param(
            "training:\n  n_epochs: many\n",
            2,
            "training.n_epochs: Input should be a valid integer",
            id="text instead of a number",
        ),
        pytest.param("training:\n", 1, "training: expected a section of KEY: VALUE lines", id="empty section"),
        pytest.param("training: 3\n", 1, "training: expected a section of KEY: VALUE lines", id="no section"),
        pytest.param(
            "annotation:\n  classes: [car, 3]\n",
            2,
            "annotation.classes.1: Input should be a valid string",
            id="in a list",
        ),
        pytest.param(
            "evaluation:\n  map_classes:\n    van: car\n    bus: 3\n",
            4,
            "evaluation.map_classes.bus: Input should be a valid string",
            id="in a table",
        ),
        pytest.param("capture:\n  motion: {blur_px: 4}\n", 2, "capture.motion.blur_px: must be odd (got 4)", id="even"),
        pytest.param(
            "seed: 0\nannotation:\n  uncertain_score: 0.5\n  min_score: 0.4\n",
            2,
            "annotation: uncertain_score must not exceed min_score, got 0.5 and 0.4",
            id="two settings that disagree",
        ),
        pytest.param("1: 2\n", 1, "not valid YAML: the key 1 is not text", id="a number as key"),
        pytest.param("deadline_s: soon\n", 1, "deadline_s: 'soon' is not a duration", id="duration"),
        pytest.param("input_size: 31\n", 1, "input_size: both sides must be at least 32", id="size"),
    ],
)
def test_a_wrong_setting(text: str, line: int, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert f"{path}:{line}: {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        pytest.param("a: b\n- c\n", 2, "expected <block end>", id="list in a mapping"),
        pytest.param("training:\n\tseed: 1\n", 2, "found character '\\t'", id="tab"),
        pytest.param("a: b: c\n", 1, "mapping values are not allowed here", id="two colons"),
        pytest.param("seed: [1, 2\n", 2, "expected ',' or ']'", id="open bracket"),
        pytest.param("seed: 1\nedge_model: \x07\n", 2, "unacceptable character #x0007", id="control character"),
        pytest.param("a: *other\n", 1, "found undefined alias 'other'", id="alias"),
        pytest.param("? [a]\n: 1\n", 1, "a list or mapping used as a key is not text", id="list as key"),
        pytest.param("seed: 1\n---\nseed: 2\n", 2, "but found another document", id="two documents"),
        pytest.param("a: !!python/object/apply:os.getcwd []\n", 1, "could not determine a constructor", id="code"),
        pytest.param("training:\n  seed: 1\n  layers: box\n  seed: 2\n", 4, "duplicate key 'seed'", id="twice"),
    ],
)
def test_a_file_that_is_not_yaml(text: str, line: int, problem: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}:{line}: not valid YAML: ")
    assert problem in str(caught.value)


def test_a_value_that_yaml_itself_cannot_convert(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run\.yaml: not valid YAML: month must be in"):
        load_config(written(tmp_path, "deadline_s: !!timestamp 2026-13-45\n"))


@pytest.mark.parametrize(("text", "kind"), [("- a\n", "list"), ("[]", "list"), ("hello", "str"), ("false", "bool")])
def test_a_file_without_keys(text: str, kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"run.yaml: expected KEY: VALUE lines at the top level, got {kind}"):
        load_config(written(tmp_path, text))


def test_all_mistakes_are_shown_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, "training:\n  n_epochs: 0\n  layer: box\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert f"{path}:2: training.n_epochs" in str(caught.value)
    assert f"{path}:3: training.layer: no such setting" in str(caught.value)


def test_a_missing_file_and_one_that_is_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read settings file .*absent.yaml"):
        load_config(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match=r"cannot read settings file .*binary.yaml"):
        load_config(tmp_path / "binary.yaml")


@pytest.mark.parametrize("text", ["", "# only a comment\n", "{}", "---\n", "training: {}\n"])
def test_an_empty_file_gives_the_defaults(text: str, tmp_path: Path) -> None:
    assert load_config(written(tmp_path, text)) == RunConfig() == resolve_config(None, {})


def test_an_empty_file_without_defaults_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "# nothing yet\n")
    with pytest.raises(ConfigError, match=rf"^{path}: cameras: Field required$"):
        resolve_settings(NodeConfig, path, {})


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    path = written(tmp_path, "training:\n  n_epochs: 7\n  batch_size: 2\n")
    flags: dict[str, Any] = {"training.n_epochs": 9, "training.augmentation.flip": 0.0, "training.batch_size": None}
    config = resolve_config(path, flags)
    assert (config.training.n_epochs, config.training.batch_size, config.training.max_lr) == (9, 2, 1e-3)
    assert config.training.augmentation.flip == 0.0


def test_a_wrong_flag_is_named_without_a_line_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "training:\n  n_epochs: 7\n")
    with pytest.raises(ConfigError) as caught:
        resolve_config(path, {"training.n_epochs": 0})
    assert str(caught.value) == "training.n_epochs: Input should be greater than or equal to 1 (got 0)"
    with pytest.raises(ConfigError, match=r"^training.speed: no such setting$"):
        resolve_config(None, {"training.speed": 3})


def test_a_flag_does_not_hide_a_wrong_section_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "training: none\n")
    with pytest.raises(ConfigError, match=r"run.yaml:1: training: "):
        resolve_config(path, {"training.layers": "box"})


def test_a_flag_names_an_item_of_a_list(tmp_path: Path) -> None:
    path = written(tmp_path, "annotation:\n  classes: [car, bus]\n")
    config = resolve_config(path, {"annotation.classes.1": "person"})
    assert config.annotation.classes == ("car", "person")
    for key in ("annotation.classes.2", "annotation.classes.-1", "annotation.classes.first", "annotation.classes.9.x"):
        with pytest.raises(ConfigError, match=r"is not an item of the file's list, which has 2"):
            resolve_config(path, {key: "person"})
        with pytest.raises(ConfigError, match=r"is not an item"):
            resolve_config(path, {}, cleared=[key])


def test_numbers_with_colons_stay_text(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "capture:\n  train_frames: 30:59\n  test_frames: 5:20\n"))
    assert (config.capture.train_frames, config.capture.test_frames) == ((30, 59), (5, 20))  # YAML 1.1 reads 320


def test_settings_survive_a_round_trip_through_json(tmp_path: Path) -> None:
    config = resolve_config(None, {"models_dir": "mirror", "capture.train_frames": "3:9", "deadline_s": "1h"})
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


LIBRARY_WORDS = re.compile(r"tuple|dictionary|instance of|[A-Z][a-z]+Config|union_tag|is_instance")


@pytest.mark.parametrize("config", [RunConfig, NodeConfig, ServerConfig])
@pytest.mark.parametrize("wrong", ["5", "[[]]", "{a: 1}", "true"])
def test_no_message_about_a_wrong_kind_of_value_is_in_words_of_the_library(
    config: type[FrozenConfig], wrong: str, tmp_path: Path
) -> None:
    messages = []
    for name in settings_of(config):
        text = "".join(f"{'  ' * depth}{key}:\n" for depth, key in enumerate(name.split("."))).removesuffix("\n")
        try:
            resolve_settings(config, written(tmp_path, f"{text} {wrong}\n"), {})
        except ConfigError as exc:
            messages.append(str(exc))
    assert len(messages) > 20
    assert [message for message in messages if LIBRARY_WORDS.search(message)] == []


def test_a_number_is_no_range_of_frames(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"70 is not a frame range; use START:STOP, e.g. 0:70"):
        load_config(written(tmp_path, "capture: {train_frames: 70}\n"))


def settings_of(config: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all settings that are not below a list or a table."""
    for name, field in config.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_of(field.annotation, f"{prefix}{name}.")
