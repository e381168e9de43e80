"""Whatever is done to a description of a dataset, reading it ends with a description or with one kind of error."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_autotuner.errors import DatasetError
from edge_autotuner.pipeline.remote_training.run_files import rebuild_run
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.wire.run_description import parse_description
from support.runs.described_runs import described

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], bytes]:
    _, contents, text = described(tmp_path_factory.mktemp("run"))
    return contents, text


def places(values: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to everything inside a JSON value."""
    keys = list(values) if isinstance(values, dict) else list(range(len(values))) if isinstance(values, list) else []
    return [(*path, key) for key in keys] + [place for key in keys for place in places(values[key], (*path, key))]


@settings(max_examples=150)
@given(data=st.data())
def test_a_changed_description_is_refused_or_stays_inside_its_folder(
    data: st.DataObject, sample: tuple[dict[str, bytes], bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    contents, text = sample
    values = json.loads(text)
    where = data.draw(st.sampled_from(places(values)))
    found = values
    for key in where[:-1]:
        found = found[key]
    found[where[-1]] = data.draw(ANYTHING)
    try:
        description = parse_description(json.dumps(values).encode())
    except DatasetError:
        return
    root: Path = tmp_path_factory.mktemp("job")
    with contextlib.suppress(DatasetError, KeyError):  # KeyError: a content that nobody has uploaded
        rebuild_run(description, contents.__getitem__, RunFolder(root / "run"), check=lambda _data, _size: None)
    assert [path.name for path in root.iterdir()] in ([], ["run"])


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DatasetError):
        parse_description(data)
