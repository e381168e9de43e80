"""The pages about the service are made from what it is."""

from __future__ import annotations

from edge_autotuner.cli.settings import describe_service_settings, service_settings_page
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
