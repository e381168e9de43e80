"""Messages from the process of a job to its worker, as lines of JSON: progress, events, and errors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_autotuner.storage.child_process import Say, StepMessages, print_line

_SAY_EVERY_S = 0.5


class JobSteps:
    """The progress of a job's stages as messages; epochs are reported once their checkpoint is written.

    Args:
        trainings: folder of the run's trainings.
    """

    def __init__(self, trainings: Path, say: Say = print_line) -> None:
        self._trainings, self._say = trainings, say
        self._told: set[tuple[str, int]] = set()
        self._steps = StepMessages(lambda progress: say({"progress": progress}), every_s=_SAY_EVERY_S)
        self._note = ""

    def stage(self, name: str, text: str = "") -> None:
        """Report the end of a stage."""
        self.tell_epochs()
        self._say({"event": {"kind": "stage", "name": name, "text": text}})

    def start(self, task: str, total: int | None) -> None:
        """Begin a task."""
        self._steps.start(task, total)

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        """Count steps; the note names the epoch."""
        epoch = note.partition(",")[0]
        if epoch != self._note:
            self._note = epoch
            self.tell_epochs()
        self._steps.advance(steps)

    def finish(self) -> None:
        """End the task."""
        self.tell_epochs()
        self._steps.finish()

    def tell_epochs(self) -> None:
        """Report the epochs of new checkpoints."""
        from edge_autotuner.training.checkpoints import read_history

        for folder in sorted(self._trainings.glob("[0-9a-f]*/*")):
            for record in read_history(folder):
                if (folder.name, record.epoch) in self._told:
                    continue
                self._told.add((folder.name, record.epoch))
                text = f"epoch {record.epoch}: loss {record.loss:.3f}, validation AP {record.val_ap:.3f}"
                self._say({"event": {"kind": "epoch", "name": folder.name, "text": text, "values": asdict(record)}})


def is_new(event: Mapping[str, Any], known: Collection[tuple[str, int]]) -> bool:
    """Whether an event was not recorded by an earlier attempt."""
    return event["kind"] != "epoch" or (event["name"], event["values"]["epoch"]) not in known
