"""`edge --check` is the start without the loop: what one refuses the other refuses, in the same words."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli_runs import run_cli
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.storage.lock import FolderLock

CAMERA = {"name": "a", "source": "rtsp://127.0.0.1:1/s"}
CANNOT_START: dict[str, tuple[dict[str, Any], str]] = {
    "a reserved name": ({"cameras": [CAMERA | {"name": "status.json"}]}, "cannot be called status.json"),
    "a reserved name in capitals": ({"cameras": [CAMERA | {"name": "STATUS.JSON"}]}, "cannot be called"),
    "a device's name": ({"cameras": [CAMERA | {"name": "nul"}]}, "cannot be called nul"),
    "names that differ in case": ({"cameras": [CAMERA, CAMERA | {"name": "A"}]}, "need different names"),
    "a missing file": ({"cameras": [CAMERA | {"source": "/nonexistent.mp4"}]}, "/nonexistent.mp4 does not exist"),
    "an unknown scheme": ({"cameras": [CAMERA | {"source": "onvif://h/s"}]}, "is no way to reach a camera"),
    "an unset variable": ({"cameras": [CAMERA | {"source": "rtsp://${NOPE_X}@h/s"}]}, "NOPE_X, which is not set"),
    "a variable as source": ({"cameras": [CAMERA | {"source": "${NOPE_X}"}]}, "NOPE_X, which is not set"),
    "no host": ({"cameras": [CAMERA | {"source": "rtsp:///s"}]}, "has no host"),
    "a broker's URL": ({"outputs": {"mqtt": {"host": "mqtt://127.0.0.1:1883"}}}, "without a scheme"),
    "a broker with port": ({"outputs": {"mqtt": {"host": "127.0.0.1:1883"}}}, "outputs.mqtt.host"),
    "a broker with login": ({"outputs": {"mqtt": {"host": "me@broker"}}}, "outputs.mqtt.host"),
    "a missing password file": (
        {"outputs": {"mqtt": {"host": "h", "username": "u", "password_file": "/nope"}}}, "cannot read /nope",
    ),
    "a missing token file": ({"outputs": {"webhook": {"url": "http://h/", "token_file": "/nope"}}}, "read /nope"),
    "a missing CA": ({"outputs": {"mqtt": {"host": "h", "tls": True, "ca_file": "/nope"}}}, "certificates"),
    "a folder that is a file": ({"folder": "file"}, "is a file"),
    "a folder below a file": ({"folder": "file/node"}, "is a file"),
    "lines onto the settings": ({"outputs": {"json_lines": {"path": "node.yaml"}}}, "is the settings file itself"),
    "lines onto a foreign file": ({"outputs": {"json_lines": {"path": "file"}}}, "exists already"),
    "lines into a folder": ({"outputs": {"json_lines": {"path": "pictures"}}}, "is a folder"),
    "the source as folder": ({"folder": "pictures", "cameras": [CAMERA | {"source": "pictures"}]}, "is the source"),
    "an unknown edge model": ({"run": {"edge_model": "streat-nano"}}, "streat-nano"),
    "a missing edge model": ({"run": {"edge_model": "/no/model.pt"}}, "/no/model.pt does not exist"),
    "a teacher as edge model": ({"run": {"edge_model": "deimv2-femto"}}, "cannot be trained"),
    "an unknown teacher": ({"run": {"annotation": {"teacher": "nobody"}}}, "nobody"),
    "a missing signing key": (
        {"registry": {"service": {"url": "https://h"}, "allow_unsigned": True, "signing_key": "/nope"}}, "/nope",
    ),
    "a missing trusted key": ({"registry": {"service": {"url": "https://h"}, "trusted_keys": ["/nope"]}}, "/nope"),
    "a missing registry token": (
        {"registry": {"service": {"url": "https://h", "token_file": "/nope"}, "allow_unsigned": True}}, "/nope",
    ),
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, with a file and a folder of pictures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("somebody's")
    (tmp_path / "pictures").mkdir()
    return tmp_path


def write(**settings: Any) -> Path:
    path = Path("node.yaml")
    path.write_text(yaml.safe_dump({"folder": "node", "cameras": [CAMERA], **settings}))
    return path


@pytest.mark.parametrize("name", CANNOT_START)
def test_the_check_refuses_what_the_start_refuses(name: str, place: Path) -> None:
    settings, words = CANNOT_START[name]
    file = write(**settings)
    before = sorted(place.rglob("*"))
    check = run_cli("edge", file, "--check")
    assert sorted(place.rglob("*")) == before, "a check writes nothing"
    assert words in check.err
    assert check.code not in {0, 70}
    start = run_cli("edge", file)  # would run on if it accepted this
    assert (check.code, check.complaints) == (start.code, start.complaints)


def test_a_folder_in_use(place: Path) -> None:
    file = write()
    Path("node").mkdir()
    lock = FolderLock(Path("node"))
    check = run_cli("edge", file, "--check")
    assert check.code == 6
    start = run_cli("edge", file)
    lock.release()
    assert (check.code, check.complaints) == (start.code, start.complaints)
    assert "is being written by another run" in check.err
    assert run_cli("edge", file, "--check").code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(place: Path) -> None:
    Path("closed").mkdir(mode=0o500)
    assert "cannot be written" in run_cli("edge", write(folder="closed/node"), "--check").err


def test_home_means_the_same_in_files_and_flags(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place))
    file = write(folder="~/node", outputs={"json_lines": {"path": "~/lines.json"}})
    assert f"everything is kept in {place}/node" in run_cli("edge", file, "--check").out
    assert f"everything is kept in {place}/b" in run_cli("edge", file, "--check", "--set", "folder=~/b").out
    config = NodeConfig(cameras=[CAMERA | {"source": "~/clip.mp4"}])  # type: ignore[arg-type, list-item]
    assert config.cameras[0].source == f"{place}/clip.mp4"


def test_probing_tells_who_answers(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as broker:
        port = broker.getsockname()[1]
        file = write(outputs={"mqtt": {"host": "127.0.0.1", "port": port}})
        assert run_cli("edge", file, "--check").code == 0
        stream = "run.capture.stream.first_retry_s=0.05"
        outcome = run_cli("edge", file, "--check", "--probe", "--set", stream)
    assert outcome.code == 2
    assert f"broker 127.0.0.1:{port}: answers" in outcome.out
    assert "no answer from camera a" in outcome.complaints[-1]
