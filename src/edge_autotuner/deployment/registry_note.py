"""Stores the registry's id beside a bundle: FOLDER/registry.json."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.core.json_limits import load_json
from edge_autotuner.storage import is_plain_name
from edge_autotuner.storage.atomic import atomic_write_json

NOTE_FILE = "registry.json"


def registry_id(folder: Path) -> str | None:
    """Return the registry's id that was noted in a folder; None where there is none, or it is damaged."""
    try:
        values = load_json((folder / NOTE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    found = values.get("id") if isinstance(values, dict) else None
    return found if is_plain_name(found) else None


def note_registry_id(folder: Path, bundle_id: str) -> None:
    """Note in a folder as what the registry knows it."""
    atomic_write_json(folder / NOTE_FILE, {"id": bundle_id})
