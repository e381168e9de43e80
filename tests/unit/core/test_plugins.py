"""Implementations by name: built in, of installed distributions, broken, doubled."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from edge_autotuner.capture.background import MedianBackground
from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core import plugins
from edge_autotuner.core.plugins import BACKGROUNDS, PluginTable
from edge_autotuner.core.tasks import TASKS
from edge_autotuner.errors import ConfigError
from support.machine.installed_plugin import install_example, installed_example

TABLES = {name: table for name, table in vars(plugins).items() if isinstance(table, PluginTable)} | {"TASKS": TASKS}


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Path]:
    """Install the example package; where it is."""
    with installed_example(tmp_path / "site") as folder:
        yield folder


@pytest.mark.parametrize("table", sorted(TABLES))
def test_everything_built_in_can_be_imported(table: str) -> None:
    for name in TABLES[table].built_in:
        assert TABLES[table].load(name) is not None
        assert TABLES[table].distribution_of(name) == ""


def test_groups_differ() -> None:
    assert len({table.group for table in TABLES.values()}) == len(TABLES)


def test_built_in_names_are_known_and_others_are_not() -> None:
    assert "median" in BACKGROUNDS
    assert "acme" not in BACKGROUNDS
    assert 7 not in BACKGROUNDS
    assert BACKGROUNDS.load("median") == MedianBackground.configured
    assert BACKGROUNDS.names == ("median", "percentile", "running", "first", "mog2", "knn")
    with pytest.raises(ConfigError, match="no background method 'acme'; choose from median, percentile,"):
        BACKGROUNDS.load("acme")


def test_an_installed_distribution_is_found(example: Path) -> None:
    assert "acme" in BACKGROUNDS
    assert BACKGROUNDS.names[-2:] == ("acme", "acme-broken")
    assert BACKGROUNDS.load("acme").__name__ == "BlendedBackground"
    assert BACKGROUNDS.distribution_of("acme") == "acme-edge 1.2"


def test_a_broken_one_is_named(example: Path) -> None:
    words = r"method acme-broken of the package acme-edge 1\.2 cannot be loaded: AttributeError: .*; update or remove"
    with pytest.raises(ConfigError, match=words):
        BACKGROUNDS.load("acme-broken")
    (example / "acme_edge" / "background.py").write_text("import not_installed_anywhere")
    del sys.modules["acme_edge.background"]
    with pytest.raises(ConfigError, match=r"acme-edge 1\.2 cannot be loaded: ModuleNotFoundError: No module"):
        BACKGROUNDS.load("acme")


def test_one_that_fails_when_it_is_called_is_named(example: Path) -> None:
    with pytest.raises(ConfigError, match=r"method acme of the package acme-edge 1\.2 failed: TypeError: "):
        BACKGROUNDS.make("acme", "what it does not take", wrong=True)
    with pytest.raises(TypeError):
        BACKGROUNDS.make("median", wrong=True)  # a fault of this package is not blamed on another


def test_two_distributions_of_one_name(example: Path) -> None:
    install_example(example, name="acme-copy")
    with pytest.raises(ConfigError, match=r"in the packages acme-\w+ 1\.2 and acme-\w+ 1\.2; remove one"):
        BACKGROUNDS.load("acme")


def test_what_is_built_in_cannot_be_replaced(example: Path) -> None:
    (path,) = example.glob("*.dist-info/entry_points.txt")
    path.write_text("[edge_autotuner.backgrounds]\nmedian = acme_edge.background:BlendedBackground\n")
    assert BACKGROUNDS.load("median") == MedianBackground.configured
    assert BACKGROUNDS.names == tuple(BACKGROUNDS.built_in)


def test_settings_name_what_is_known(example: Path) -> None:
    assert BackgroundConfig(method="acme").method == "acme"
    with pytest.raises(ValidationError, match=r"no background method 'mean'; choose from median, .* acme, acme-broken"):
        BackgroundConfig(method="mean")


@pytest.mark.parametrize("name", ["acme_edge.background:BlendedBackground", "os:system", "../acme", "acme ", ""])
def test_a_setting_names_no_code(example: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="there is no background method"):
        BACKGROUNDS.load(name)


def test_nothing_is_looked_for_before_a_setting_names_it(example: Path) -> None:
    program = """
import sys
from edge_autotuner.core import plugins
plugins.entry_points = None
from edge_autotuner.capture import make_background
from edge_autotuner.config import BackgroundConfig, RunConfig
make_background(RunConfig().capture.background)
assert "acme_edge" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(example)}, timeout=60)
