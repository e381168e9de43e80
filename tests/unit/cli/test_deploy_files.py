"""The files for systemd and Docker name commands, settings and extras that exist."""

from __future__ import annotations

import re
import tomllib
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_autotuner.config import resolve_settings
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.config.server import ServerConfig
from helpers import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))


def unit(path: Path) -> RawConfigParser:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8")))


def test_the_settings_are_understood() -> None:
    node = resolve_settings(NodeConfig, DEPLOY / "node.yaml", {})
    server = resolve_settings(ServerConfig, DEPLOY / "serve.yaml", {})
    assert node.run_of(node.cameras[0]).annotation.remote_models == tuple(server.models)
    url = node.run.annotation.service.url
    assert url is not None
    assert url.endswith(f":{server.port}")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_a_command_with_its_settings(path: Path) -> None:
    service = unit(path)["Service"]
    program, command, settings = service["ExecStart"].split()
    assert Path(program).name == "edge-autotuner"
    assert path.stem == f"edge-autotuner-{command}"
    assert (DEPLOY / Path(settings).name).is_file()
    text = (DEPLOY / Path(settings).name).read_text(encoding="utf-8")
    assert f"/var/lib/{service['StateDirectory']}" in text, "the only place where the service may write"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_gives_no_rights_that_it_does_not_need(path: Path) -> None:
    service = unit(path)["Service"]
    wanted = {"DynamicUser": "yes", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "CapabilityBoundingSet": ""}
    assert {name: service.get(name) for name in wanted} == wanted


def test_the_images_install_extras_that_exist() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    for found in re.findall(r"'\.\[([a-z,]+)\]'", dockerfile):
        assert set(found.split(",")) <= set(extras)
    for source in re.findall(r"^COPY (.+) \./?", dockerfile, re.MULTILINE):
        assert all((REPOSITORY / name).exists() for name in source.split())


def test_compose_builds_the_stages_of_the_dockerfile_and_keeps_what_matters() -> None:
    stages = set(re.findall(r"^FROM .+ AS (\w+)$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    for service in compose()["services"].values():
        assert service["build"]["target"] in stages
        assert service["read_only"]
        volume = next(entry for entry in service["volumes"] if entry.endswith(":/var/lib/edge-autotuner"))
        assert volume.split(":")[0] in compose()["volumes"]
