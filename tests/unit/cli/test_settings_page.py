"""The reference pages of the settings are generated; the committed ones must be current."""

from __future__ import annotations

from edge_autotuner.cli.explain import describe_node_settings, describe_settings, node_settings_page, settings_page
from helpers import REPOSITORY

REFERENCE = REPOSITORY / "docs" / "reference"


def test_settings_page_is_current() -> None:
    page = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    assert page == settings_page(describe_settings()), "run `edge-autotuner config explain --markdown`"


def test_node_settings_page_is_current() -> None:
    page = (REFERENCE / "node-settings.md").read_text(encoding="utf-8")
    assert page == node_settings_page(describe_node_settings()), "run `edge-autotuner config explain --node --markdown`"


def test_every_setting_is_described() -> None:
    for key, _, meaning in [*describe_settings(), *describe_node_settings()]:
        assert meaning, key
