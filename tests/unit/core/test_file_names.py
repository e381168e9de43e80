"""Names of any bytes become text that every program can read, and back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.core.file_names import name_of_text, path_for_library, shortened, text_of_name
from edge_autotuner.core.printable import is_printable

_NAMES = st.binary(max_size=40).map(os.fsdecode) | st.text("\\xE9e0a\n\u202e", max_size=12)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", ""),
        ("street.mp4", "street.mp4"),
        ("café \U0001f600.mp4", "café \U0001f600.mp4"),
        ("caf\udce9.mp4", r"caf\xe9.mp4"),
        (r"a\b.mp4", r"a\b.mp4"),
        (r"caf\xe9.mp4", r"caf\\xe9.mp4"),
        ("a\\b\udcff", r"a\\b\xff"),
        ("a\nb\x1b", r"a\x0ab\x1b"),
        ("a\u202eb", r"a\xe2\x80\xaeb"),
    ],
    ids=["empty", "plain", "unicode", "latin-1", "backslash", "looks like a byte", "both", "controls", "reversed"],
)
def test_text(name: str, text: str) -> None:
    assert text_of_name(name) == text
    assert name_of_text(text) == name


@given(_NAMES)
def test_the_way_back(name: str) -> None:
    text = text_of_name(name)
    assert json.loads(json.dumps(text, ensure_ascii=False).encode("utf-8")) == text
    assert is_printable(text)
    assert name_of_text(text) == name


@given(_NAMES, _NAMES)
def test_different_names_have_different_texts(one: str, other: str) -> None:
    assert (text_of_name(one) == text_of_name(other)) == (one == other)


@pytest.mark.parametrize("name", ["a.bin", "a\udce9.bin"])
def test_libraries_get_a_path_that_they_can_open(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"content")
    with path_for_library(path) as readable:
        readable.encode("utf-8")
        assert Path(readable).read_bytes() == b"content"


@pytest.mark.parametrize("name", ["", "a.json", "x" * 250 + ".json", "é" * 127, "\udce9" * 255])
def test_shortened_names_leave_room(tmp_path: Path, name: str) -> None:
    short = shortened(name)
    assert name.startswith(short[:-1])
    (tmp_path / f".{short}.1234567-123456789012345.tmp").write_bytes(b"")
