"""Every number in README and docs comes from a committed result."""

from __future__ import annotations

import hashlib
import json

import pytest

from benchmarks import tables
from benchmarks.accuracy import CASES, RESULTS
from edge_autotuner.models.catalogue import packaged_weights_folder
from helpers import REPOSITORY

PAGES = ("README.md", "docs/benchmarks.md", "docs/street-nano.md")


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_those_of_the_committed_results(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    assert "<!-- table: " in text
    assert tables.filled(text) == text, "run `python -m benchmarks tables`"


def test_an_outdated_table_is_noticed() -> None:
    assert tables.filled("<!-- table: accuracy -->\nold\n<!-- end of table -->") != "old"


def test_every_case_has_a_result_of_full_length() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert set(results) == {case.name for case in CASES}
    n_epochs = {case.name: case.n_epochs for case in CASES}
    assert {name: result["settings"]["training.n_epochs"] for name, result in results.items()} == n_epochs


def test_the_card_describes_the_packaged_weights() -> None:
    folder = packaged_weights_folder()
    card = json.loads((folder / "street_nano.json").read_text(encoding="utf-8"))
    assert card["sha256"] == hashlib.sha256((folder / "street_nano.safetensors").read_bytes()).hexdigest()
