"""One YAML everywhere: what scalars mean, what is refused, and how much there may be."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.cli.settings import parse_pairs
from edge_autotuner.config.settings_text import MAX_BYTES, dump_yaml, read_yaml
from edge_autotuner.errors import ConfigError
from helpers import REPOSITORY
from support.runs.cli_runs import run_cli

SCALARS: list[tuple[str, Any]] = [
    ("5:20", "5:20"), ("1:30", "1:30"), ("6:40", "6:40"), ("12:30:45", "12:30:45"), ("0123", "0123"), ("007", "007"),
    ("yes", "yes"), ("No", "No"), ("on", "on"), ("off", "off"), ("y", "y"), ("true", True), ("False", False),
    ("1_000", "1_000"), ("0o17", "0o17"), ("0x1f", 31), ("0b11", "0b11"), ("1e3", 1000.0), ("1.5e-3", 0.0015),
    (".5", 0.5), ("5.", 5.0), ("-3", -3), ("+3", 3), ("0", 0), ("-0.5", -0.5), (".inf", math.inf), ("~", None),
    ("null", None),
    ("", None), ("2024-01-01", "2024-01-01"), ("'5'", "5"), ('"no"', "no"), ("=", "="), ("416x320", "416x320"),
]  # fmt: skip


LAUGHS = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}' if i else 'x'] * 9)}]" for i in range(30))
MERGED_LAUGHS = "a0: &a0 {b: 1}\n" + "\n".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 20)
)


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_a_scalar_means_the_same_everywhere(text: str, value: object) -> None:
    found = (read_yaml(f"a: {text}", where="f")["a"], parse_pairs([f"a={text}"])["a"])
    assert found == (value, value)
    assert {type(each) for each in found} == {type(value)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1: x", "the key 1 is not text; quote it"),
        ("null: x", "the key null is not text"),
        ("? [a]\n: b", "a list or mapping used as a key is not text"),
        ("a: 1\nb: 2\na: 3", "f:3: not valid YAML: duplicate key 'a'"),
        ("!!python/object/apply:os.system [x]", "could not determine a constructor for the tag"),
        ("a: &a [*a]", "an alias refers to a value that contains it"),
        ("a: *b", "found undefined alias"),
        ("a: [", "f:1: not valid YAML"),
        ("a: [" + "[" * 2000, "nested deeper than 32 levels"),
        ("a: \0", "not valid YAML"),
        ("[" * 100_000, "nested deeper than 32 levels"),
        ("a: " + "{a: " * 5000, "nested deeper than 32 levels"),
        ("- 1\n" * 60_000, "more than 20000 values"),
        ("k: " + "x" * MAX_BYTES, "larger than 256 KiB"),
        (LAUGHS, "more than 20000 values"),
        (MERGED_LAUGHS, "more than 20000 values"),
    ],
)  # fmt: skip
def test_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match="f") as caught:
        read_yaml(text, where="f")
    assert words in str(caught.value)


def test_aliases_and_merges_are_understood() -> None:
    text = "base: &base {a: 1, b: 2}\nother: {<<: *base, b: 3}\nagain: *base"
    assert read_yaml(text, where="f") == {
        "base": {"a": 1, "b": 2},
        "other": {"a": 1, "b": 3},
        "again": {"a": 1, "b": 2},
    }


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.from_regex(r"\A[-+]?[0-9.:_]{1,4}[eE]?[-+]?[0-9]{0,2}\Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(VALUES)
def test_what_is_written_is_read_again(value: object) -> None:
    assert read_yaml(dump_yaml({"a": value}), where="f") == {"a": value}


def test_files_are_read_like_set(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    for key, text in (("capture.train_frames", "5:20"), ("capture.stream.duration_s", "1:30"), ("input_size", "6:40")):
        *parents, last = key.split(".")
        nested: Any = {last: "TEXT"}
        for parent in reversed(parents):
            nested = {parent: nested}
        file.write_text(yaml.safe_dump(nested).replace("TEXT", text))
        by_file, by_flag = run_cli("config", "show", "-c", file), run_cli("config", "show", "--set", f"{key}={text}")
        assert (by_file.code, by_file.out) == (by_flag.code, by_flag.out)
        assert by_file.err.replace(f"{file}:", "").lstrip("0123456789: ")[-60:] == by_flag.err[-60:]


def test_a_huge_file_and_a_device_are_refused_at_once(tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    with file.open("wb") as handle:
        handle.truncate(10**11)
    for path in (file, Path("/dev/zero")):
        outcome = run_cli("config", "show", "-c", path)
        assert outcome.code == 2
        assert "larger than 256 KiB" in outcome.err


def test_nothing_else_reads_yaml() -> None:
    for path in (REPOSITORY / "src").rglob("*.py"):
        if path.name != "settings_text.py":
            text = path.read_text(encoding="utf-8")
            assert not any(f"yaml.{word}" in text for word in ("load", "safe_load", "compose", "parse(")), path
