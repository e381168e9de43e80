"""`edge --check` is the start without the loop: what one refuses the other refuses, in the same words."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_autotuner.cli.edge_screen import check_start, read_node_settings
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.storage.lock import FolderLock
from support.runs.cli_runs import CliProcess, run_cli
from support.runs.run_samples import Samples
from unit.deployment.test_bundle import made

CAMERA = {"name": "a", "source": "rtsp://127.0.0.1:1/s"}
CANNOT_START: dict[str, tuple[dict[str, Any], str]] = {
    "a reserved name": ({"cameras": [CAMERA | {"name": "status.json"}]}, "camera name status.json is reserved"),
    "a reserved name in capitals": ({"cameras": [CAMERA | {"name": "STATUS.JSON"}]}, "is reserved for a file"),
    "a device's name": ({"cameras": [CAMERA | {"name": "nul"}]}, "camera name nul is reserved"),
    "names that differ in case": ({"cameras": [CAMERA, CAMERA | {"name": "A"}]}, "names must be unique"),
    "a missing file": ({"cameras": [CAMERA | {"source": "/nonexistent.mp4"}]}, "/nonexistent.mp4 does not exist"),
    "an unknown scheme": ({"cameras": [CAMERA | {"source": "onvif://h/s"}]}, "is not supported"),
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
    "lines onto a foreign file": ({"outputs": {"json_lines": {"path": "file"}}}, "already exists"),
    "lines into a folder": ({"outputs": {"json_lines": {"path": "pictures"}}}, "is a folder"),
    "the source as folder": ({"folder": "pictures", "cameras": [CAMERA | {"source": "pictures"}]}, "is the source"),
    "lines onto the status": ({"outputs": {"json_lines": {"path": "node/status.json"}}}, "used by the node itself"),
    "lines onto a camera": ({"outputs": {"json_lines": {"path": "node/A"}}}, "used by the node itself"),
    "lines below a camera": ({"outputs": {"json_lines": {"path": "node/a/batches/x"}}}, "used by the node itself"),
    "lines onto a device": ({"outputs": {"json_lines": {"path": "/dev/null"}}}, "is not a file"),
    "a hook without host": ({"outputs": {"webhook": {"url": "http://"}}}, "needs a host"),
    "a hook with a login": ({"outputs": {"webhook": {"url": "https://me:secret@h/"}}}, "must not contain a login"),
    "a hook at no port": ({"outputs": {"webhook": {"url": "http://h:99999/"}}}, "1 to 65535"),
    "a hook that is no address": ({"outputs": {"webhook": {"url": "http://[::1/"}}}, "is not valid"),
    "Home Assistant's topic": ({"outputs": {"mqtt": {"host": "h", "topic": "homeassistant"}}}, "Home Assistant"),
    "a file as camera": ({"folder": ".", "cameras": [CAMERA | {"name": "file"}]}, "was not created by a node"),
    "pictures as camera": ({"folder": ".", "cameras": [CAMERA | {"name": "photos"}]}, "was not created by a node"),
    "a source in its camera": (
        {"folder": "taken", "cameras": [CAMERA | {"source": "taken/a/batches/clip.mp4"}]}, "that the node manages",
    ),
    "a bundle as folder": ({"folder": "bundle/node"}, "is in the bundle"),
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
    "an edge model that is none": ({"run": {"edge_model": "file.safetensors"}}, "file.safetensors"),
    "an ONNX file as edge model": ({"run": {"edge_model": "file.onnx"}}, "file.onnx"),
    "a folder as edge model": ({"run": {"edge_model": "pictures"}}, "pictures"),
    "a folder that is no bundle": ({"learns": False, "run": {"edge_model": "pictures"}}, "pictures"),
    "a damaged bundle": ({"learns": False, "run": {"edge_model": "damaged"}}, "damaged"),
    "an impossible input": ({"run": {"edge_model": "tiny.safetensors", "input_size": [321, 200]}}, "input_size"),
    "an unknown class": ({"run": {"edge_model": "tiny.safetensors", "annotation": {"classes": ["zebra"]}}}, "zebra"),
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, samples: Samples, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, with a file, a folder of pictures, models and what is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("somebody's")
    (tmp_path / "file.safetensors").write_text("somebody's")
    (tmp_path / "pictures").mkdir()
    shutil.copy(samples.teacher, "file.onnx")
    shutil.copy(samples.edge_model, "tiny.safetensors")
    made(tmp_path / "finished", name="finished")
    bundle = made(tmp_path / "damaged", name="damaged")
    bundle.model_path.write_bytes(b"no model")
    for path in ("photos/1.jpg", "taken/a/batches/clip.mp4", "bundle/bundle.json"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("{}")
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


def test_a_teacher_that_does_not_open_is_no_reason_not_to_watch(place: Path) -> None:
    run = {"edge_model": "tiny.safetensors", "annotation": {"teacher": "broken.onnx", "adapter": "yolox"}}
    Path("broken.onnx").write_text("no model")
    file = write(run=run)
    check = run_cli("edge", file, "--check")
    assert check.code == 7
    assert "camera a: " in check.complaints[-1]
    assert "broken.onnx" in check.complaints[-1]
    check_start(read_node_settings(file, None), file)


def test_a_recording_that_is_not_there_yet_is_waited_for(place: Path, samples: Samples) -> None:
    """On a drive that is mounted late, for example: the other cameras are watched meanwhile."""
    cameras = [{"name": name, "source": f"{name}.mp4"} for name in ("early", "late")]
    shutil.copy(samples.video, "early.mp4")
    quick = {"capture": {"stream": {"first_retry_s": 0.1, "longest_retry_s": 0.2}}}
    run = {"edge_model": "finished", **quick}
    file = write(cameras=cameras, learns=False, run=run, outputs={"json_lines": {"path": "lines.json"}})
    check = run_cli("edge", file, "--check")
    assert (check.code, check.complaints[-1].count("late.mp4 does not exist")) == (2, 1)
    node = CliProcess(place / "node-log", "edge", file)
    status = place / "node" / "status.json"
    node.wait_until(lambda: status.exists() and "late.mp4" in (of(status, "late")["problem"] or ""))
    node.wait_until(lambda: of(status, "early")["n_frames"] > 0)
    os.link("early.mp4", "late.mp4")
    done = node.end()
    assert done.code == 0, done.err
    assert "late.mp4 does not exist" in done.err
    assert of(status, "late")["n_frames"] == of(status, "early")["n_frames"] == 90


def of(status: Path, camera: str) -> dict[str, Any]:
    return dict(json.loads(status.read_text())["cameras"][camera])


def test_nothing_can_be_watched(place: Path) -> None:
    cameras = [{"name": name, "source": f"/nonexistent/{name}.mp4"} for name in "ab"]
    file = write(cameras=cameras, learns=False, run={"edge_model": "finished"})
    check, start = run_cli("edge", file, "--check"), run_cli("edge", file)
    assert (check.code, check.complaints) == (start.code, start.complaints)
    assert "camera a" in start.complaints[-1]
    assert "camera b" in check.err


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
    assert "cannot write to" in run_cli("edge", write(folder="closed/node"), "--check").err


def test_home_means_the_same_in_files_and_flags(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place))
    file = write(folder="~/node", outputs={"json_lines": {"path": "~/lines.json"}})
    assert f"data folder: {place}/node" in run_cli("edge", file, "--check").out
    assert f"data folder: {place}/b" in run_cli("edge", file, "--check", "--set", "folder=~/b").out
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
