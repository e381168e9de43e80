"""Walks all settings models of the package, for rules that hold for each field."""

from __future__ import annotations

import importlib
import pkgutil
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import edge_autotuner.config
from edge_autotuner.config.base import FrozenConfig
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.config.run import RunConfig
from edge_autotuner.config.server import ServerConfig

ROOTS = (RunConfig, NodeConfig, ServerConfig)


@dataclass(frozen=True)
class Setting:
    """One field of a settings model.

    Attributes:
        model: which model has it.
        name: of the field.
        info: what pydantic knows of it.
    """

    model: type[BaseModel]
    name: str
    info: FieldInfo

    @property
    def where(self) -> str:
        """Return model and field."""
        return f"{self.model.__name__}.{self.name}"

    @property
    def types(self) -> set[type]:
        """Return the plain types that the annotation is made of."""
        return set(plain_types(self.info.annotation))


def all_models() -> list[type[BaseModel]]:
    """Return every settings model of the package."""
    for module in pkgutil.iter_modules(edge_autotuner.config.__path__):
        importlib.import_module(f"edge_autotuner.config.{module.name}")
    found: list[type[BaseModel]] = []
    waiting = [FrozenConfig]
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        if model is not FrozenConfig and model.__module__.startswith("edge_autotuner."):
            found.append(model)
    return sorted(found, key=lambda model: model.__name__)


def all_settings() -> list[Setting]:
    """Return every field of every settings model."""
    return [Setting(model, name, info) for model in all_models() for name, info in model.model_fields.items()]


def plain_types(annotation: Any) -> Iterator[type]:
    """Yield the types inside unions, containers and annotations."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from plain_types(get_args(annotation)[0])
    elif origin in {Union, types.UnionType} or origin is not None:
        for part in get_args(annotation):
            yield from plain_types(part)
    elif isinstance(annotation, type):
        yield annotation


def dotted_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield the dotted key of every field that can be set below a root, nested models and optional ones included."""
    for name, info in model.model_fields.items():
        nested = [
            part for part in plain_types(info.annotation) if isinstance(part, type) and issubclass(part, BaseModel)
        ]
        if nested and get_origin(info.annotation) not in {tuple, dict, list}:
            yield from dotted_keys(nested[0], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", info
