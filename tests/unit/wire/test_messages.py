"""A rule for all messages: no field takes any text, any object, or any number of things."""

from __future__ import annotations

import importlib
import pkgutil
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import pytest
from pydantic import BaseModel, Field

import edge_autotuner
from edge_autotuner.config.base import FrozenConfig
from edge_autotuner.config.texts import JsonTable, ShownLine
from edge_autotuner.wire.messages import Reply, Request

_COLLECTIONS = (list, tuple, set, frozenset, dict)


def all_models() -> list[type[BaseModel]]:
    """Every model of the package but settings, which their owner writes."""
    for module in pkgutil.walk_packages(edge_autotuner.__path__, "edge_autotuner."):
        if ".__main__" not in module.name:
            importlib.import_module(module.name)
    found: list[type[BaseModel]] = [BaseModel]
    for model in found:
        found.extend(each for each in model.__subclasses__() if each not in found)
    ours = [model for model in found if model.__module__.startswith("edge_autotuner.")]
    return [model for model in ours if not issubclass(model, FrozenConfig)]


def faults(annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[str]:
    """Yield what is unbounded in an annotation, inner ones included."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        if annotation != JsonTable:
            yield from faults(inner, (*metadata, *more))
        return
    if hasattr(annotation, "__value__"):  # type X = ...
        yield from faults(annotation.__value__, metadata)
        return
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        for argument in arguments:
            yield from faults(argument, metadata)
    elif origin is Literal or annotation in (int, float, bool, type(None)):
        return
    elif annotation in (str, bytes):
        if not _is_bounded(metadata):
            yield f"a bare {annotation.__name__}"
    elif annotation is Any or annotation is object:
        yield "Any"
    elif origin in _COLLECTIONS or annotation in _COLLECTIONS:
        is_fixed = origin is tuple and arguments and arguments[-1] is not Ellipsis
        if not is_fixed and not _is_bounded(metadata):
            yield f"a {(origin or annotation).__name__} of any length"
        if not arguments:
            yield f"a bare {annotation.__name__}"
        for argument in arguments:
            if argument is not Ellipsis:
                yield from faults(argument)


def _is_bounded(metadata: tuple[Any, ...]) -> bool:
    """Whether metadata say how long something may be: a largest length, or a pattern that ends."""
    flat = [inner for each in metadata for inner in (*getattr(each, "metadata", ()), each)]
    for each in flat:
        if isinstance(each, annotated_types.MaxLen):
            return True
        pattern = getattr(each, "pattern", None)
        if (
            isinstance(pattern, str)
            and pattern.startswith("^")
            and pattern.endswith("$")
            and not set("*+") & set(pattern.replace("[A-Za-z0-9+/]", ""))
        ):
            return True
    return False


def faults_of(model: type[BaseModel]) -> list[str]:
    """Return what is unbounded in the fields of a model."""
    found = []
    for name, field in model.model_fields.items():
        metadata = tuple(field.metadata)
        if field.annotation == dict[str, Any] and metadata == get_args(JsonTable)[1:]:
            continue
        found += [f"{model.__name__}.{name}: {fault}" for fault in faults(field.annotation, metadata)]
    return found


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.__name__)
def test_no_field_is_unbounded(model: type[BaseModel]) -> None:
    assert faults_of(model) == []


def test_there_are_messages() -> None:
    found = set(all_models())
    assert {model for model in found if issubclass(model, Request | Reply)} >= {Request, Reply}
    assert len(found) > 45


class _Bad(BaseModel):
    text: str
    maybe: str | None = None
    anything: Any
    table: dict[str, Any]
    names: tuple[str, ...] = Field(max_length=3)
    many: tuple[int, ...]
    deep: dict[ShownLine, list[dict[str, int]]] = Field(max_length=3)
    pattern: Annotated[str, Field(pattern="^a+$")]


class _Good(BaseModel):
    text: ShownLine
    maybe: Annotated[str, Field(max_length=3)] | None = None
    table: JsonTable
    size_wh: tuple[int, int]
    many: tuple[ShownLine, ...] = Field(max_length=3)
    kind: Literal["a", "b"]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def test_the_rule_finds_what_it_forbids_and_nothing_else() -> None:
    assert {fault.partition(":")[0].partition(".")[2] for fault in faults_of(_Bad)} == set(_Bad.model_fields)
    assert faults_of(_Good) == []
