"""All outputs together: what is opened, and what is not loaded when it is not wanted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_autotuner.config.node import JsonLinesConfig, MqttConfig, OutputsConfig, WebhookConfig
from edge_autotuner.errors import ConfigError, MissingDependency
from edge_autotuner.node.outputs import Outputs
from helpers import REPOSITORY
from support.service.output_samples import FRONT, LABELS, make_report

UNREACHABLE = MqttConfig(host="127.0.0.1", port=1)


def test_every_output_gets_every_report(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    config = OutputsConfig(
        json_lines=JsonLinesConfig(path=path), mqtt=UNREACHABLE, webhook=WebhookConfig(url="http://127.0.0.1:1/")
    )
    with Outputs(config, [FRONT]) as outputs:
        outputs.announce("front", LABELS)
        outputs.take(make_report(0))
        assert json.loads(path.read_text())["camera"] == "front"
        assert [status.name for status in outputs.status] == ["json_lines", "mqtt", "webhook"]
    lines, mqtt, webhook = outputs.status
    assert (lines.n_sent, lines.n_dropped) == (1, 0)
    assert (mqtt.n_sent, mqtt.n_dropped) == (0, 1)
    assert (webhook.n_sent, webhook.n_dropped) == (0, 1)


def test_no_output_is_fine() -> None:
    with Outputs(OutputsConfig(), [FRONT]) as outputs:
        outputs.take(make_report())
        assert outputs.status == ()


@pytest.mark.parametrize("name", ["mqtt", "webhook"])
def test_a_report_of_an_unknown_camera_is_a_mistake(name: str) -> None:
    wanted = {"mqtt": UNREACHABLE, "webhook": WebhookConfig(url="http://127.0.0.1:1/")}[name]
    config = OutputsConfig.model_validate({name: wanted})
    with Outputs(config, [FRONT]) as outputs, pytest.raises(ValueError, match="no camera back"):
        outputs.take(make_report(camera="back"))


def test_what_was_opened_is_closed_when_another_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(
        "edge_autotuner.node.outputs.json_lines.JsonLinesFile.close", lambda output: closed.append(output.name)
    )
    config = OutputsConfig(
        json_lines=JsonLinesConfig(path=tmp_path / "seen.jsonl"),
        mqtt=MqttConfig(host="broker", username="node", password_file=tmp_path / "missing"),
    )
    with pytest.raises(ConfigError, match="missing"):
        Outputs(config, [FRONT])
    assert closed == ["json_lines"]


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        pytest.param("http://", "needs a host", id="no host"),
        pytest.param("https://user:hunter2@hook/", "use token_file", id="login"),
        pytest.param("http://hook:port/", "is not valid", id="port"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_it(url: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        Outputs(OutputsConfig(webhook=WebhookConfig(url=url)), [FRONT])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "config"),
    [
        pytest.param("paho", OutputsConfig(mqtt=UNREACHABLE), id="mqtt"),
        pytest.param("httpx2", OutputsConfig(webhook=WebhookConfig(url="http://hook/")), id="webhook"),
    ],
)
def test_a_missing_library_is_named_with_the_command(
    module: str, config: OutputsConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == module or "autotuner.client" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependency, match=r"pip install 'edge-autotuner\[edge\]'"):
        Outputs(config, [FRONT])


USE_LINES_ONLY = """
import sys
from pathlib import Path
from edge_autotuner.config.node import CameraConfig, JsonLinesConfig, OutputsConfig
from edge_autotuner.node.outputs import Outputs
camera = CameraConfig(name="front", source="rtsp://camera")
Outputs(OutputsConfig(json_lines=JsonLinesConfig(path=Path(sys.argv[1]))), [camera]).close()
print(sorted({"paho", "httpx2", "httpcore2", "torch", "fastapi"} & set(sys.modules)))
"""


def test_libraries_of_outputs_that_are_not_wanted_are_not_loaded(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(REPOSITORY / "src"), "PATH": ""}
    command = [sys.executable, "-c", USE_LINES_ONLY, str(tmp_path / "seen.jsonl")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
