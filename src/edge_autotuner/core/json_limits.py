"""Limits of JSON text from elsewhere, checked on its bytes before anything is made of them.

A decoder turns `[[],[],...]` into more than twenty times its bytes, and a validator writes one error for each wrong
item. Both are safe only when the number of items is known to be small, and counting them costs a few ms per MB.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate

_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


@dataclass(frozen=True)
class JsonLimits:
    """How large JSON text may be.

    Attributes:
        max_bytes: of the whole text.
        max_items: elements of arrays and members of objects, of all levels together; an empty one counts as an item.
        max_depth: arrays and objects inside each other.
    """

    max_bytes: int
    max_items: int
    max_depth: int = 16


def check_json(content: bytes, limits: JsonLimits) -> None:
    """Refuse JSON text that is too large, has too many items, or is nested too deep; whether it is JSON stays open.

    >>> check_json(b'{"boxes": [[1, 2], [3, 4]]}', JsonLimits(max_bytes=100, max_items=7, max_depth=3))

    Raises:
        ValueError: it is one of these; the message says which, and the limit.
    """
    if len(content) > limits.max_bytes:
        raise ValueError(f"{len(content)} bytes, at most {limits.max_bytes} are taken")
    n_quotes = content.count(b'"') - content.count(b'\\"')  # at least half of those that begin or end a text
    if n_quotes > 4 * limits.max_items + 4:  # each item has a name and a text at most
        raise _too_many(limits)
    bare = _TEXT.sub(b"", content)
    n_brackets = bare.count(b"[") + bare.count(b"{")
    if bare.count(b",") + n_brackets > limits.max_items:  # each item follows a comma or an opening bracket
        raise _too_many(limits)
    if n_brackets > limits.max_depth and _depth(bare) > limits.max_depth:
        raise ValueError(f"arrays and objects are nested deeper than {limits.max_depth} levels")


def _depth(bare: bytes) -> int:
    brackets = bare.translate(None, _NOT_BRACKETS)
    return max(accumulate(_STEP[bracket] for bracket in brackets), default=0)


def _too_many(limits: JsonLimits) -> ValueError:
    return ValueError(f"more than {limits.max_items} items")
