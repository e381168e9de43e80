"""A description that came from elsewhere is what it must be, or is refused with a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.errors import DatasetError
from edge_autotuner.wire import run_description
from edge_autotuner.wire.run_description import parse_description
from support.runs.described_runs import described

Values = dict[str, Any]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return described(tmp_path_factory.mktemp("run"))[2]


def test_a_description_survives_the_way(text: bytes) -> None:
    assert parse_description(text).to_bytes() == text


def _set(path: str, value: object) -> Callable[[Values], None]:
    def edit(values: Values) -> None:
        *names, last = path.split(".")
        found: Any = values
        for name in names:
            found = found[int(name) if name.isdigit() else name]
        found[int(last) if last.isdigit() else last] = value

    return edit


def _twice(path: str) -> Callable[[Values], None]:
    return lambda values: values[path].append(values[path][0])


BAD: list[tuple[str, Callable[[Values], None]]] = [
    ("a path for a picture", _set("frames.0.file", "../../etc/passwd")),
    ("a suffix with a path", _set("frames.0.suffix", ".jpg/../x")),
    ("an unknown suffix", _set("frames.0.suffix", ".exe")),
    ("no hash", _set("frames.0.sha256", "../x")),
    ("a size of nothing", _set("frames.0.size_wh", [0, 48])),
    ("a giant size", _set("frames.0.size_wh", [1 << 20, 48])),
    ("a negative index", _set("frames.0.index", -1)),
    ("a giant index", _set("frames.0.index", 10**30)),
    ("an index as text", _set("frames.0.index", "1")),
    ("true for an index", _set("frames.0.index", True)),
    ("a time as text", _set("frames.0.time_s", "0.5")),
    ("a score as text", _set("annotations.1.annotations.0.scores", ["0.5"])),
    ("a class as text", _set("annotations.1.annotations.0.class_ids", ["0"])),
    ("a fractional index", _set("frames.0.index", 1.5)),
    ("another split", _set("frames.0.split", "../train")),
    ("a background that is not there", _set("frames.0.background", 1)),
    ("a background before the first", _set("frames.0.background", -1)),
    ("a time without its zone", _set("frames.0.captured_at", "2026-01-01T00:00:00")),
    ("a time that is none", _set("frames.0.captured_at", "soon")),
    ("three corners", _set("frames.0.regions_xyxy", [[1, 2, 3]])),
    ("a box far away", _set("frames.0.regions_xyxy", [[1, 2, 3, 1e30]])),
    ("a share above one", _set("frames.0.motion_fraction", 1.5)),
    ("text with a line end", _set("frames.0.reason", "a\nb")),
    ("no frames", _set("frames", [])),
    ("one frame twice", _twice("frames")),
    ("a frame of nowhere", _set("annotations.1.annotations.0.frame", 99)),
    ("a score above one", _set("annotations.1.annotations.0.scores", [1.5])),
    ("scores for no boxes", _set("annotations.1.annotations.0.scores", [0.5, 0.5])),
    ("a class of nowhere", _set("annotations.1.annotations.0.class_ids", [2])),
    ("labels of another stage", _set("annotations.1.fingerprint", "dd" * 8)),
    ("one fingerprint twice", _twice("annotations")),
    ("no annotations", _set("annotations", [])),
    ("one class twice", _set("labels", ["car", "car"])),
    ("no classes", _set("labels", [])),
    ("an unknown event", _set("events.0.kind", "fire")),
    ("one picture replayed twice", _twice("replay")),
    ("a replayed class of nowhere", _set("replay.0.labels.class_ids", [7])),
    ("a weight above one", _set("replay.0.labels.weights", [2.0])),
    ("one content with two sizes", _set("replay.0.n_bytes", 1 << 40)),
    ("something nobody knows", _set("extra", 1)),
    ("a later version", _set("version", 2)),
    ("half a character", _set("source.name", "\ud800")),
]


@pytest.mark.parametrize("edit", [edit for _, edit in BAD], ids=[name for name, _ in BAD])
def test_what_makes_no_sense_is_refused(text: bytes, edit: Callable[[Values], None]) -> None:
    values = json.loads(text)
    edit(values)
    with pytest.raises(DatasetError, match="description of the dataset"):
        parse_description(json.dumps(values).encode())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("place", ["frames.0.time_s", "frames.0.regions_xyxy", "stages.capture.summary"])
def test_numbers_that_are_none_are_refused(text: bytes, number: str, place: str) -> None:
    values = json.loads(text)
    _set(place, "HERE" if place.endswith("time_s") else {"x": "HERE"})(values)
    hostile = json.dumps(values).replace('"HERE"', number).encode()
    with pytest.raises(DatasetError):
        parse_description(hostile)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 200_000, b'{"frames":' + b"9" * 5000])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DatasetError, match="description of the dataset"):
        parse_description(data)


def test_what_is_too_large_is_not_even_read(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_description, "MAX_BYTES", len(text) - 1)
    with pytest.raises(DatasetError, match="at most"):
        parse_description(text)


def test_files_are_all_that_is_named(tmp_path: Path) -> None:
    description, contents, _ = described(tmp_path)
    assert description.files() == {sha256: len(content) for sha256, content in contents.items()}
