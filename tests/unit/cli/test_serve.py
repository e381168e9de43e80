"""Flags of `edge-autotuner serve`; what it does is tested as a process."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from edge_autotuner.cli.settings import merge_server_settings, settings_text
from edge_autotuner.config.server import ServerConfig
from edge_autotuner.errors import ConfigError
from support.runs.cli_runs import run_cli


def test_flags_win_over_pairs_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("port: 1\nhost: a\ndrain_s: 1min\nmodels: {x: {source: street-nano}}\n")
    config = merge_server_settings(file, ["port=2", "host=b"], {"port": 3, "data": None}, models=["y=street-nano"])
    assert (config.port, config.host, config.drain_s, list(config.models)) == (3, "b", 60.0, ["y"])


def test_a_dry_run_prints_settings_and_serves_nothing() -> None:
    done = run_cli("serve", "--dry-run", "--model", "femto=deimv2-femto", "--set", "quotas.requests_per_minute=null")
    assert done.code == 0, done.err
    shown = yaml.safe_load(done.out)
    assert shown["models"]["femto"]["source"] == "deimv2-femto"
    assert shown["quotas"]["requests_per_minute"] is None
    assert ServerConfig.model_validate(shown)


def test_the_password_of_the_database_is_not_shown() -> None:
    text = settings_text(ServerConfig(database_url="postgresql://user:geheim@host/name"))
    assert "geheim" not in text


@pytest.mark.parametrize("model", ["=a", "a=", ""])
def test_a_wrong_model(model: str) -> None:
    with pytest.raises(ConfigError, match="use NAME=SOURCE"):
        merge_server_settings(None, None, {}, models=[model])


def test_a_mistake_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("port: 8080\nlimits:\n  max_body_mb: -1\n")
    with pytest.raises(ConfigError, match=r"serve\.yaml:3: limits\.max_body_mb"):
        merge_server_settings(file, None, {}, models=None)
