"""What a package index shows and installs: links, extras, and what the archives hold."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import packages_distributions
from typing import Any

import pytest
from packaging.requirements import Requirement

from helpers import REPOSITORY

FOR_PEOPLE = {"docs", "dev"}
FOUND_BY_OTHERS = {
    "httptools": "uvicorn",
    "uvloop": "uvicorn",
    "python-multipart": "fastapi",
    "psycopg": "sqlalchemy",
    "scipy": "transformers",
    "onnxscript": "torch",
}
"""Packages that another one imports when they are installed, and which."""


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def imported_packages() -> set[str]:
    """Return the normal names of the distributions that the package imports."""
    modules = set()
    for path in (REPOSITORY / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.add(str(node.module).partition(".")[0])
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                modules.add(node.value)  # import_module("onnx")
    known = packages_distributions()
    return {name.lower().replace("_", "-") for module in modules for name in known.get(module, [])}


@pytest.mark.parametrize("extra", sorted(project()["optional-dependencies"].keys() - FOR_PEOPLE))
def test_the_package_uses_what_an_extra_installs(extra: str) -> None:
    used = imported_packages() | FOUND_BY_OTHERS.keys()
    wanted = [Requirement(text).name.lower() for text in project()["optional-dependencies"][extra]]
    assert wanted
    assert [name for name in wanted if name not in used] == []


def test_the_package_uses_what_it_depends_on() -> None:
    used = imported_packages()
    assert [text for text in project()["dependencies"] if Requirement(text).name.lower() not in used] == []


def test_links_of_the_readme_work_on_a_package_index() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)", text) + re.findall(r"^\[[^\]]+\]:\s*(\S+)", text, re.MULTILINE)
    targets += re.findall(r"(?:src|href)=[\"']([^\"']+)", text)
    assert [target for target in targets if not target.startswith("https://")] == []


def test_files_that_the_readme_names_exist_and_are_in_the_source_archive() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:docs/)?[\w./-]+\.md)`", text)
    assert len(named) > 5
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []
    packed = (REPOSITORY / "MANIFEST.in").read_text(encoding="utf-8")
    assert "graft docs" in packed
    assert [name for name in named if not name.startswith("docs/") and name not in packed] == []


def test_addresses_of_the_project_are_absolute() -> None:
    assert project()["urls"]
    assert [url for url in project()["urls"].values() if not url.startswith("https://")] == []
