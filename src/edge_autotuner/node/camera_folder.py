"""The folder that an edge node keeps for one camera.

DIR/bundles/NAME/        its models; DIR/bundle points at the deployed one
DIR/batches/00000001/    one folder of a run for each batch: frames, labels, training, report
DIR/reservoir/           earlier pictures that are learned from again
DIR/learning.yaml        settings of the learning process
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from edge_autotuner.core.json_limits import load_json
from edge_autotuner.deployment.deployed import BUNDLES_FOLDER, DEPLOYED_LINK, NOTE_FILE
from edge_autotuner.errors import ConfigError, DatasetError
from edge_autotuner.pipeline.loop import CAPTURE
from edge_autotuner.pipeline.run_folder import SETTINGS_FILE, STATE_FILE, RunFolder
from edge_autotuner.storage.atomic import atomic_write_json, make_folder, remove_leftovers, storage_errors

logger = logging.getLogger(__name__)

Outcome = Literal["deployed", "candidate", "kept", "useless"]
"""Of a batch: the candidate was deployed; it is better and waits for a promotion at the registry; the old model was
kept; there was nothing to learn from."""

LEARNING_FILE = "learning.yaml"
BATCHES_FOLDER = "batches"
RESERVOIR_FOLDER = "reservoir"

_BATCH_NAME = re.compile(r"\d{8}")
_OUTCOME_FILE = "outcome.json"


@dataclass(frozen=True)
class BatchOutcome:
    """The outcome of a batch.

    Attributes:
        bundle: name of the candidate's bundle in the camera's folder; None without one.
        finished_at: ISO 8601, UTC.
    """

    outcome: Outcome
    reason: str
    bundle: str | None
    finished_at: str


class BatchFolder:
    """One batch: the folder of a run, and its outcome."""

    def __init__(self, path: Path) -> None:
        self.run = RunFolder(path)

    @property
    def name(self) -> str:
        """Its number, eight digits."""
        return self.run.path.name

    @property
    def is_collected(self) -> bool:
        """Whether it is closed: all its frames are collected."""
        return self.closed_at is not None

    @property
    def closed_at(self) -> str | None:
        """When it was closed, ISO 8601, UTC; None before."""
        record = self.run.stage(CAPTURE.name)
        return record.finished_at if record else None

    @property
    def outcome(self) -> BatchOutcome | None:
        """Its outcome; None before.

        Raises:
            DatasetError: the file is damaged.
        """
        file = self.run.path / _OUTCOME_FILE
        if not file.is_file():
            return None
        try:
            return BatchOutcome(**load_json(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError) as exc:
            raise DatasetError(f"{file} is damaged ({exc}); delete it to learn from the batch again") from exc

    def damaged_files(self) -> list[Path]:
        """Return its damaged records; a record that the disk fails to read does not count."""
        damaged = []
        for name, read in ((_OUTCOME_FILE, lambda: self.outcome), (STATE_FILE, lambda: self.is_collected)):
            try:
                read()
            except DatasetError as exc:
                if not isinstance(exc.__cause__, OSError):
                    damaged.append(self.run.path / name)
        if self.run.has_settings:
            try:
                self.run.settings()
            except ConfigError as exc:
                if not isinstance(exc.__cause__, OSError):
                    damaged.append(self.run.path / SETTINGS_FILE)
        return damaged

    def finish(self, outcome: BatchOutcome) -> None:
        """Record the outcome; the batch is never worked on again."""
        atomic_write_json(self.run.path / _OUTCOME_FILE, asdict(outcome), indent=2)


class CameraFolder:
    """The folder of one camera; see the module."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def reservoir(self) -> Path:
        """Folder of earlier pictures."""
        return self.path / RESERVOIR_FOLDER

    @property
    def learning_settings(self) -> Path:
        """File that tells the learning process its settings."""
        return self.path / LEARNING_FILE

    @property
    def lock(self) -> Path:
        """Folder whose lock is held by the process that works on batches."""
        return self.path / BATCHES_FOLDER

    def remove_leftovers(self) -> None:
        """Delete half-written files of a killed node; those of a batch are left to the process that works on it."""
        bundles = self.path / BUNDLES_FOLDER
        for folder in (self.path, bundles, *bundles.glob("*/")):
            remove_leftovers(folder)

    @property
    def has_broken_link(self) -> bool:
        """Whether the deployed bundle is gone."""
        link = self.path / DEPLOYED_LINK
        return link.is_symlink() and not link.exists()

    def last_outcome(self) -> BatchOutcome | None:
        """Return the outcome of the last finished batch; None before the first.

        Raises:
            DatasetError: a record is damaged.
        """
        outcomes = (batch.outcome for batch in reversed(self.batches()))
        return next((outcome for outcome in outcomes if outcome is not None), None)

    def set_aside_damage(self) -> list[Path]:
        """Rename damaged records and broken links; return the new names.

        A batch with a damaged record of stages is completed once more, one with a damaged outcome is
        learned from again, and a camera whose deployed bundle is gone gets its first model again. Frames and labels
        stay as they are.

        Raises:
            StorageError: a name cannot be changed.
        """
        damaged = [file for batch in self.batches() for file in batch.damaged_files()]
        if self.has_broken_link:
            damaged.append(self.path / DEPLOYED_LINK)
            if (self.path / NOTE_FILE).exists():  # it says that the registry's decision was carried out
                damaged.append(self.path / NOTE_FILE)
        return [_set_aside(file) for file in damaged]

    def batches(self) -> list[BatchFolder]:
        """Return all batches, the oldest first."""
        if not self.lock.is_dir():
            return []
        return [BatchFolder(path) for path in sorted(self.lock.iterdir()) if _BATCH_NAME.fullmatch(path.name)]

    def bundles(self) -> list[Path]:
        """Return the folders of its models, in no order."""
        folder = self.path / BUNDLES_FOLDER
        return [path for path in folder.iterdir() if path.name[0] != "."] if folder.is_dir() else []

    def collecting(self) -> BatchFolder | None:
        """Return the batch that is being collected; None between two."""
        return next((batch for batch in self.batches() if not batch.is_collected and batch.outcome is None), None)

    def waiting(self) -> BatchFolder | None:
        """Return the oldest closed batch without an outcome; None if there is none."""
        return next((batch for batch in self.batches() if batch.is_collected and batch.outcome is None), None)

    def bundles_in_use(self) -> set[str]:
        """Return the names of the bundles that unfinished batches start from."""
        names = set()
        for batch in self.batches():
            if batch.run.has_settings and batch.outcome is None:
                names.add(Path(batch.run.settings().edge_model).name)
        return names

    def new_batch(self) -> BatchFolder:
        """Return the next batch; its folder is made."""
        numbers = [int(batch.name) for batch in self.batches()]
        batch = BatchFolder(self.lock / f"{max(numbers, default=0) + 1:08d}")
        make_folder(batch.run.path)
        return batch


def _set_aside(path: Path) -> Path:
    """Rename a damaged file or link, so that only people read it."""
    aside, number = path.with_name(f"{path.name}.damaged"), 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{number}")
    with storage_errors(aside):
        path.rename(aside)
    logger.error("%s is damaged; kept as %s and ignored", path, aside.name)
    return aside
