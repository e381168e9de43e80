"""Every number that a user may give has an upper bound: no setting asks for more than a machine can have."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel, ValidationError

from edge_autotuner.cli.app import app
from support.machine.settings_walk import Setting, all_settings
from support.runs.cli_runs import run_cli

NO_BOUND = {
    "AnnotationConfig.teacher_weights": "weights of a mean; finite and one per teacher",
    "CaptureConfig.train_frames": "a range of what is there",
    "CaptureConfig.test_frames": "a range of what is there",
    "MotionConfig.ignore": "corners between 0 and 1",
    "MotionConfig.watch": "corners between 0 and 1",
}
"""Numbers that ask for nothing, and why."""

BY_SETTING = {
    "run": {"min_score", "max_images", "epochs", "threads", "seed"},
    "capture": {"max_images"},
    "annotate": {"min_score"},
    "tune": {"epochs", "threads", "seed"},
    "serve": {"port"},
    "jobs tune": {"max_upload_kbps"},
}
"""Options that are settings, which have the bounds."""


def numeric_settings() -> list[Setting]:
    """Return all settings that are made of numbers."""
    return [setting for setting in all_settings() if setting.types & {int, float}]


@pytest.mark.parametrize("setting", numeric_settings(), ids=lambda setting: setting.where)
def test_every_numeric_setting_has_an_upper_bound(setting: Setting) -> None:
    if setting.where in NO_BOUND:
        return
    kind = typing.get_origin(setting.info.annotation)
    for much in (10**30, math.inf, math.nan, 1e300):
        value = (much, much) if kind is tuple else much
        with pytest.raises(ValidationError) as caught:
            only_field(setting.model).__pydantic_validator__.validate_assignment(
                setting.model.model_construct(), setting.name, value
            )
        assert any(error["loc"][:1] == (setting.name,) for error in caught.value.errors())


def only_field(model: type[BaseModel]) -> type[BaseModel]:
    """Return a model like this one that allows its fields to be set one by one."""
    return type(f"Open{model.__name__}", (model,), {"model_config": {"frozen": False}})


def numeric_options() -> Iterator[tuple[str, str, Any]]:
    """Yield command, name and declaration of every option that is a number."""
    waiting: list[tuple[str, Any]] = [("", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        waiting += [(f"{name} {child}".strip(), inner) for child, inner in getattr(command, "commands", {}).items()]
        if command.callback is None:
            continue
        hints = typing.get_type_hints(inspect.unwrap(command.callback), include_extras=True)
        for option, hint in hints.items():
            plain = typing.get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
            if {int, float} & {plain, *typing.get_args(plain)}:
                yield name, option, hint.__metadata__[0]


def test_every_numeric_option_has_an_upper_bound() -> None:
    options = list(numeric_options())
    assert len(options) > 10
    unbounded = {
        (command, option)
        for command, option, declared in options
        if declared.max is None and option not in BY_SETTING.get(command, ())
    }
    assert unbounded == set(), "give the option max=, or list it where the setting has the bound"


def test_what_is_refused_is_not_kept_for_later_commands(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("{}")
    (tmp_path / "state.json").write_text("{}")
    for value in ("9999", "-1", "0", "1e9", "nan"):
        outcome = run_cli("tune", tmp_path, "--set", f"training.n_threads={value}")
        assert outcome.code == 2
        assert "training.n_threads" in outcome.err
    assert (tmp_path / "settings.yaml").read_text() == "{}"
    assert run_cli("detect", tmp_path, "clip.mp4", "--threads", "9999").code == 2
