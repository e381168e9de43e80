"""What an edge node keeps of one camera.

DIR/bundles/NAME/        its models; DIR/bundle points at the deployed one
DIR/batches/00000001/    one folder of a run for each batch: frames, labels, training, report
DIR/reservoir/           earlier pictures that are learned from again
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from edge_autotuner.dataset import atomic_write_json
from edge_autotuner.dataset.atomic import make_folder, remove_leftovers
from edge_autotuner.errors import DatasetError
from edge_autotuner.pipeline.run_folder import RunFolder

Outcome = Literal["deployed", "candidate", "kept", "useless"]
"""Of a batch: the candidate was deployed; it is better, and waits for a promotion at the registry; the old model
stayed; there was nothing to learn from."""

_BATCH_NAME = re.compile(r"\d{8}")
_OUTCOME_FILE = "outcome.json"


@dataclass(frozen=True)
class BatchOutcome:
    """What came of a batch.

    Attributes:
        outcome: in one word.
        reason: for people.
        bundle: name of the candidate's bundle in the camera's folder; None without one.
        finished_at: ISO 8601, UTC.
    """

    outcome: Outcome
    reason: str
    bundle: str | None
    finished_at: str


class Batch:
    """One batch: the folder of a run, and what came of it."""

    def __init__(self, path: Path) -> None:
        self.run = RunFolder(path)

    @property
    def name(self) -> str:
        """Its number, eight digits."""
        return self.run.path.name

    @property
    def is_collected(self) -> bool:
        """Whether all its frames are there."""
        return self.run.stage("capture") is not None

    @property
    def closed_at(self) -> str | None:
        """When its last frame was there, ISO 8601, UTC; None before."""
        record = self.run.stage("capture")
        return record.finished_at if record else None

    @property
    def outcome(self) -> BatchOutcome | None:
        """What came of it; None before.

        Raises:
            DatasetError: the file is damaged.
        """
        file = self.run.path / _OUTCOME_FILE
        if not file.is_file():
            return None
        try:
            return BatchOutcome(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as exc:
            raise DatasetError(f"{file} is damaged ({exc}); delete it, and the batch is learned from again") from exc

    def finish(self, outcome: BatchOutcome) -> None:
        """Record what came of it; then it is never worked on again."""
        atomic_write_json(self.run.path / _OUTCOME_FILE, asdict(outcome), indent=2)


class CameraFolder:
    """The folder of one camera; see the module."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def reservoir(self) -> Path:
        """Folder of earlier pictures."""
        return self.path / "reservoir"

    @property
    def lock(self) -> Path:
        """Folder whose lock the one process holds that works on batches."""
        return self.path / "batches"

    def remove_leftovers(self) -> None:
        """Delete what a killed node has left half written, but for batches: who works on one does that."""
        bundles = self.path / "bundles"
        for folder in (self.path, bundles, *bundles.glob("*/")):
            remove_leftovers(folder)

    def batches(self) -> list[Batch]:
        """Return all batches, the oldest first."""
        if not self.lock.is_dir():
            return []
        return [Batch(path) for path in sorted(self.lock.iterdir()) if _BATCH_NAME.fullmatch(path.name)]

    def collecting(self) -> Batch | None:
        """Return the batch that is being collected; None between two."""
        last = self.batches()[-1:]
        return last[0] if last and not last[0].is_collected else None

    def waiting(self) -> Batch | None:
        """Return the oldest batch that is collected and that nothing came of yet; None if there is none."""
        return next((batch for batch in self.batches() if batch.is_collected and batch.outcome is None), None)

    def new_batch(self) -> Batch:
        """Return the next batch; its folder is made."""
        numbers = [int(batch.name) for batch in self.batches()]
        batch = Batch(self.lock / f"{max(numbers, default=0) + 1:08d}")
        make_folder(batch.run.path)
        return batch
