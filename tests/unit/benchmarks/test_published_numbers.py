"""Every number in README and docs comes from a committed result."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from benchmarks import tables
from benchmarks.capture import quality, soak, speed
from benchmarks.capture.curve import CURVE
from edge_autotuner.errors import ConfigError
from edge_autotuner.models.catalogue import packaged_weights_folder
from helpers import REPOSITORY

PAGES = (
    "README.md",
    "docs/specialization.md",
    "docs/capture-benchmarks.md",
    "docs/service.md",
    "docs/street-nano.md",
    "docs/simulated-world.md",
)


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_those_of_the_committed_results(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    assert "<!-- table: " in text
    assert tables.filled(text) == text, "run `python -m benchmarks tables`"


def test_an_outdated_table_is_noticed() -> None:
    assert tables.filled("<!-- table: specialization_aims -->\nold\n<!-- end of table -->") != "old"


def test_the_curve_is_that_of_the_committed_results() -> None:
    assert CURVE.read_text(encoding="utf-8") == tables.curve(), "run `python -m benchmarks tables`"


def test_a_table_without_results_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run `python -m benchmarks capture-speed` first"):
        tables._read(tmp_path / "capture_speed.json")


def test_a_marker_without_a_table_is_refused() -> None:
    with pytest.raises(ConfigError, match="no table 'costly'; tables: street_data, street_scores"):
        tables.filled("<!-- table: costly -->\n<!-- end of table -->")


def test_capture_results_are_of_full_length() -> None:
    speed_results, quality_results, soak_results = (
        json.loads(module.RESULTS.read_text(encoding="utf-8")) for module in (speed, quality, soak)
    )
    assert speed_results["clip"]["n_frames"] == speed.N_FRAMES
    assert {len(seconds) for seconds in speed_results["seconds"].values()} == {speed.N_ROUNDS}
    assert list(quality_results["scores"]) == [variant.key for variant in quality.variants(quick=False)]
    assert soak_results["hours"] == 24
    assert soak_results["n_frames"] > 24 * 3600 * 25 * 0.999


def test_the_card_describes_the_packaged_weights() -> None:
    folder = packaged_weights_folder()
    card = json.loads((folder / "street_nano.json").read_text(encoding="utf-8"))
    assert card["sha256"] == hashlib.sha256((folder / "street_nano.safetensors").read_bytes()).hexdigest()
