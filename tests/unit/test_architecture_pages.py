"""The pages about the structure say what is there: the picture, the files, the entry points."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

from edge_autotuner.core import plugins
from edge_autotuner.core.plugins import PluginTable
from edge_autotuner.core.tasks import TASKS
from helpers import REPOSITORY
from support.machine.installed_plugin import EXAMPLE

PAGE = (REPOSITORY / "docs" / "how-to" / "extend.md").read_text(encoding="utf-8")
SECTIONS = {part.splitlines()[0]: part for part in PAGE.split("\n## ")[1:]}
GROUPS = {table.group for table in [*vars(plugins).values(), TASKS] if isinstance(table, PluginTable)}
MOST_FILES = 3


def test_the_picture_and_the_table_of_packages_are_current() -> None:
    script = REPOSITORY / "scripts" / "architecture.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_group_has_a_section() -> None:
    named = {name for section in SECTIONS.values() for name in re.findall(r"`(edge_autotuner\.[a-z]+)`", section)}
    assert named == GROUPS
    assert len(SECTIONS) == len(GROUPS)


@pytest.mark.parametrize("section", SECTIONS)
def test_named_files_exist_and_are_few(section: str) -> None:
    files = re.search(r"\| Files \| (.*) \|", SECTIONS[section])
    assert files is not None
    for way in files[1].split("; "):
        assert 1 <= len(re.findall(r"`(?:src|tests)/[^`]*`", way)) <= MOST_FILES
    suites = re.search(r"\| Suite \| (.*) \|", SECTIONS[section])
    assert suites is not None
    assert "`tests/contract/" in suites[1]
    for path in re.findall(r"`((?:src|tests|docs|scripts)/[^`]*)`", SECTIONS[section]):
        assert (REPOSITORY / path).exists(), path


@pytest.mark.parametrize("section", SECTIONS)
def test_named_tables_and_types_exist(section: str) -> None:
    known = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "src").rglob("*.py"))
    for name in re.findall(r"`([A-Z][A-Za-z]+|[A-Z]{4,})`", SECTIONS[section]):
        if name not in {"NAME", "ARGUMENT"}:
            assert re.search(rf"^(class {name}\b|{name}\b.* = )", known, re.MULTILINE), name


def test_the_example_has_one_of_each() -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {*project["entry-points"], TASKS.group} == GROUPS
    assert all("acme" in points for points in project["entry-points"].values())
