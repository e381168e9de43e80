"""Limits of JSON text are those of what it says, whatever its texts contain."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.core.json_limits import JsonLimits, check_json

WIDE = JsonLimits(max_bytes=1 << 20, max_items=1 << 20, max_depth=1 << 10)

VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def n_items(value: Any) -> int:
    """Count as the limit does: an empty array or object is an item itself."""
    if not isinstance(value, list | dict):
        return 0
    inner = list(value.values()) if isinstance(value, dict) else value
    return max(1, len(inner)) + sum(map(n_items, inner))


def depth(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 0
    inner = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(map(depth, inner), default=0)


@given(value=VALUES, spaces=st.sampled_from([None, 2]), is_ascii=st.booleans())
def test_limits_are_exact(value: Any, spaces: int | None, is_ascii: bool) -> None:
    content = json.dumps(value, indent=spaces, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    limits = JsonLimits(len(content), n_items(value), depth(value))
    check_json(content, limits)
    for less in (
        JsonLimits(limits.max_bytes - 1, limits.max_items, limits.max_depth),
        JsonLimits(limits.max_bytes, limits.max_items - 1, limits.max_depth),
        JsonLimits(limits.max_bytes, limits.max_items, limits.max_depth - 1),
    ):
        if min(less.max_items, less.max_depth) >= 0:
            with pytest.raises(ValueError, match=r"bytes|items|deeper"):
                check_json(content, less)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"[" + b"1," * 1000 + b"1]", "more than 100 items", id="numbers"),
        pytest.param(b"[" + b"[]," * 1000 + b"1]", "more than 100 items", id="empty arrays"),
        pytest.param(b"[" + b"{}," * 1000 + b"1]", "more than 100 items", id="empty objects"),
        pytest.param(b"[" + b'"",' * 1000 + b"1]", "more than 100 items", id="texts"),
        pytest.param(b"[" * 50, "nested deeper than 8 levels", id="open brackets"),
        pytest.param(b"{" + b'"a":{' * 50, "nested deeper than 8 levels", id="open objects"),
        pytest.param(b"[" * 1000, "more than 100 items", id="many open brackets"),
        pytest.param(b" " * 10_001, "10001 bytes, the limit is 10000", id="spaces"),
    ],
)
def test_what_is_beyond_them_is_refused_without_being_decoded(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_json(content, JsonLimits(max_bytes=10_000, max_items=100, max_depth=8))


@pytest.mark.parametrize("text", ['"[[[[,,,,{{{{', "\\", '\\"', "\\\\,[", "\n\x00", "é\u2028"])
def test_what_stands_in_a_text_does_not_count(text: str) -> None:
    check_json(json.dumps([text * 100, text]).encode(), JsonLimits(max_bytes=10_000, max_items=2, max_depth=1))


def test_no_text_is_no_item() -> None:
    check_json(b"", JsonLimits(max_bytes=0, max_items=0, max_depth=0))
