"""The pages about the service are made from what it is."""

from __future__ import annotations

import json

from edge_autotuner.cli.explain import describe_service_settings, service_settings_page
from edge_autotuner.server.api_page import api_page, describe_api
from helpers import REPOSITORY

REFERENCE = REPOSITORY / "docs" / "reference"


def test_the_page_of_the_interface_is_up_to_date() -> None:
    page = (REFERENCE / "http-api.md").read_text(encoding="utf-8")
    assert page == api_page(describe_api()), "run `python -m edge_autotuner.server.api_page`"


def test_every_address_is_described() -> None:
    description = describe_api()
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), f"{method} {path}"
            assert f"## `{method.upper()} {path}`" in api_page(description)


def test_refusals_are_described_as_problems() -> None:
    for path, operations in describe_api()["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert set(response["content"]) == {"application/problem+json"}, f"{method} {path} {status}"


def test_the_page_of_the_settings_is_up_to_date() -> None:
    page = (REFERENCE / "service-settings.md").read_text(encoding="utf-8")
    assert page == service_settings_page(describe_service_settings()), (
        "run `edge-autotuner config explain --service --markdown`"
    )


def test_every_setting_says_what_it_means() -> None:
    assert [key for key, _, text in describe_service_settings() if not text] == []


OPERATIONS = {
    "add_bundle",
    "annotate_batch",
    "annotate_picture",
    "archive_bundle",
    "cancel_job",
    "collect_garbage",
    "create_tuning_job",
    "find_missing",
    "get_blob",
    "get_job",
    "health",
    "list_bundles",
    "list_cameras",
    "list_events",
    "list_jobs",
    "list_models",
    "metrics",
    "promote_bundle",
    "put_blob",
    "put_camera",
    "ready",
    "roll_back",
    "wait_for_deployed",
}
"""Generated clients call their functions so: a name may come, none may go."""


def test_operations_keep_their_names() -> None:
    found = [operation["operationId"] for path in describe_api()["paths"].values() for operation in path.values()]
    assert sorted(found) == sorted(OPERATIONS)


def references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [str(value["$ref"])] if isinstance(value.get("$ref"), str) else []
        return own + [found for inner in value.values() for found in references(inner)]
    return [found for inner in value for found in references(inner)] if isinstance(value, list) else []


def test_each_message_is_described_once() -> None:
    description = describe_api()
    assert len(json.dumps(description)) < 100_000
    schemas = description["components"]["schemas"]
    for path in description["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    content = response["content"]["application/problem+json"]
                    assert content == {"schema": {"$ref": "#/components/schemas/ProblemReply"}}
    for reference in references(description):
        assert reference.removeprefix("#/components/schemas/") in schemas
    titles = [str(schema.get("title")) for schema in schemas.values()]
    assert sorted(titles) == sorted(set(titles))


def test_the_description_can_be_asked_for_twice() -> None:
    assert describe_api() == describe_api()
