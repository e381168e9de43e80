"""Reads typed fields from JSON that other programs wrote; an error names the field.

Python takes true for 1, "0" for true, and reads NaN, which JSON does not have; `int` and `float` read text, and the
second of two equal keys wins. Each of these silently gives a wrong number, so files are read through this module.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from edge_autotuner.core.json_limits import load_json

MAX_WHOLE = 2**53
"""Whole numbers up to here are the same in every JSON reader."""

_NO_DEFAULT: Any = object()
_MISSING: Any = object()


class FieldError(ValueError):
    """A field is missing or has an unexpected value; the message says where."""


def parse_json(data: bytes | str) -> object:
    """Decode a JSON text; each field checks its own NaN and infinite numbers.

    Raises:
        ValueError: it is not JSON, is nested too deep, or one object has a key twice.
    """
    value: object = load_json(data, object_pairs_hook=unique_keys)
    return value


class Fields:
    """One JSON object, whose values are read with a check; `where` names it in errors, such as "annotations[3]".

    >>> camera = Fields({"name": "gate", "size": [640, 480]}, "cameras[0]")
    >>> camera.text("name"), camera.wholes("size", 2)
    ('gate', [640, 480])
    >>> camera.number("rate_hz", default=25.0)
    25.0

    A key that is absent is an error, unless there is a default; so is null: ask `has` first.

    Raises:
        FieldError: it is not an object.
    """

    def __init__(self, values: object, where: str) -> None:
        if not isinstance(values, Mapping):
            raise FieldError(f"{where or 'the whole'}: expected an object with keys, got {_shown(values)}")
        self.values: Mapping[str, Any] = values
        self.where = where

    def has(self, key: str) -> bool:
        """Whether a key is there and not null."""
        return self.values.get(key) is not None

    def text(self, key: str, *, default: str = _NO_DEFAULT, may_be_empty: bool = False) -> str:
        """Return a text."""
        value = self._get(key, default)
        self._check(isinstance(value, str) and (may_be_empty or bool(value)), key, "text", value)
        return str(value)

    def flag(self, key: str, *, default: bool = _NO_DEFAULT) -> bool:
        """Return true or false."""
        value = self._get(key, default)
        self._check(isinstance(value, bool), key, "true or false", value)
        return bool(value)

    def zero_or_one(self, key: str, *, default: bool = _NO_DEFAULT) -> bool:
        """Return a flag that is written as 0 or 1; true and false are accepted as well."""
        value = self._get(key, default)
        fits = isinstance(value, bool) or (is_number(value) and value in (0, 1))
        self._check(fits, key, "0 or 1", value)
        return bool(value)

    def number(
        self, key: str, *, default: float = _NO_DEFAULT, at_least: float = -math.inf, at_most: float = math.inf
    ) -> float:
        """Return a finite number within bounds."""
        value = self._get(key, default)
        fits = is_number(value) and at_least <= value <= at_most
        self._check(fits, key, f"a number{_bounds(at_least, at_most)}", value)
        return float(value)

    def whole(
        self, key: str, *, default: int = _NO_DEFAULT, at_least: int = -MAX_WHOLE, at_most: int = MAX_WHOLE
    ) -> int:
        """Return a whole number within bounds; 3.0 is one."""
        value = self._get(key, default)
        fits = is_whole(value) and at_least <= value <= at_most
        self._check(fits, key, f"a whole number{_bounds(at_least, at_most)}", value)
        return int(value)

    def numbers(self, key: str, n: int | None = None) -> list[float]:
        """Return a list of finite numbers, of `n` or any length."""
        return [float(item) for item in self._list(key, is_number, f"{_n_text(n)}numbers", n)]

    def wholes(self, key: str, n: int | None = None) -> list[int]:
        """Return a list of whole numbers, of `n` or any length."""
        return [int(item) for item in self._list(key, is_whole, f"{_n_text(n)}whole numbers", n)]

    def rows(self, key: str, n: int, *, default: list[Any] = _NO_DEFAULT) -> list[list[float]]:
        """Return a list of lists of `n` finite numbers each."""

        def is_row(item: object) -> bool:
            return isinstance(item, list | tuple) and len(item) == n and all(map(is_number, item))

        rows = self._list(key, is_row, f"lists of {n} numbers", default=default)
        return [[float(item) for item in row] for row in rows]

    def texts(self, key: str) -> list[str]:
        """Return a list of texts."""
        return self._list(key, lambda item: isinstance(item, str) and bool(item), "texts")

    def inner(self, key: str) -> Fields:
        """Return an object inside this one."""
        value = self._get(key, _NO_DEFAULT)
        self._check(isinstance(value, Mapping), key, "an object with keys", value)
        return Fields(value, f"{self.where}.{key}" if self.where else key)

    def each(self, key: str) -> Iterator[Fields]:
        """Yield the objects of a list."""
        value = self._get(key, _NO_DEFAULT)
        self._check(isinstance(value, list), key, "a list of objects", value)
        prefix = f"{self.where}.{key}" if self.where else key
        for position, item in enumerate(value):
            yield Fields(item, f"{prefix}[{position}]")

    def refuse_unknown(self, known: frozenset[str] | set[str]) -> None:
        """Refuse unknown keys.

        Raises:
            FieldError: there is one.
        """
        if unknown := sorted(set(self.values) - known):
            raise FieldError(f"{self._prefix}'{unknown[0]:.40}' is unknown; expected {', '.join(sorted(known))}")

    def error(self, key: str, expected: str) -> FieldError:
        """Return the error that a value stands for, for checks that only the caller can make."""
        return FieldError(f"{self._prefix}'{key}' must be {expected}, got {_shown(self.values.get(key, _MISSING))}")

    @property
    def _prefix(self) -> str:
        return f"{self.where}: " if self.where else ""

    def _get(self, key: str, default: Any) -> Any:  # noqa: ANN401 (any JSON value)
        return self.values.get(key, _MISSING if default is _NO_DEFAULT else default)

    def _list(
        self,
        key: str,
        fits: Callable[[Any], bool],
        what: str,
        n: int | None = None,
        *,
        default: list[Any] = _NO_DEFAULT,
    ) -> list[Any]:
        value = self._get(key, default)
        is_list = isinstance(value, list | tuple) and all(map(fits, value)) and n in (None, len(value))
        self._check(is_list, key, f"a list of {what}", value)
        return list(value)

    def _check(self, fits: bool, key: str, expected: str, value: object) -> None:
        if not fits:
            raise FieldError(f"{self._prefix}'{key}' must be {expected}, got {_shown(value)}")


def is_number(value: object) -> bool:
    """Whether a JSON value is a finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) <= MAX_WHOLE


def is_whole(value: Any) -> bool:  # noqa: ANN401 (any JSON value)
    """Whether a JSON value is a whole number; 3.0 is one."""
    return is_number(value) and value == int(value)


def _n_text(n: int | None) -> str:
    return "" if n is None else f"{n} "


def _bounds(at_least: float, at_most: float) -> str:
    low = None if at_least in (-math.inf, -MAX_WHOLE) else at_least
    high = None if at_most in (math.inf, MAX_WHOLE) else at_most
    if low is not None and high is not None:
        return f" of {low:g} to {high:g}"
    if low is not None:
        return f" from {low:g} on"
    return "" if high is None else f" of at most {high:g}"


def _shown(value: object) -> str:
    """Return a value as an error shows it, shortened, without making a long text of a large one."""
    if value is _MISSING:
        return "nothing"
    if isinstance(value, str):
        return f"{value[:60]!r}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_WHOLE:
        return f"a whole number of {value.bit_length()} bits"
    if isinstance(value, list | tuple):
        inside = ["a list" if isinstance(item, list | tuple) else _shown(item) for item in value[:5]]
        return f"[{', '.join(inside)}{', ...' if len(value) > 5 else ''}]"
    if isinstance(value, Mapping):
        return "an object"
    return "null" if value is None else f"{value!r:.60}"


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; for `load_json`.

    Raises:
        ValueError: a key is there twice, of which Python takes the second without a word.
    """
    values = dict(pairs)
    if len(values) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"the key {counts.most_common(1)[0][0]!r:.60} is a duplicate in one object")
    return values
