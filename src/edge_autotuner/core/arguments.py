"""Checks the argument types of public functions, so that an error names the argument and not what breaks later."""

from __future__ import annotations

import functools
import inspect
import os
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")
_ChoiceT = TypeVar("_ChoiceT", bound=str)


def checked_arguments(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Check a function's arguments against its annotations, and turn text into a path where one is expected.

    Checks classes, their unions and numbers, that protocols have all their members, and that callables can be called.
    Containers are left to the function.

    >>> @checked_arguments
    ... def load(folder: Path, n: int | None = None) -> str:
    ...     return folder.name
    >>> load("runs/street")
    'street'
    >>> load(None)
    Traceback (most recent call last):
    TypeError: load() expects folder as a path (str or Path), got NoneType
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        hints = _hints_of(function)
        given = signature.bind(*args, **kwargs)
        for name, value in given.arguments.items():
            if name in hints:
                given.arguments[name] = _checked(function.__name__, name, value, hints[name])
        return function(*given.args, **given.kwargs)

    return call


@functools.cache
def _hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(function)


def _checked(function: str, name: str, value: object, hint: Any) -> object:  # noqa: ANN401 (an annotation)
    union = typing.get_origin(hint) in {typing.Union, types.UnionType}
    kinds = typing.get_args(hint) if union else (hint,)
    if any(_is_abstract(kind) for kind in kinds):
        if all(_is_abstract(kind) or kind is type(None) for kind in kinds) and not any(_fits(value, k) for k in kinds):
            raise _wrong(function, name, value, kinds)
        return value
    if isinstance(value, bool) and bool not in kinds and not (set(kinds) - {int, float, type(None)}):
        raise _wrong(function, name, value, kinds)
    if isinstance(value, kinds) or (isinstance(value, int) and float in kinds):
        return value
    if Path in kinds and isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str):
            if path == "":
                raise ValueError(f"{function}() expects {name} as a path, got an empty string")
            return Path(path)
    raise _wrong(function, name, value, kinds)


def _is_abstract(kind: Any) -> bool:  # noqa: ANN401 (an annotation)
    return not isinstance(kind, type) or bool(getattr(kind, "_is_protocol", False))


def _fits(value: object, kind: Any) -> bool:  # noqa: ANN401 (an annotation)
    """Whether a value fits a protocol, a callable or None; other annotations fit everything."""
    if kind is type(None):
        return value is None
    if getattr(kind, "_is_protocol", False):
        return not isinstance(value, type) and all(hasattr(value, member) for member in _members_of(kind))
    return callable(value) if typing.get_origin(kind) is Callable else True


@functools.cache
def _members_of(protocol: type) -> tuple[str, ...]:
    bases = [base for base in protocol.__mro__ if getattr(base, "_is_protocol", False)]
    return tuple(name for base in bases for name in vars(base) if not name.startswith("_"))


def check_choice(value: str, choices: tuple[_ChoiceT, ...], name: str) -> _ChoiceT:
    """Return a text as the one of the choices that it is.

    Raises:
        ValueError: it is none of them.
    """
    for choice in choices:
        if choice == value:
            return choice
    raise ValueError(f"{name} must be one of {', '.join(choices)}, got '{value}'")


def check_share(value: float, name: str) -> None:
    """Make sure that a number is within 0..1.

    Raises:
        ValueError: it is not.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in 0..1, got {value}")


def _wrong(function: str, name: str, value: object, kinds: tuple[Any, ...]) -> TypeError:
    words = [
        "None"
        if kind is type(None)
        else "a path (str or Path)"
        if kind is Path
        else "a function"
        if typing.get_origin(kind) is Callable
        else kind.__name__
        for kind in kinds
        if not (kind is str and Path in kinds)
    ]
    return TypeError(f"{function}() expects {name} as {' or '.join(words)}, got {type(value).__name__}")
