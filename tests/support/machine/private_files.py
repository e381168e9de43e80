"""Files and folders that others may read."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path


def open_to_others(folder: Path, forbidden: int = 0o077) -> dict[str, str]:
    """Return the modes of a folder and of all in it that have rights which only the owner should have."""
    modes = {}
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):  # gone meanwhile
            if not path.is_symlink():
                modes[str(path.relative_to(folder))] = stat.S_IMODE(path.stat().st_mode)
    return {name: f"{mode:o}" for name, mode in modes.items() if mode & forbidden}
