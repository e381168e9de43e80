"""A large description is read in a process of its own, with the same result, and what that cannot do is refused."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.service.bodies import datasets
from edge_autotuner.errors import DatasetError
from edge_autotuner.server.jobs import dataset_check
from edge_autotuner.server.jobs.dataset_check import SMALL_BYTES, DatasetFacts, read_dataset
from edge_autotuner.server.problems import Problem
from edge_autotuner.wire.run_description import MAX_BYTES, parse_description

VALID = datasets()["valid"]()


def read(tmp_path: Path, content: bytes, **options: Any) -> DatasetFacts:
    path = tmp_path / "description"
    path.write_bytes(content)
    with path.open("rb") as file:
        return read_dataset(file, **options)


def test_a_large_one_says_the_same_from_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(VALID) > SMALL_BYTES
    described = parse_description(VALID)
    with monkeypatch.context() as patched:
        patched.setattr(dataset_check, "facts_of", lambda _content: pytest.fail("read in this process"))
        facts = read(tmp_path, VALID)
    assert facts == DatasetFacts(described.files(), described.n_bytes)


def test_a_small_one_needs_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_options: pytest.fail("a process was started"))
    with pytest.raises(DatasetError, match="invalid description of the dataset"):
        read(tmp_path, b"{}")


@pytest.mark.parametrize("name", sorted(set(datasets()) - {"valid"}))
def test_what_is_wrong_is_said_in_the_same_words(name: str, tmp_path: Path) -> None:
    content = datasets()[name]()
    with pytest.raises(DatasetError) as here:
        parse_description(content)
    with pytest.raises(DatasetError) as there:
        read(tmp_path, content)
    assert str(there.value) == str(here.value)


def test_too_many_bytes_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="at most 32 MB"):
        read(tmp_path, b" " * (MAX_BYTES + 1))


def test_a_process_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(Problem) as refusal:
        read(tmp_path, VALID, max_wait_s=0.0)
    assert refusal.value.status == 503
    assert refusal.value.headers["Retry-After"] == "60"


def test_a_process_that_breaks_down_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(DatasetError, match="too much memory"):
        read(tmp_path, VALID)


def test_no_file_at_all_is_a_mistake_of_the_program() -> None:
    with pytest.raises(io.UnsupportedOperation):
        read_dataset(io.BytesIO(b"{}"))


def test_the_process_loads_nothing_of_the_service() -> None:
    code = "import edge_autotuner.server.jobs.dataset_check, sys; print({'fastapi', 'sqlalchemy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_too_many_pieces_need_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_options: pytest.fail("a process was started"))
    with pytest.raises(DatasetError, match="more than"):
        read(tmp_path, b"[" + b"[]," * 500_000 + b"1]")
