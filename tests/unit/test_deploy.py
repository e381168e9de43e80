"""The files of `deploy` fit together: the user that systemd or the container gives can read what the settings name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from edge_autotuner.config.node import NodeConfig
from edge_autotuner.config.server import ServerConfig
from edge_autotuner.config.settings_text import read_yaml
from edge_autotuner.models import find_model
from helpers import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
FILES = {"node.yaml": "edge-autotuner-edge.service", "serve.yaml": "edge-autotuner-serve.service"}
SECRET = re.compile(r"(^|_)(key|token_file|password_file)$")


def settings(name: str) -> dict[str, Any]:
    values: dict[str, Any] = read_yaml((DEPLOY / name).read_text(encoding="utf-8"), where=name)
    return values


def secret_files(values: object, key: str = "") -> Iterator[str]:
    """Yield the paths of everything that only its owner should be able to read."""
    if isinstance(values, dict):
        for name, value in values.items():
            yield from secret_files(value, name)
    elif isinstance(values, list):
        for value in values:
            yield from secret_files(value, key)
    elif SECRET.search(key):
        yield str(values)


def test_secrets_are_found() -> None:
    nested = {
        "outputs": {"mqtt": {"password_file": "a"}},
        "tls": {"key": "b"},
        "registry": [{"signing_key": "c"}],
        "x": 1,
    }
    assert list(secret_files(nested)) == ["a", "b", "c"]


@pytest.mark.parametrize("name", FILES)
def test_systemd_hands_over_every_secret_file(name: str) -> None:
    unit = (DEPLOY / FILES[name]).read_text(encoding="utf-8")
    assert re.search(r"^DynamicUser=yes$", unit, re.MULTILINE)
    credentials = re.findall(r"^LoadCredential=([\w.-]+):", unit, re.MULTILINE)
    given = {f"/run/credentials/{FILES[name]}/{credential}" for credential in credentials}
    assert set(secret_files(settings(name))) == given


@pytest.mark.parametrize("name", FILES)
def test_units_read_the_settings_and_keep_them_in_their_folder(name: str) -> None:
    unit = (DEPLOY / FILES[name]).read_text(encoding="utf-8")
    assert f" /etc/edge-autotuner/{name}\n" in unit
    values = settings(name)
    assert values.get("folder", values.get("data")) == "/var/lib/edge-autotuner"
    assert "StateDirectory=edge-autotuner\n" in unit


def test_settings_are_valid() -> None:
    NodeConfig.model_validate(settings("node.yaml"))
    ServerConfig.model_validate(settings("serve.yaml"))


def test_models_are_not_looked_for_in_a_home_folder() -> None:
    values = settings("serve.yaml")
    named = [model["source"] for model in values["models"].values()]
    assert all(find_model(name).is_packaged for name in named) or values["models_dir"].startswith(
        "/etc/edge-autotuner/"
    )


def test_containers_get_the_variables_that_the_settings_need() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    wanted = set(re.findall(r"\$\{(\w+)\}", (DEPLOY / "node.yaml").read_text(encoding="utf-8")))
    assert wanted | {"EDGE_AUTOTUNER_TOKEN"} == set(compose["services"]["edge"]["environment"])
