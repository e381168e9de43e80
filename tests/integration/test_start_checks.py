"""`serve --check` and `run --check` are the start without the work: both refuse the same, in the same words."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.runs.cli_runs import run_cli
from support.runs.run_samples import Samples
from unit.deployment.test_bundle import made

SERVE: dict[str, tuple[dict[str, Any], str]] = {
    "a missing model": ({"models": {"m": {"source": "no/model.onnx"}}}, "models.m: no/model.onnx does not exist"),
    "an unknown model": ({"models": {"m": {"source": "nobody"}}}, "models.m: "),
    "a model that is none": ({"models": {"m": {"source": "broken.onnx", "adapter": "yolox"}}}, "models.m: "),
    "an ONNX file without adapter": ({"models": {"m": {"source": "teacher.onnx"}}}, "models.m: "),
    "weights without input": ({"models": {"m": {"source": "tiny.safetensors"}}}, "set input_size"),
    "weights that are none": ({"models": {"m": {"source": "no.safetensors", "input_size": [64, 64]}}}, "models.m: "),
    "an impossible input": ({"models": {"m": {"source": "tiny.safetensors", "input_size": [65, 64]}}}, "models.m: "),
    "a damaged bundle": ({"models": {"m": {"source": "damaged"}}}, "models.m: "),
    "a folder that is no bundle": ({"models": {"m": {"source": "pictures"}}}, "models.m: "),
    "a missing certificate": ({"tls": {"certificate": "/nope.pem", "key": "/nope.key"}}, "/nope.pem"),
    "a certificate that is none": ({"tls": {"certificate": "file", "key": "file"}}, "tls: "),
    "a missing key of clients": ({"trusted_keys": ["/nope.pem"]}, "/nope.pem"),
    "a missing key of jobs": ({"jobs": {"signing_key": "/nope.pem"}, "trusted_keys": ["/nope.pem"]}, "/nope.pem"),
    "data that is a file": ({"data": "file"}, "is a file"),
    "data of somebody else": ({"data": "pictures"}, "is not empty, it contains e.g. one.png"),
    "an unknown database": ({"database_url": "oracle://host/name"}, "'oracle' databases are not supported"),
    "a damaged database": ({"data": "damaged-data"}, "file is not a database"),
    "a newer database": ({"data": "newer-data"}, "has schema version 9999"),
    "a foreign address": ({"host": "203.0.113.1"}, "cannot listen on 203.0.113.1"),
}
RUN: dict[str, tuple[list[str], str]] = {
    "a missing recording": (["nope.mp4"], "nope.mp4 does not exist"),
    "an unknown scheme": (["onvif://h/s"], "is not supported"),
    "an unknown edge model": (["clip.mp4", "--edge-model", "streat-nano"], "streat-nano"),
    "an edge model that is none": (["clip.mp4", "--edge-model", "no.safetensors"], "no.safetensors"),
    "an ONNX file as edge model": (["clip.mp4", "--edge-model", "teacher.onnx"], "teacher.onnx"),
    "a damaged bundle": (["clip.mp4", "--edge-model", "damaged"], "damaged"),
    "an impossible input": (["clip.mp4", "--input-size", "321x200"], "input_size"),
    "an unknown class": (["clip.mp4", "--classes", "zebra"], "zebra"),
    "an unknown teacher": (["clip.mp4", "--teacher", "nobody"], "nobody"),
    "a teacher that is none": (["clip.mp4", "--teacher", "broken.onnx", "--adapter", "yolox"], "broken.onnx"),
    "a service that is not there": (["clip.mp4", "--teacher", "remote:x"], "annotation.service.url"),
    "a missing ground truth": (["clip.mp4", "--ground-truth", "nope.json"], "nope.json"),
    "a ground truth that is none": (["clip.mp4", "--ground-truth", "file"], "file"),
    "a missing test source": (["clip.mp4", "--test-source", "nope.mp4"], "nope.mp4 does not exist"),
    "the recording as output": (["clip.mp4", "-o", "clip.mp4"], "is the source itself"),
    "a file as output": (["clip.mp4", "-o", "file"], "is a file"),
}


@pytest.fixture
def place(tmp_path: Path, samples: Samples, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, with a recording, models, and what is none."""
    monkeypatch.chdir(tmp_path)
    for name in ("file", "broken.onnx", "no.safetensors"):
        Path(name).write_text("somebody's")
    Path("pictures").mkdir()
    Path("pictures/one.png").write_text("somebody's")
    shutil.copy(samples.video, "clip.mp4")
    shutil.copy(samples.teacher, "teacher.onnx")
    shutil.copy(samples.edge_model, "tiny.safetensors")
    made(tmp_path / "finished", name="finished")
    made(tmp_path / "damaged", name="damaged").model_path.write_bytes(b"no model")
    for name in ("damaged-data", "newer-data"):
        Path(name).mkdir(mode=0o700)
    Path("damaged-data/service.sqlite").write_bytes(b"no database" * 100)
    with sqlite3.connect("newer-data/service.sqlite") as database:
        database.execute("CREATE TABLE schema_version (id INTEGER PRIMARY KEY, version INTEGER NOT NULL)")
        database.execute("INSERT INTO schema_version VALUES (1, 9999)")
    database.close()
    return tmp_path


def entries(folder: Path) -> list[tuple[Path, int]]:
    return sorted((path, path.stat().st_mode) for path in folder.rglob("*"))


def settings(**changes: Any) -> Path:
    path = Path("serve.yaml")
    path.write_text(yaml.safe_dump({"port": 0, "data": "data", "models": {"m": {"source": "finished"}}, **changes}))
    return path


@pytest.mark.parametrize("name", SERVE)
def test_the_check_of_a_service_refuses_what_its_start_refuses(name: str, place: Path) -> None:
    changes, words = SERVE[name]
    file = settings(**changes)
    before = entries(place)
    check = run_cli("serve", file, "--check")
    assert entries(place) == before, "a check writes nothing"
    assert words in check.err
    assert check.code not in {0, 70}
    start = run_cli("serve", file)  # would serve if it accepted this
    assert (check.code, check.complaints) == (start.code, start.complaints)


def test_a_port_that_is_taken(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file = settings(port=taken.getsockname()[1])
        check, start = run_cli("serve", file, "--check"), run_cli("serve", file)
    assert "cannot listen on 127.0.0.1" in check.err
    assert (check.code, check.complaints) == (start.code, start.complaints)


def test_a_service_that_can_start(place: Path) -> None:
    before = entries(place)
    check = run_cli("serve", settings(), "--check")
    assert check.code == 0, check.err
    assert "with the models m; data folder: data" in check.out
    assert {path for path, _ in entries(place)} - {path for path, _ in before} == {place / "serve.yaml"}


@pytest.mark.parametrize("name", RUN)
def test_the_check_of_a_run_refuses_what_its_start_refuses(name: str, place: Path) -> None:
    arguments, words = RUN[name]
    if "--edge-model" not in arguments:
        arguments = [*arguments, "--edge-model", "tiny.safetensors"]
    before = entries(place)
    check = run_cli("run", *arguments, "--check")
    assert entries(place) == before, "a check writes nothing"
    assert words in check.err
    assert check.code not in {0, 70}
    start = run_cli("run", *arguments)
    assert (check.code, check.complaints) == (start.code, start.complaints)
    assert entries(place) == before, "nor does a start that fails"


def test_a_run_that_can_start(place: Path, samples: Samples) -> None:
    before = entries(place)
    check = run_cli("run", "clip.mp4", "-o", "out", "-c", samples.config, "--check")
    assert check.code == 0, check.err
    assert "with the folder out" in check.out
    assert entries(place) == before
