"""A secret that is put into any setting, argument or address comes out of no command, log or file."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from edge_autotuner.config.node import NodeConfig
from edge_autotuner.config.run import RunConfig
from edge_autotuner.config.server import ServerConfig
from support.machine.settings_walk import dotted_keys
from support.runs.cli_runs import run_cli, run_script

MARK = "Zq7M4rK9"
ADDRESSES = [
    f"ffmpeg:rtsp://admin:{MARK}@127.0.0.1/s#video=h264",
    f'"rtsp://admin:{MARK}@127.0.0.1/s"',
    f"rtsp:/admin:{MARK}@127.0.0.1/s",
    f"rtsp//admin:{MARK}@127.0.0.1/s",
    f"admin:{MARK}@127.0.0.1:554/s",
    f"rtspx:http://127.0.0.1/?password={MARK}",
    f"onvif://admin:{MARK}@127.0.0.1/s",
    f"rtsp://admin:{MARK}@127.0.0.1/a b",
    f"rtsp://admin:{MARK}/x@127.0.0.1/s",
    f"rtsp://admin:{MARK}#127.0.0.1/s",
    f"rtsp://admin:{MARK}@127.0.0.1:99999/s",
    f"RTSP://admin:{MARK}@/s",
]
COMMANDS = [
    ("watch", "{}"),
    ("run", "{}", "-o", "run"),
    ("capture", "{}", "-o", "run"),
    ("detect", "{}", "clip.mp4"),
    ("detect", "bundle", "{}"),
    ("edge", "{}", "--check"),
    ("config", "show", "-c", "{}"),
    ("models", "show", "{}"),
    ("registry", "cameras", "--url", "{}"),
    ("jobs", "list", "--url", "{}"),
    ("tokens", "list", "--database", "{}"),
    ("audit", "show", "--database", "{}"),
    ("keys", "show", "{}"),
    ("keys", "verify", "{}", "--trust", "{}"),
    ("replay", "show", "{}"),
    ("forget", "{}"),
    ("report", "{}"),
    ("simulate", "{}"),
    ("watch", "clip.mp4", "--nonsense={}"),
    ("watch", "clip.mp4", "--every", "{}"),
    ("watch", "clip.mp4", "extra", "{}"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_shows_the_secret_of_an_argument(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    n_addresses = len(ADDRESSES) if command[0] == "watch" else 2
    for address in ADDRESSES[:n_addresses]:
        outcome = run_cli("--debug", *(word.format(address) for word in command))
        assert outcome.code != 0
        assert MARK not in outcome.out + outcome.err, address


@pytest.mark.parametrize("value", [f"rtsp://admin:{MARK}@127.0.0.1/s", f"admin:{MARK}@h", f"http://h/?token={MARK}"])
@pytest.mark.parametrize(
    ("model", "command"),
    [
        (RunConfig, ("config", "show")),
        (RunConfig, ("run", "clip.mp4", "--dry-run")),
        (NodeConfig, ("edge", "node.yaml", "--check")),
        (ServerConfig, ("serve", "--dry-run")),
    ],
)
def test_no_command_shows_the_secret_of_a_setting(
    model: type[RunConfig | NodeConfig | ServerConfig],
    command: tuple[str, ...],
    value: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    camera = {"name": "a", "source": f"rtsp://admin:{MARK}@127.0.0.1/s"}
    Path("node.yaml").write_text(yaml.safe_dump({"cameras": [camera]}))
    every = [argument for key, _ in dotted_keys(model) for argument in ("--set", f"{key}={value}")]
    outcome = run_cli(*command, *every)
    assert outcome.code == 2
    assert outcome.err.count("got") > 10  # each wrong setting is shown
    assert MARK not in outcome.out + outcome.err
    texts = {"edge_model": RunConfig, "folder": NodeConfig, "database_url": ServerConfig}  # any text is right there
    for key in (key for key, of in texts.items() if of is model):
        outcome = run_cli(*command, "--set", f"{key}={value}")
        assert MARK not in outcome.out + outcome.err


@pytest.mark.parametrize("name", ["password", "token", "api_key", "outputs.mqtt.password", "annotation.service.token"])
def test_a_secret_in_a_setting_that_does_not_exist(name: str) -> None:
    outcome = run_cli("config", "show", "--set", f"{name}={MARK}")
    assert outcome.code == 2
    assert MARK not in outcome.out + outcome.err


@pytest.mark.parametrize("setting", ["password_file", "token_file"])
def test_a_secret_where_its_file_is_expected(setting: str, tmp_path: Path) -> None:
    output = {
        "password_file": {"mqtt": {"host": "127.0.0.1", "username": "u", "password_file": MARK}},
        "token_file": {"webhook": {"url": "http://127.0.0.1:1/x", "token_file": MARK}},
    }[setting]
    file = tmp_path / "node.yaml"
    camera = {"name": "a", "source": "rtsp://127.0.0.1:1/s"}
    file.write_text(yaml.safe_dump({"folder": str(tmp_path / "n"), "cameras": [camera], "outputs": output}))
    outcome = run_script("edge", file, cwd=tmp_path)
    assert outcome.code == 2
    assert "file" in outcome.err
    assert MARK not in outcome.out + outcome.err


def test_a_running_node_writes_no_secret(tmp_path: Path) -> None:
    hosts = (f"rtsp://admin:{MARK}@127.0.0.1:1/live?token={MARK}", f"http://admin:{MARK}@127.0.0.1:1/{MARK}&key={MARK}")
    cameras = [{"name": f"c{i}", "source": address.replace(f"/{MARK}", "/v")} for i, address in enumerate(hosts)]
    webhook = {"url": f"http://127.0.0.1:1/{MARK}?token={MARK}"}
    settings = {"cameras": cameras, "folder": str(tmp_path / "node"), "outputs": {"webhook": webhook}}
    file = tmp_path / "node.yaml"
    file.write_text(yaml.safe_dump(settings))
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        command = [sys.executable, "-m", "edge_autotuner.cli", "--debug", "edge", str(file)]
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, cwd=tmp_path)
        try:
            while process.poll() is None and not (tmp_path / "node" / "status.json").is_file():
                time.sleep(0.05)
        finally:
            process.terminate()
            process.wait(60)
    file.unlink()  # where the secret has to be
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert MARK.encode() not in path.read_bytes(), path
    assert (tmp_path / "node" / "status.json").is_file(), err.read_text()
