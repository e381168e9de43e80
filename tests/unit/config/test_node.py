"""Settings of an edge node: what differs for one camera, and what does not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config import resolve_settings
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.errors import ConfigError

CAMERA = {"name": "gate", "source": "gate.mp4"}
LINE = {"door": [[0, 0], [1, 1]]}
ZONE = [[0, 0], [1, 0], [1, 1]]
SERVICE = {"url": "https://teacher.example"}


def node(**values: Any) -> NodeConfig:
    return NodeConfig.model_validate({"cameras": [CAMERA]} | values)


def test_a_camera_is_enough() -> None:
    config = node()
    assert config.run_of(config.cameras[0]) == config.run
    assert config.outputs.json_lines is not None, "somebody must hear of the detections"


def test_one_camera_may_differ() -> None:
    changes = {"annotation": {"min_score": 0.4}, "input_size": "640x384"}
    config = node(
        cameras=[CAMERA, {"name": "yard", "source": "b", "settings": changes}],
        run={"annotation": {"min_score": 0.5, "tile_grid": 3}},
    )
    gate, yard = (config.run_of(camera) for camera in config.cameras)
    assert (gate.annotation.min_score, gate.annotation.tile_grid) == (0.5, 3)
    assert (yard.annotation.min_score, yard.annotation.tile_grid, yard.input_size) == (0.4, 3, (640, 384))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"registry": {"service": {}, "allow_unsigned": True}}, "service.url is required", id="no address"),
        pytest.param({"registry": {"service": SERVICE}}, "set trusted_keys", id="trusts nobody"),
        pytest.param({"trains_on": "service"}, "trains_on: service needs registry", id="no service to train at"),
        pytest.param(
            {"trains_on": "service", "learns": False, "registry": {"service": SERVICE, "allow_unsigned": True}},
            "needs learns: true",
            id="nothing to train",
        ),
        pytest.param(
            {"outputs": {"mqtt": {"host": "b", "password_file": "p"}}}, "needs a username", id="password only"
        ),
        pytest.param(
            {"outputs": {"mqtt": {"host": "b", "ca_file": "c"}}}, "needs tls: true", id="authority without tls"
        ),
        pytest.param(
            {"outputs": {"mqtt": {"host": "b"}}, "detect": {"max_rate_hz": 0.2}}, "clear_after_s must be", id="toggles"
        ),
        pytest.param({"outputs": {"webhook": {"url": "ftp://x/"}}}, "outputs.webhook.url", id="not http"),
        pytest.param(
            {"outputs": {"mqtt": {"host": "b", "topic": "homeassistant"}}}, "is used by Home Assistant", id="birth"
        ),
        pytest.param(
            {"outputs": {"mqtt": {"host": "b", "topic": "x", "discovery_topic": "x"}}}, "topic x is used by", id="mixed"
        ),
        pytest.param(
            {"cameras": [CAMERA | {"lines": LINE}], "tracking": {"enabled": False}},
            "tracking.enabled: true",
            id="no ids",
        ),
        pytest.param({"cameras": [CAMERA | {"lines": LINE, "zones": {"door": ZONE}}]}, "a line and a zone", id="twice"),
        pytest.param({"cameras": [CAMERA | {"lines": {"a": [[0, 0], [0, 0]]}}]}, "two different points", id="a point"),
        pytest.param({"cameras": [CAMERA | {"zones": {"a": ZONE[:2]}}]}, "zones.a", id="two corners"),
        pytest.param({"cameras": [CAMERA | {"zones": {"a": [*ZONE, [640, 0]]}}]}, "zones.a", id="pixels"),
        pytest.param({"cameras": [CAMERA | {"zones": {"a": [[0, 0], [0.5, 0.5], [1, 1]]}}]}, "no area", id="flat"),
        pytest.param({"cameras": [CAMERA | {"zones": {"a": [[0.1, 0.1]] * 3}}]}, "no area", id="a point as a zone"),
        pytest.param(
            {"cameras": [CAMERA | {"zones": {"a": [[0, 0], [1, 0.9], [1, 0], [0, 0.8]]}}]},
            "crosses itself",
            id="corners out of order",
        ),
        pytest.param({"cameras": [CAMERA | {"lines": {"a/b": LINE["door"]}}]}, "lines", id="name of a path"),
        pytest.param({"cameras": {"gate": {"source": "a"}}}, "cameras: expected a list", id="as in Frigate"),
        pytest.param({"cameras": [CAMERA, CAMERA | {"name": "GATE"}]}, "names must be unique", id="one folder for two"),
    ],
)
def test_what_does_not_go_together(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_settings(NodeConfig, None, {"cameras": [CAMERA], **values})


def test_a_mistake_is_shown_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    path.write_text("cameras:\n  - name: gate\n    source: a\n  - name: a/b\n    source: b\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"node\.yaml:4: cameras\.1\.name: .* \(got 'a/b'\)"):
        resolve_settings(NodeConfig, path, {})


def test_a_wrong_item_is_one_mistake(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    path.write_text("cameras:\n  - {name: a b, source: a}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        resolve_settings(NodeConfig, path, {})
    assert "cameras.0.name: expected" in str(caught.value)
    assert "at least 1 item" not in str(caught.value)


def test_a_pair_changes_one_camera(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    path.write_text("cameras:\n  - {name: a, source: a}\n  - {name: b, source: b}\n", encoding="utf-8")
    config = resolve_settings(NodeConfig, path, {"cameras.1.source": "c"})
    assert [camera.source for camera in config.cameras] == ["a", "c"]


def test_a_dash_is_standard_output() -> None:
    lines = node(outputs={"json_lines": {"path": "-"}}).outputs.json_lines
    assert lines is not None
    assert lines.path is None
