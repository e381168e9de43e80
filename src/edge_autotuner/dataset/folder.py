"""The files of a dataset: their lock, appending to the journal, and checks before a folder is continued."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from edge_autotuner.core.json_limits import load_json
from edge_autotuner.dataset.coco_export import CocoFrame
from edge_autotuner.dataset.derived_files import DERIVED_NAMES, DerivedFiles
from edge_autotuner.dataset.state import AnnotationRun, DatasetState, Header
from edge_autotuner.errors import DatasetError
from edge_autotuner.storage.atomic import make_folder, remove_temporaries
from edge_autotuner.storage.journal import JOURNAL_NAME, JournalWriter, read_journal
from edge_autotuner.storage.lock import LOCK_NAME, FolderLock
from edge_autotuner.storage.paths import remove_folder

_OUR_NAMES = {JOURNAL_NAME, LOCK_NAME, "frames", "backgrounds", *DERIVED_NAMES}
_MAX_SHOWN = 5  # changed settings that a message names


class DatasetFolder:
    """The journal of one dataset and what is made from it.

    Reading needs no lock. `start_writing` takes the folder's lock and reads what another process has added; `release`
    frees it.

    Args:
        path: of the folder.

    Attributes:
        state: what the records read so far add up to.
        derived: the files that are made from the journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = DatasetState()
        self.derived = DerivedFiles(path)
        self._end = self._n_lines = 0
        self._lock: FolderLock | None = None
        self._writer: JournalWriter | None = None

    @property
    def header(self) -> Header:
        """The first record.

        Raises:
            DatasetError: there is none yet.
        """
        if self.state.header is None:
            raise DatasetError(f"the dataset in {self.path} is empty; run `edge-autotuner capture` again")
        return self.state.header

    @property
    def is_writing(self) -> bool:
        """Whether this process has the lock."""
        return self._writer is not None

    @property
    def is_behind(self) -> bool:
        """Whether a derived file is missing, or lacks records."""
        return self.derived.are_behind(self._end)

    def read_new_records(self) -> None:
        """Read what was added to the journal since the last look.

        Raises:
            DatasetError: a record is damaged or makes no sense.
        """
        path = self.path / JOURNAL_NAME
        part = read_journal(path, start=self._end, n_lines_before=self._n_lines)
        for number, record in enumerate(part.records, start=self._n_lines + 1):
            try:
                self.state.apply(record)
            except DatasetError as exc:
                raise DatasetError(f"{path}:{number}: {exc}") from exc
        self._end, self._n_lines = part.end, part.n_lines

    def start_writing(self) -> None:
        """Take the lock, unless this process has it.

        Raises:
            DatasetError: another process is writing, or the journal is damaged.
            StorageError: the folder cannot be written.
        """
        if self._writer is not None:
            return
        lock = FolderLock(self.path)
        try:
            if (self.path / JOURNAL_NAME).exists():
                self.read_new_records()
            for name in ("", "frames", "backgrounds"):
                make_folder(self.path / name)
                remove_temporaries(self.path / name)
            self._writer = JournalWriter(self.path / JOURNAL_NAME, end=self._end)
        except BaseException:
            lock.release()
            raise
        self._lock = lock
        self.derived.are_stale = self.derived.are_stale or self.is_behind

    def append(self, record: dict[str, Any]) -> None:
        """Add a record, taking the lock first; when this returns, it survives a kill.

        Raises:
            DatasetError, StorageError: as `start_writing`, or the disk refused.
        """
        self.start_writing()
        assert self._writer is not None
        self._writer.append(record)
        self._end, self._n_lines = self._writer.end, self._n_lines + 1
        self.derived.are_stale = True
        self.state.apply(load_json(json.dumps(record)))  # exactly what a later reader will find

    def begin_anew(self, header: Header) -> None:
        """Write the header into an empty journal, and remove what a capture without result has left behind."""
        assert self._writer is not None
        self._writer.close()
        self.state, self._end, self._n_lines = DatasetState(), 0, 0
        self._writer = JournalWriter(self.path / JOURNAL_NAME, end=0)
        self.append(header.to_json())
        for name in ("frames", "backgrounds"):
            remove_folder(self.path / name, below=self.path, strict=True)
            make_folder(self.path / name)
        self.derived.remove()

    def export(self, updated_at: datetime) -> None:
        """Write the derived files in their current state."""
        self.start_writing()
        self.derived.write(self.state, self.header, journal_bytes=self._end, updated_at=updated_at)

    def export_training(self, frames: Iterable[CocoFrame], run: AnnotationRun) -> None:
        """Write what a training is given; see `DatasetStore.export_training`."""
        self.start_writing()
        self.derived.write_training(frames, run, self.header, journal_bytes=self._end)

    def release(self) -> None:
        """Let others write."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def refuse_foreign_folder(folder: Path) -> None:
    """Refuse a folder with foreign files.

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
