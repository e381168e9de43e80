"""Requests made from the OpenAPI description, right and wrong: none breaks the service, answers are as described."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from hypothesis import given, settings

from edge_autotuner.config.server import ServerConfig
from edge_autotuner.server.annotation.models import LoadedModel
from edge_autotuner.server.api_page import describe_api
from edge_autotuner.server.app import create_app
from edge_autotuner.server.services import open_services
from edge_autotuner.server.slow_clients import noted, patient_protocol
from support.service.served_app import served, wait_until_ready
from support.service.service_samples import MODEL_SHA256, WAIT_S, FixedTokens, StubDetector, png

schemathesis = pytest.importorskip("schemathesis")

N_EXAMPLES = 10
ADMIN = {"Authorization": "Bearer cam1-admin"}
PICTURE_PATH = "/v1/models/{model}/annotations"

OPERATIONS = [
    (path, method, mode)
    for path, methods in describe_api()["paths"].items()
    for method, operation in methods.items()
    for mode in ("POSITIVE", "NEGATIVE")
    if mode == "POSITIVE" or operation.get("parameters") or "requestBody" in operation  # something can be wrong
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give the description of an app with everything in it."""
    folder: Path = tmp_path_factory.mktemp("service")
    config = ServerConfig.model_validate({"data": folder, "models": {"stub": {"source": "stub"}}})
    model = LoadedModel(StubDetector(), MODEL_SHA256, "settings")
    services = open_services(config, loaders={"stub": lambda: model})
    services.authenticator = FixedTokens()
    protocol = patient_protocol(max_head_s=WAIT_S, max_unread_s=WAIT_S)
    with served(uvicorn.Config(noted(create_app(services)), http=protocol, log_config=None, lifespan="on")) as (
        host,
        port,
    ):
        url = f"http://{host}:{port}"
        wait_until_ready(url, WAIT_S)
        services.stop()  # nobody waits for news
        services.stopping.clear()  # ready nevertheless
        yield schemathesis.openapi.from_url(f"{url}/v1/openapi.json")


def check(case: Any) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    case.call_and_validate(
        headers=ADMIN,
        timeout=WAIT_S,
        checks=[
            not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
        ],
    )


bounded = settings(max_examples=N_EXAMPLES)


@pytest.mark.parametrize(("path", "method", "mode"), OPERATIONS)
def test_no_request_breaks_the_service(path: str, method: str, mode: str, api: Any) -> None:
    operation = api[path][method]
    made_up = operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode])

    @bounded
    @given(case=made_up)
    def ask(case: Any) -> None:
        check(case)

    ask()


def test_a_known_model_answers_any_query(api: Any) -> None:
    """With a real name and a real picture, the made-up query reaches what lies behind both."""

    @bounded
    @given(case=api[PICTURE_PATH]["post"].as_strategy())
    def ask(case: Any) -> None:
        case.path_parameters = {"model": "stub"}
        case.body, case.media_type = png(), "image/png"
        check(case)

    ask()
