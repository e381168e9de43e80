"""The example package as an installer leaves it on `sys.path`: its modules, and a folder that describes them."""

from __future__ import annotations

import importlib
import shutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers import REPOSITORY

EXAMPLE = REPOSITORY / "tests" / "support" / "example_plugin"
NAME = "acme"
"""What everything in it is called."""


def install_example(folder: Path, *, name: str = "acme-edge") -> Path:
    """Put the package into a folder, which is to be put on `sys.path` or PYTHONPATH, and return the folder.

    Args:
        folder: is made.
        name: of the distribution.
    """
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / f"{name.replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(EXAMPLE / "acme_edge", folder / "acme_edge", ignore=ignored, dirs_exist_ok=True)
    return folder


@contextmanager
def installed_example(folder: Path) -> Iterator[Path]:
    """Let this process find the package in a new folder until the end of the block."""
    sys.path.insert(0, str(install_example(folder)))
    importlib.invalidate_caches()
    try:
        yield folder
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == "acme_edge"]:
            del sys.modules[name]
