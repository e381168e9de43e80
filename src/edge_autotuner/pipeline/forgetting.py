"""Deletes the pictures of a run and all that is made of them; numbers, models and the report's text stay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from edge_autotuner.errors import DatasetError
from edge_autotuner.evaluation.report import without_pictures
from edge_autotuner.pipeline.loop import CAPTURE
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.storage import remove_folder
from edge_autotuner.storage.atomic import atomic_write_text
from edge_autotuner.storage.lock import FolderLock

_WITH_PICTURES = ("dataset", "dataset-until-*", "outgoing", "incoming", "training")
"""Folders of a run that hold pictures, or maps made of them."""

_LOCKED = ("dataset", "training")


def forget_pictures(folder: RunFolder) -> list[Path]:
    """Delete the pictures of a run; return what is gone or changed, nothing if there were none.

    The report stays, without its pictures. The run cannot be continued, but begun again.

    Raises:
        DatasetError: it is not the folder of a run, or another process works in it.
        StorageError: something cannot be deleted; the same call goes on.
    """
    if folder.stage(CAPTURE.name) is None and not folder.dataset.is_dir():
        raise DatasetError(f"{folder.path} is not the folder of a run; it has no pictures to delete")
    with ExitStack() as locks:
        for path in (folder.path / name for name in _LOCKED):
            if path.is_dir():
                locks.callback(FolderLock(path).release)
        gone = list(_delete_folders(folder.path))
    if folder.report.is_file():
        text = folder.report.read_text(encoding="utf-8")
        emptied = without_pictures(text)
        if emptied != text:
            atomic_write_text(folder.report, emptied)
            gone.append(folder.report)
    return gone


def _delete_folders(run: Path) -> Iterator[Path]:
    for name in _WITH_PICTURES:
        for path in sorted(run.glob(name)):
            remove_folder(path, below=run, strict=True)
            yield path
