"""A client that somebody generates from the OpenAPI description can call everything.

openapi-python-client wants an older typer than this project, so it lives in an environment of its own:
`scripts/test_generated_client` makes one and runs this. What it needs of the description is checked everywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from edge_autotuner.config import RunConfig
from edge_autotuner.config.server import ServerConfig
from edge_autotuner.pipeline.remote_training.portable_settings import portable_settings
from edge_autotuner.server.annotation.models import LoadedModel
from edge_autotuner.server.api_page import describe_api
from edge_autotuner.server.app import create_app
from edge_autotuner.server.services import open_services
from edge_autotuner.server.tokens import Tokens
from support.service.registry_samples import description, smallest_model
from support.service.served_app import served, wait_until_ready
from support.service.service_samples import MODEL_SHA256, WAIT_S, StubDetector, png

GENERATOR = "EDGE_AUTOTUNER_OPENAPI_GENERATOR"
UNDERSTOOD = {"application/json", "application/octet-stream", "multipart/form-data"}
OPERATIONS = {
    operation["operationId"]: operation for path in describe_api()["paths"].values() for operation in path.values()
}


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_generator_understands_each_operation(name: str) -> None:
    operation = OPERATIONS[name]
    assert name.isidentifier()
    assert len(operation["tags"]) == 1
    body = operation.get("requestBody")
    assert body is None or UNDERSTOOD & set(body["content"])
    contents = [content for one in operation["responses"].values() for content in one.get("content", {}).values()]
    assert all("schema" in content or content == {} for content in contents)
    for parameter in operation.get("parameters", []):
        assert parameter["schema"]
        assert parameter["in"] in {"path", "query", "header"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Give the address of a service over HTTP, and a token."""
    config = ServerConfig.model_validate(
        {"data": tmp_path / "data", "models": {"stub": {"source": "stub"}}, "blobs": {"reserve_mb": 0}}
    )
    model = LoadedModel(StubDetector(), MODEL_SHA256, "settings")
    services = open_services(config, loaders={"stub": lambda: model})
    assert isinstance(services.authenticator, Tokens)
    token = services.authenticator.add("somebody", ["annotate", "train", "deploy", "admin"]).text
    with served(uvicorn.Config(create_app(services), log_config=None, lifespan="on")) as (host, port):
        url = f"http://{host}:{port}"
        wait_until_ready(url, WAIT_S)
        yield url, token


def facts(url: str, token: str) -> dict[str, Any]:
    model, weights = smallest_model(), b"weights"
    start = {"name": "street", "sha256": hashlib.sha256(weights).hexdigest()}
    return {
        "url": url,
        "token": token,
        "picture": png().hex(),
        "contents": {hashlib.sha256(content).hexdigest(): content.hex() for content in (model, weights)},
        "descriptions": [description(name, model=model, weights=weights) for name in ("one", "two")],
        "tune": {
            "key": "k1", "camera": "gate", "settings": portable_settings(RunConfig()), "start": start,
            "dataset": "0" * 64,
        },
    }  # fmt: skip


@pytest.mark.skipif(
    GENERATOR not in os.environ, reason=f"{GENERATOR} names no generator: scripts/test_generated_client"
)
def test_a_generated_client_calls_everything(service: tuple[str, str], tmp_path: Path) -> None:
    generator = Path(os.environ[GENERATOR]).absolute()
    (tmp_path / "openapi.json").write_text(json.dumps(describe_api()))
    (tmp_path / "facts.json").write_text(json.dumps(facts(*service)))
    package = tmp_path / "package"
    command = [str(generator), "generate", "--path", str(tmp_path / "openapi.json"), "--output-path", str(package)]
    environment = {**os.environ, "PATH": f"{generator.parent}:{os.environ['PATH']}"}
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=WAIT_S)
    story = Path(__file__).with_name("generated_client_story.py")
    told = subprocess.run(
        [str(generator.with_name("python")), str(story), str(package), str(tmp_path / "facts.json")],
        check=False,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert told.returncode == 0, told.stderr
    statuses: dict[str, list[int]] = json.loads(told.stdout)
    assert set(statuses) == set(OPERATIONS), "every operation is generated"
    asked_for_nothing = {"create_tuning_job": {409}, "get_job": {404}, "list_events": {404}, "cancel_job": {404}}
    for name, found in statuses.items():
        assert found, name
        assert set(found) <= asked_for_nothing.get(name, {200, 201}), f"{name}: {found}"
