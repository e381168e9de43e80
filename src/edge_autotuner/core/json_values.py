"""Bounds of JSON values that others choose: metrics, settings, summaries.

What is accepted can be written, listed and printed again: not nested deeper than an encoder can follow, not more than a
list can hold, and without text that a terminal obeys.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from edge_autotuner.core.printable import is_printable

MAX_DEPTH = 16
MAX_ITEMS = 20_000
MAX_TEXT = 2000
_MAX_KEY = 200
_MAX_INTEGER = 1 << 63


def check_json_values(
    value: object, *, max_depth: int = MAX_DEPTH, max_items: int = MAX_ITEMS, max_text: int = MAX_TEXT
) -> None:
    """Refuse JSON values that are too large, nested too deep, or not printable; takes no recursion.

    Args:
        value: what a decoder returned.
        max_depth: arrays and objects inside each other; a number alone has depth 0.
        max_items: elements and members on all levels together.
        max_text: characters of a text.

    Raises:
        ValueError: it is one of these; the message says which, and where the limit is.
    """
    n_items, level = 0, [value]
    for _depth in range(max_depth + 1):
        inner: list[object] = []
        for each in level:
            _check_one(each, max_text)
            inner.extend(_inside(each))
        n_items += len(inner)
        if n_items > max_items:
            raise ValueError(f"more than {max_items} values")
        if not inner:
            return
        level = inner
    raise ValueError(f"nested deeper than {max_depth} levels")


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value


def _check_one(value: object, max_text: int) -> None:
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or len(key) > _MAX_KEY or not is_printable(key):
                raise ValueError(f"expected printable names of at most {_MAX_KEY} characters, got {key!r:.80}")
    elif isinstance(value, str):
        if len(value) > max_text or not is_printable(value):
            raise ValueError(f"expected printable text of at most {max_text} characters, got {value!r:.80}")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a JSON number")
    elif isinstance(value, int):
        if abs(value) >= _MAX_INTEGER:
            raise ValueError(f"a whole number of {value.bit_length()} bits, the limit is 63")
    elif value is not None and not isinstance(value, list | tuple):
        raise ValueError(f"a {type(value).__name__} is not a JSON value")
