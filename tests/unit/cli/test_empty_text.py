"""Empty text, of an unset variable for example, is never taken for the working directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel, ValidationError

from edge_autotuner.cli.app import app
from edge_autotuner.config.base import FrozenConfig
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.config.run import RunConfig
from edge_autotuner.config.server import ServerConfig
from support.runs.cli_runs import run_cli

_ROOTS = (RunConfig, NodeConfig, ServerConfig)  # importing them makes the classes of all settings known


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _commands(inner, (*path, name))
    else:
        yield path, command


def _cases() -> Iterator[Any]:
    for path, command in _commands(typer.main.get_command(app)):
        for number, parameter in enumerate(command.params):
            if getattr(parameter, "is_flag", False) or not parameter.opts or parameter.name == "help":
                continue
            if parameter.param_type_name == "argument":
                before = ["x"] * sum(p.param_type_name == "argument" for p in command.params[:number])
                yield pytest.param([*path, *before, ""], id=f"{' '.join(path)} {parameter.name}")
            else:
                option = next(name for name in parameter.opts if name.startswith("--"))
                yield pytest.param([*path, option, ""], id=f"{' '.join(path)} {option}")
                yield pytest.param([*path, f"{option}="], id=f"{' '.join(path)} {option}=")


@pytest.mark.parametrize("arguments", list(_cases()))
def test_every_parameter_of_every_command_refuses_it(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run_cli(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert "is empty" in outcome.complaints[0]
    assert list(tmp_path.iterdir()) == []


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def _text_fields() -> Iterator[Any]:
    models = list(_models(FrozenConfig))
    assert set(_ROOTS) < set(models)
    for model in models:
        for name, field in model.model_fields.items():
            if field.default != "" and ("Path" in str(field.annotation) or "str" in str(field.annotation)):
                yield pytest.param(model, name, id=f"{model.__name__}.{name}")


@pytest.mark.parametrize(("model", "name"), list(_text_fields()))
def test_no_setting_takes_it(model: type[BaseModel], name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate({name: ""})
    problems = [error for error in caught.value.errors() if error["loc"][:1] == (name,)]
    assert problems
    if "Path" in str(model.model_fields[name].annotation):
        assert "is empty" in problems[0]["msg"]
