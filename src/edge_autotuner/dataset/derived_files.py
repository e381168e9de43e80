"""Keeps the files that are derived from a dataset's journal, COCO JSON and the manifest, in step with it.

Each begins with an `info` that holds the hash of the whole file, so that any change shows. The product never reads
these files: an edit has no effect, and is neither used nor overwritten silently.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from edge_autotuner.core.file_names import utf8_json
from edge_autotuner.dataset.coco_export import (
    COCO_NAME,
    MANIFEST_NAME,
    TRAINING_COCO_NAME,
    CocoFrame,
    build_coco,
    build_manifest,
    labels_in_use,
)
from edge_autotuner.dataset.state import AnnotationRun, DatasetState, Header
from edge_autotuner.errors import DatasetError
from edge_autotuner.storage.atomic import atomic_write_bytes, storage_errors, sync_folder

logger = logging.getLogger(__name__)

DERIVED_NAMES = (COCO_NAME, MANIFEST_NAME, TRAINING_COCO_NAME)
EXPORT_EVERY = 50  # additions between two exports of a small dataset
_EXPORT_SHARE = 0.25  # of the records of a large one: an export costs as much as there is


class DerivedFiles:
    """The derived files of one dataset folder, and whether they are behind the journal.

    An edited file is never overwritten: it is refused, or kept under another name.

    Attributes:
        are_stale: whether the files lack something that this process knows of; the journal's writer sets it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._n_additions = 0  # since the last export
        self.are_stale = False

    def are_due(self, *, n_frames: int) -> bool:
        """Count an addition to a dataset of this many frames; return whether an export is due."""
        self._n_additions += 1
        return self._n_additions >= max(EXPORT_EVERY, _EXPORT_SHARE * n_frames)

    def are_behind(self, journal_bytes: int) -> bool:
        """Whether a file is missing, or made from less or more of the journal than there is."""
        paths = self._folder / COCO_NAME, self._folder / MANIFEST_NAME
        return any(made_from_bytes(path) != journal_bytes for path in paths)

    def write(self, state: DatasetState, header: Header, *, journal_bytes: int, updated_at: datetime) -> None:
        """Write the labels in use, and no others, and the manifest.

        The state is that of the first `journal_bytes` of the journal.

        Raises:
            StorageError: the disk refused.
        """
        coco = build_coco(labels_in_use(state), header.labels, state.run_in_use)
        self._write(COCO_NAME, coco, header, journal_bytes)
        manifest = build_manifest(state, header, updated_at=updated_at)
        self._write(MANIFEST_NAME, manifest, header, journal_bytes, indent=2)
        self._n_additions, self.are_stale = 0, False

    def write_training(
        self, frames: Iterable[CocoFrame], run: AnnotationRun, header: Header, *, journal_bytes: int
    ) -> None:
        """Write what a training is given; see `DatasetStore.export_training`."""
        self._write(TRAINING_COCO_NAME, build_coco(frames, header.labels, run), header, journal_bytes)

    def refuse_edited(self, header: Header) -> None:
        """Refuse to continue if a file was edited, because the edit has no effect.

        Raises:
            DatasetError: a file is not as it was written for this dataset.
        """
        owner = owner_of(header)
        for path in (self._folder / name for name in DERIVED_NAMES):
            if path.exists() and is_edited(path, owner=owner) and _match_head(path, _HEAD_OF_OLD_VERSIONS) is None:
                raise DatasetError(
                    f"{path} was edited, but edits there have no effect: labels are read from journal.jsonl. Move the "
                    "file to another folder to continue with the original labels; it is then written again"
                )

    def remove(self) -> None:
        """Delete them all; for a dataset that is begun anew."""
        for name in DERIVED_NAMES:
            (self._folder / name).unlink(missing_ok=True)

    def _write(
        self, name: str, values: Mapping[str, Any], header: Header, journal_bytes: int, *, indent: int | None = None
    ) -> None:
        path = self._folder / name
        write_derived(path, values, owner=owner_of(header), journal_bytes=journal_bytes, indent=indent)


def owner_of(header: Header) -> str:
    """Return the identity of this dataset's files."""
    return json.dumps([header.created_at, header.source.sha256, *header.labels.names])


_NO_HASH = b"0" * 64
_HEAD = re.compile(rb'\s*\{\s*"info":\s*\{\s*"sha256":\s*"([0-9a-f]{64})",\s*"journal_bytes":\s*(\d{1,18})\b')
_CHUNK_BYTES = 1 << 20
_HEAD_OF_OLD_VERSIONS = re.compile(  # they wrote no hash, so edits of these cannot be detected
    rb'\{"info":\{"description":"labels of a teacher model, not of a human","version":"1"\},"images":|'
    rb'\{\n  "format_version": 1,\n  "created_at":'
)


def write_derived(
    path: Path, values: Mapping[str, Any], *, owner: str, journal_bytes: int, indent: int | None = None
) -> None:
    """Write JSON in one step, with an `info` that shows later edits; an edited file is kept under another name.

    `values` hold no NaN; their own `info` is added to. A file of another owner counts as edited. `journal_bytes` says
    how much of the journal the file is made from.

    Raises:
        StorageError: the disk refused; what was there is untouched.
    """
    info = {"sha256": _NO_HASH.decode(), "journal_bytes": journal_bytes, **values.get("info", {})}
    separators = None if indent else (",", ":")
    plain = {"info": info, **{name: value for name, value in values.items() if name != "info"}}
    text = json.dumps(plain, indent=indent, separators=separators, allow_nan=False, ensure_ascii=False)
    data = utf8_json(text) + b"\n"
    digest = hashlib.sha256(owner.encode() + data).hexdigest().encode()
    if path.exists() and is_edited(path, owner=owner):
        keep_aside(path)
    atomic_write_bytes(path, data.replace(_NO_HASH, digest, 1))


def is_edited(path: Path, *, owner: str) -> bool:
    """Whether a file is not what `write_derived` wrote for this owner; one that cannot be read is not either."""
    digest = hashlib.sha256(owner.encode())
    try:
        with path.open("rb") as file:
            head = file.read(_CHUNK_BYTES)
            found = _HEAD.match(head)
            if found is None:
                return True
            digest.update(head[: found.start(1)] + _NO_HASH + head[found.end(1) :])
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError:
        return True
    return digest.hexdigest().encode() != found[1]


def made_from_bytes(path: Path) -> int | None:
    """Return how much of the journal a file is made from; None where it does not say."""
    found = _match_head(path, _HEAD)
    return None if found is None else int(found[2])


def _match_head(path: Path, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
    """Return how a file begins; None where it begins otherwise or cannot be read."""
    try:
        with path.open("rb") as file:
            return pattern.match(file.read(_CHUNK_BYTES))
    except OSError:
        return None


def keep_aside(path: Path, *, because: str = "it is not used") -> None:
    """Rename an edited file, so that a new one does not replace it.

    Raises:
        StorageError: the disk refused.
    """
    number = 1
    while (kept := path.with_name(f"{path.stem}.edited-{number}{path.suffix}")).exists():
        number += 1
    with storage_errors(kept):
        path.rename(kept)
        sync_folder(path.parent)
    logger.warning("%s was edited; kept as %s: %s", path, kept.name, because)
