"""JSON values of others are bounded before anything walks through them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_autotuner.core.json_limits import MAX_ITEMS, MAX_VALUE_DEPTH, check_json_values


def nested(depth: int, kind: str = "dict") -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if kind == "dict" else [value]
    return value


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_values_may_be_nested_so_deep_and_no_deeper(kind: str) -> None:
    check_json_values(nested(MAX_VALUE_DEPTH, kind))
    for depth in (MAX_VALUE_DEPTH + 1, 900, 100_000):
        with pytest.raises(ValueError, match="nested deeper than 16 levels"):
            check_json_values(nested(depth, kind))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0] * (MAX_ITEMS + 1), "more than 20000 values"),
        ({str(i): 0 for i in range(MAX_ITEMS + 1)}, "more than 20000 values"),
        ([[0] * 200] * 200, "more than 20000 values"),
        ({"a": "x" * 2001}, "at most 2000 characters"),
        ({"x" * 201: 1}, "printable names"),
        ({"a\x1b[2J": 1}, "printable names"),
        ({"a": "\u202eb"}, "printable text"),
        ({1: 1}, "printable names"),
        ({"a": float("nan")}, "not a JSON number"),
        ({"a": float("-inf")}, "not a JSON number"),
        ({"a": 1 << 70}, "a whole number of 71 bits"),
        ({"a": b"x"}, "a bytes is not a JSON value"),
    ],
)
def test_what_is_refused(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_json_values(value)


def test_the_usual_metrics_are_fine() -> None:
    value = {"ap": 0.5, "classes": {"person": {"ap": 0.1, "n": 3}}, "is_promoted": True, "why": None, "list": [1, "ä"]}
    check_json_values(value)
    assert json.loads(json.dumps(value)) == value
