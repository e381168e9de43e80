"""Keeps the derived files of a dataset in step with its journal: COCO JSON and the manifest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from edge_autotuner.dataset.coco_export import (
    COCO_NAME,
    MANIFEST_NAME,
    TRAINING_COCO_NAME,
    CocoFrame,
    build_coco,
    build_manifest,
    labels_in_use,
)
from edge_autotuner.dataset.derived import made_from_bytes, refuse_edited, write_derived
from edge_autotuner.dataset.state import AnnotationRun, DatasetState, Header

DERIVED_NAMES = (COCO_NAME, MANIFEST_NAME, TRAINING_COCO_NAME)
EXPORT_EVERY = 50  # additions between two exports of a small dataset
_EXPORT_SHARE = 0.25  # of the records of a large one: an export costs as much as there is


class DerivedFiles:
    """The derived files in one folder, and whether they are behind the journal.

    A file that somebody has edited is never overwritten: it is refused, or kept under another name.

    Args:
        folder: of the dataset.

    Attributes:
        are_stale: whether the files lack something that this process knows of; the journal's writer sets it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._n_additions = 0  # since the last export
        self.are_stale = False

    def are_due(self, *, n_frames: int) -> bool:
        """Count an addition to a dataset of so many frames; return whether it is time for an export."""
        self._n_additions += 1
        return self._n_additions >= max(EXPORT_EVERY, _EXPORT_SHARE * n_frames)

    def are_behind(self, journal_bytes: int) -> bool:
        """Whether a file is missing, or made from less or more of the journal than there is."""
        paths = self._folder / COCO_NAME, self._folder / MANIFEST_NAME
        return any(made_from_bytes(path) != journal_bytes for path in paths)

    def write(self, state: DatasetState, header: Header, *, journal_bytes: int, updated_at: datetime) -> None:
        """Write the labels in use, and no others, and the manifest.

        Args:
            state: of the dataset.
            header: its first record.
            journal_bytes: length of the journal that adds up to this state.
            updated_at: aware UTC time, for the manifest.

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
        """Make sure that nobody expects an edit of a file to count.

        Raises:
            DatasetError: a file is not as it was written for this dataset.
        """
        refuse_edited((self._folder / name for name in DERIVED_NAMES), owner=owner_of(header))

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
    """Return what tells the files of this dataset from those of another."""
    return json.dumps([header.created_at, header.source.sha256, *header.labels.names])
