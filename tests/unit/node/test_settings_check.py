"""What settings name to be read is never written by the same node."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from edge_autotuner.config.node import NodeConfig
from edge_autotuner.errors import ConfigError
from edge_autotuner.node import settings_check
from edge_autotuner.node.settings_check import settings_problems


def settings(folder: Path, **more: Any) -> NodeConfig:
    (folder / "pictures").mkdir(exist_ok=True)
    cameras = [{"name": "gate", "source": str(folder / "pictures")}]
    return NodeConfig.model_validate({"folder": folder / "node", "cameras": cameras, "learns": False, **more})


def paths_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every setting of a model, and of those inside it, that is a path."""
    for name, field in model.model_fields.items():
        kinds = {field.annotation, *typing.get_args(field.annotation)}
        if Path in kinds:
            yield f"{prefix}{name}"
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from paths_of(kind, f"{prefix}{name}.")


def test_every_path_is_read_or_known_to_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    service = {"url": "http://localhost", "token_file": file}
    tls = {"ca_file": file, "client_cert": file, "client_key": file}
    config = settings(
        tmp_path,
        run={
            "models_dir": file,
            "evaluation": {"ground_truth": file, "test_source": file},
            "annotation": {"service": service | {"url": "https://localhost"} | tls},
        },
        registry={"service": service | {"url": "https://localhost"} | tls, "signing_key": file, "allow_unsigned": True},
        outputs={
            "mqtt": {"host": "localhost", "username": "me", "password_file": file, "tls": True, "ca_file": file},
            "webhook": {"url": "https://localhost", "token_file": file, "ca_file": file},
        },
    )
    found = {name for name, path in settings_check._files_read(config) if path == file}
    assert found == set(paths_of(NodeConfig)) - settings_check._WRITTEN


def test_the_lines_never_replace_a_secret(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(json.dumps({"looks": "like a line"}))
    mqtt = {"host": "localhost", "username": "me", "password_file": secret}
    config = settings(tmp_path, outputs={"mqtt": mqtt, "json_lines": {"path": secret}})
    [problem] = settings_problems(config)
    assert isinstance(problem.error, ConfigError)
    assert "is outputs.mqtt.password_file itself, which would be overwritten" in str(problem.error)
    assert secret.read_text() == '{"looks": "like a line"}'
