"""Limits foreign JSON: its text before it is decoded, and values that others choose, such as metrics.

A decoder turns `[[],[],...]` into more than twenty times its bytes, and a validator writes one error for each wrong
item. Both are safe only when the number of items is known to be small; counting them costs a few ms per MB. Values
that pass `check_json_values` can be written, listed and printed again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_autotuner.core.printable import is_printable

_BLOCK_BYTES = 1 << 15
_STEPS = np.zeros(256, np.int8)
_STEPS[[ord("["), ord("{")]] = 1
_STEPS[[ord("]"), ord("}")]] = -1


MAX_DEPTH = 100
"""Arrays and objects inside each other of any JSON that is read: far more than anybody writes, far fewer than Python's
own limit, at which also printing and writing a value again would fail."""


@dataclass(frozen=True)
class JsonLimits:
    """How large JSON text may be.

    Attributes:
        max_bytes: of the whole text.
        max_items: elements of arrays and members of objects, of all levels together; an empty one counts as an item.
        max_depth: arrays and objects inside each other.
        max_arrays: of all levels; None: as many as items.
        max_objects: of all levels; None: as many as items. A decoded one takes hundreds of bytes, even if it is empty.
    """

    max_bytes: int
    max_items: int
    max_depth: int = 16
    max_arrays: int | None = None
    max_objects: int | None = None


def check_json(content: bytes, limits: JsonLimits) -> None:
    """Refuse JSON text that is too large, has too many items, or is nested too deep; whether it is JSON stays open.

    >>> check_json(b'{"boxes": [[1, 2], [3, 4]]}', JsonLimits(max_bytes=100, max_items=7, max_depth=3))

    Raises:
        ValueError: a limit is exceeded; the message names it.
    """
    if len(content) > limits.max_bytes:
        raise ValueError(f"{len(content)} bytes, the limit is {limits.max_bytes}")
    n_commas = n_arrays = n_objects = depth = 0
    is_in_text = False
    plain = content.replace(b"\\\\", b"").replace(b'\\"', b"")  # the quotes that are left begin and end texts
    for start in range(0, len(plain), _BLOCK_BYTES):
        block = np.frombuffer(plain, np.uint8, min(_BLOCK_BYTES, len(plain) - start), start)
        in_text = np.logical_xor.accumulate(block == ord('"')) ^ is_in_text
        is_in_text = bool(in_text[-1])
        outside = block[~in_text]
        n_commas += int(np.count_nonzero(outside == ord(",")))
        n_arrays += int(np.count_nonzero(outside == ord("[")))
        n_objects += int(np.count_nonzero(outside == ord("{")))
        # each item follows a comma or an opening bracket
        _check_number(n_commas + n_arrays + n_objects, limits.max_items, "items")
        _check_number(n_arrays, limits.max_arrays, "arrays")
        _check_number(n_objects, limits.max_objects, "objects")
        depths = depth + np.cumsum(_STEPS[outside], dtype=np.int64)
        if depths.max(initial=0) > limits.max_depth:
            raise ValueError(f"arrays and objects are nested deeper than {limits.max_depth} levels")
        depth = int(depths[-1]) if len(depths) else depth


def load_json(
    data: bytes | str,
    *,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
    parse_constant: Callable[[str], Any] | None = None,
) -> Any:  # noqa: ANN401 (as `json.loads`)
    """Decode a JSON text. The only decoder: deep nesting never raises RecursionError.

    >>> load_json('{"a": [1]}')
    {'a': [1]}

    Bytes are UTF-8, UTF-16 or UTF-32; the hooks are those of `json.loads`.

    Raises:
        ValueError: it is not JSON, or nested deeper than `MAX_DEPTH`.
    """
    text = data if isinstance(data, str) else data.decode(json.detect_encoding(data), "surrogatepass")
    if text.count("[") + text.count("{") > MAX_DEPTH:
        size = 4 * len(text)
        check_json(text.encode("utf-8", "surrogatepass"), JsonLimits(size, size, MAX_DEPTH))
    try:
        return json.loads(text, object_pairs_hook=object_pairs_hook, parse_constant=parse_constant)
    except RecursionError:  # what is no JSON can hide its nesting from the count
        raise ValueError(f"arrays and objects are nested deeper than {MAX_DEPTH} levels") from None


def _check_number(n: int, most: int | None, what: str) -> None:
    if most is not None and n > most:
        raise ValueError(f"more than {most} {what}")


MAX_VALUE_DEPTH = 16
MAX_ITEMS = 20_000
MAX_TEXT = 2000
_MAX_KEY = 200
_MAX_INTEGER = 1 << 63


def check_json_values(
    value: object, *, max_depth: int = MAX_VALUE_DEPTH, max_items: int = MAX_ITEMS, max_text: int = MAX_TEXT
) -> None:
    """Refuse JSON values that are too large, nested too deep, or not printable; takes no recursion.

    Args:
        value: what a decoder returned.
        max_depth: arrays and objects inside each other; a number alone has depth 0.
        max_items: elements and members on all levels together.
        max_text: characters of a text.

    Raises:
        ValueError: a limit is exceeded, or a text is not printable; the message says where, and names the limit.
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
