"""Fields of foreign JSON have the type that is expected, or are named in an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from edge_autotuner.core.json_fields import MAX_WHOLE, FieldError, Fields, parse_json

NOT_NUMBERS = [None, True, "1", float("nan"), float("inf"), 10**400, [], {}]


def field(value: object) -> Fields:
    return Fields({"x": value}, "here")


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (lambda f: f.text("x"), "ä", "ä"),
        (lambda f: f.text("x", may_be_empty=True), "", ""),
        (lambda f: f.flag("x"), False, False),
        (lambda f: f.zero_or_one("x"), 1, True),
        (lambda f: f.zero_or_one("x"), False, False),
        (lambda f: f.number("x"), 3, 3.0),
        (lambda f: f.whole("x"), 3.0, 3),
        (lambda f: f.whole("x"), MAX_WHOLE, MAX_WHOLE),
        (lambda f: f.numbers("x"), [], []),
        (lambda f: f.numbers("x", 1), [0.5], [0.5]),
        (lambda f: f.wholes("x", 2), [1, 2.0], [1, 2]),
        (lambda f: f.rows("x", 2), [[1, 2]], [[1.0, 2.0]]),
        (lambda f: f.texts("x"), ["a"], ["a"]),
        (lambda f: f.text("y", default="z"), 1, "z"),
        (lambda f: f.inner("x").whole("y"), {"y": 1}, 1),
        (lambda f: [each.whole("y") for each in f.each("x")], [{"y": 1}], [1]),
    ],
)
def test_what_fits_is_returned(read: Callable[[Fields], Any], value: object, expected: object) -> None:
    found = read(field(value))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("read", "wrong"),
    [
        (lambda f: f.text("x"), [None, 1, True, "", [], {}]),
        (lambda f: f.flag("x"), [None, 0, 1, "true", "", []]),
        (lambda f: f.zero_or_one("x"), [None, 2, 0.5, "0", "", [], {}]),
        (lambda f: f.number("x"), NOT_NUMBERS),
        (lambda f: f.number("x", at_least=0, at_most=1), [-0.1, 1.1]),
        (lambda f: f.whole("x"), [*NOT_NUMBERS, 0.5, MAX_WHOLE + 1]),
        (lambda f: f.whole("x", at_least=0), [-1]),
        (lambda f: f.numbers("x"), [None, 1, "12", {}, *([value] for value in NOT_NUMBERS)]),
        (lambda f: f.numbers("x", 2), [[1], [1, 2, 3]]),
        (lambda f: f.wholes("x"), [[0.5], ["1"], [True], "1"]),
        (lambda f: f.rows("x", 2), [None, [1, 2], [[1]], [[1, "2"]], [{}]]),
        (lambda f: f.texts("x"), ["ab", [1], [""], [None]]),
        (lambda f: f.inner("x"), [None, 1, [], "a"]),
        (lambda f: list(f.each("x")), [None, {}, "ab", 1]),
    ],
)
def test_what_does_not_fit_is_named(read: Callable[[Fields], Any], wrong: list[object]) -> None:
    for value in wrong:
        with pytest.raises(FieldError, match=r"^here: 'x' must be .*, got ") as caught:
            read(field(value))
        assert len(str(caught.value)) < 250
    with pytest.raises(FieldError, match=r"'x' must be .*, got nothing"):
        read(Fields({}, "here"))


def test_items_and_inner_objects_say_where_they_are() -> None:
    fields = Fields({"a": {"b": [{"c": 1}, {"c": "x"}]}}, "")
    with pytest.raises(FieldError, match=r"^a\.b\[1\]: 'c' must be a whole number of 1 to 9, got 'x'$"):
        [each.whole("c", at_least=1, at_most=9) for each in fields.inner("a").each("b")]
    with pytest.raises(FieldError, match=r"^b\[0\]: expected an object with keys, got 3$"):
        list(Fields({"b": [3]}, "").each("b"))
    with pytest.raises(FieldError, match=r"^here: 'z' is unknown; expected x, y$"):
        Fields({"x": 1, "z": 2}, "here").refuse_unknown({"x", "y"})


def test_json_that_says_two_things_is_refused() -> None:
    assert parse_json(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    for text in ('{"a": 1, "a": 1}', '[{"b": {"a": 1, "c": 2, "a": 3}}]'):
        with pytest.raises(ValueError, match="the key 'a' is a duplicate in one object"):
            parse_json(text)
    with pytest.raises(ValueError, match="nested deeper"):
        parse_json("[" * 200_000)
    with pytest.raises(json.JSONDecodeError):
        parse_json("{")
