"""Decides whether a folder can take a dataset: it is free, or holds one that was made the same way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_autotuner.dataset.derived_files import DERIVED_NAMES
from edge_autotuner.dataset.state import Header
from edge_autotuner.errors import DatasetError
from edge_autotuner.storage.journal import JOURNAL_NAME
from edge_autotuner.storage.lock import LOCK_NAME

_OUR_NAMES = {JOURNAL_NAME, LOCK_NAME, "frames", "backgrounds", *DERIVED_NAMES}
_MAX_SHOWN = 5  # changed settings that a message names


def refuse_foreign_folder(folder: Path) -> None:
    """Refuse a folder of somebody else's files.

    Raises:
        DatasetError: it has no journal, but other files or pictures.
    """
    if (folder / JOURNAL_NAME).exists():
        return
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in _OUR_NAMES)
    pictures = any((folder / "frames").glob("[!.]*"))
    if foreign or pictures:
        what = f"other files ({', '.join(foreign[:3])})" if foreign else f"pictures without {JOURNAL_NAME}"
        raise DatasetError(f"{folder} contains {what} and no dataset; choose another folder")


def refuse_other_dataset(folder: Path, there: Header, wanted: Header) -> None:
    """Refuse to continue a dataset of another source, other classes or other settings.

    Raises:
        DatasetError: they differ; the message says in what.
    """
    found = differences(there, wanted)
    if not found:
        return
    advice = "Use the old settings to continue it, or choose another folder"
    if there.source.sha256 != wanted.source.sha256:
        advice = "Use its original source to continue it, or choose another folder"
    raise DatasetError(f"{folder} contains a dataset made differently: {'; '.join(found)}. {advice}")


def differences(there: Header | None, wanted: Header) -> list[str]:
    """Return in what two datasets differ, in words; nothing where there is none yet."""
    if there is None:
        return []
    found = []
    if there.source.sha256 != wanted.source.sha256:
        found.append(f"the source was {there.source.name}, now {wanted.source.name} (different content)")
    if there.labels != wanted.labels:
        found.append(f"the classes were {', '.join(there.labels)}, now {', '.join(wanted.labels)}")
    old, new = _flatten(there.settings), _flatten(wanted.settings)
    changed = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    found += [f"{name} was {old.get(name)!r}, now {new.get(name)!r}" for name in changed[:_MAX_SHOWN]]
    if len(changed) > _MAX_SHOWN:
        found.append(f"and {len(changed) - _MAX_SHOWN} more settings")
    return found


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
