"""The reference page of the settings is made from the settings."""

from __future__ import annotations

from edge_autotuner.cli.settings import describe_settings, settings_page
from helpers import REPOSITORY


def test_the_page_is_up_to_date() -> None:
    page = (REPOSITORY / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_page(describe_settings()), "run `edge-autotuner config explain --markdown`"


def test_every_setting_says_what_it_means() -> None:
    assert [key for key, _, text in describe_settings() if not text] == []
