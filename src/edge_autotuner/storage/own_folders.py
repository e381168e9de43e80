"""Recognises folders of pictures that this program wrote, which are never taken for pictures of a camera.

A dataset and a reservoir are recognised by their journal, whatever their name and place. Other folders of pictures get
a hidden marker file.
"""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.storage.journal import JOURNAL_NAME, LINE_START

MARK_NAME = ".edge-autotuner"
_MARK = "The files in this folder were written by Edge AutoTuner. Pictures are not used as pictures of a camera.\n"
_INDEX_NAME = "index.jsonl"  # of a reservoir, a journal as well
_PICTURES = frozenset({"frames", "backgrounds", "pictures"})  # folders inside a dataset or a reservoir


def own_folder(folder: Path) -> Path | None:
    """Return the folder of this program that contains a folder's pictures, None for a foreign one.

    Args:
        folder: a real path; links are not followed.
    """
    if _is_own(folder):
        return folder
    return folder.parent if folder.name in _PICTURES and _is_own(folder.parent) else None


def mark_if_empty(folder: Path) -> None:
    """Mark a folder that will be filled with pictures, if it has no visible entries; raises `OSError`."""
    if all(entry.name.startswith(".") for entry in folder.iterdir()):
        (folder / MARK_NAME).write_text(_MARK, encoding="utf-8")


def _is_own(folder: Path) -> bool:
    try:
        return (folder / MARK_NAME).is_file() or any(
            map(_begins_a_journal, (folder / JOURNAL_NAME, folder / _INDEX_NAME))
        )
    except OSError:
        return False


def _begins_a_journal(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(LINE_START)) == LINE_START
