"""What the stages of one command share: folder, settings, clock, progress, and the time that is left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_autotuner.config import RunConfig
from edge_autotuner.core import Clock, Deadline, NoProgress, Progress, SystemClock
from edge_autotuner.pipeline.run_folder import RunFolder, StageRecord

# Shares of a deadline for the whole job at whose end each stage must stop; training takes what is left.
_CAPTURE_SHARE = 0.25
_ANNOTATION_SHARE = 0.5


@dataclass
class Session:
    """One command at work on one run folder.

    Attributes:
        folder: where everything is kept.
        config: resolved settings.
        clock: where time comes from.
        progress: told of long jobs.
        command: what the user typed, for the report.
        camera: whose model is made; bundles name it. None: nobody says.
    """

    folder: RunFolder
    config: RunConfig
    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = field(default_factory=NoProgress)
    command: str = ""
    camera: str | None = None

    def __post_init__(self) -> None:
        self.folder.remove_leftovers()
        self._whole = Deadline(self.config.deadline_s, self.clock)

    @classmethod
    def open(cls, output: Path, config: RunConfig, *, progress: Progress | None = None, command: str = "") -> Session:
        """Start to work on an output folder with these settings."""
        return cls(RunFolder(output), config, progress=progress or NoProgress(), command=command)

    def keep_settings(self) -> None:
        """Save the settings for later commands; a stage does so once it knows that it can work with them."""
        self.folder.save_settings(self.config)

    def capture_deadline(self) -> Deadline:
        """Return until when frames may be collected."""
        return self._deadline(self.config.capture.deadline_s, _CAPTURE_SHARE)

    def annotation_deadline(self) -> Deadline:
        """Return until when the teacher may be asked."""
        return self._deadline(None, _ANNOTATION_SHARE)

    def training_deadline(self) -> Deadline:
        """Return until when the student may train."""
        return self._deadline(self.config.training.deadline_s, 1.0)

    def _deadline(self, own_s: float | None, share: float) -> Deadline:
        budgets = [own_s] if own_s is not None else []
        if self.config.deadline_s is not None:
            budgets.append(max(self.config.deadline_s * share - self._whole.elapsed_s, 1e-3))
        return Deadline(min(budgets), self.clock) if budgets else Deadline(None, self.clock)

    @contextmanager
    def stage(self, name: str, fingerprint: str) -> Iterator[dict[str, Any]]:
        """Record a stage as done when the block ends well; the block fills the summary."""
        began_s = self.clock.monotonic_s()
        summary: dict[str, Any] = {}
        yield summary
        seconds = float(summary.pop("seconds", self.clock.monotonic_s() - began_s))
        self.folder.finish(name, StageRecord(fingerprint, seconds, self.clock.now().isoformat(), summary))

    def is_done(self, name: str, fingerprint: str) -> bool:
        """Whether a stage was finished with this fingerprint."""
        record = self.folder.stage(name)
        return record is not None and record.fingerprint == fingerprint
