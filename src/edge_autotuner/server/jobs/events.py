"""What the process of a job tells its worker, line by line: progress, events, and why it failed; JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

_SAY_EVERY_S = 0.5

Say = Callable[[Mapping[str, Any]], None]


def print_line(message: Mapping[str, Any]) -> None:
    """Write a message where the worker reads."""
    print(json.dumps(message, allow_nan=False), flush=True)


class JobSteps:
    """The progress of a job's stages, as messages; epochs are told when their checkpoint is there.

    Args:
        trainings: folder of the run's trainings.
        say: takes the messages.
    """

    def __init__(self, trainings: Path, say: Say = print_line) -> None:
        self._trainings, self._say = trainings, say
        self._told: set[tuple[str, int]] = set()
        self._task, self._note, self._n_done, self._said_s = "", "", 0, 0.0
        self._total: int | None = None

    def stage(self, name: str, text: str = "") -> None:
        """Say that a stage is done."""
        self.tell_epochs()
        self._say({"event": {"kind": "stage", "name": name, "text": text}})

    def start(self, task: str, total: int | None) -> None:
        """Begin a task."""
        self._task, self._total, self._n_done = task, total, 0
        self._report(is_due=True)

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        """Count steps; the note says which epoch it is."""
        self._n_done += steps
        epoch = note.partition(",")[0]
        if epoch != self._note:
            self._note = epoch
            self.tell_epochs()
        self._report(is_due=time.monotonic() - self._said_s >= _SAY_EVERY_S)

    def finish(self) -> None:
        """End the task."""
        self.tell_epochs()
        self._report(is_due=True)

    def tell_epochs(self) -> None:
        """Say what the checkpoints have that was not said yet."""
        from edge_autotuner.training.checkpoints import read_history

        for folder in sorted(self._trainings.glob("[0-9a-f]*/*")):
            for record in read_history(folder):
                if (folder.name, record.epoch) in self._told:
                    continue
                self._told.add((folder.name, record.epoch))
                text = f"epoch {record.epoch}: loss {record.loss:.3f}, validation AP {record.val_ap:.3f}"
                self._say({"event": {"kind": "epoch", "name": folder.name, "text": text, "values": asdict(record)}})

    def _report(self, *, is_due: bool) -> None:
        if is_due:
            self._said_s = time.monotonic()
            self._say({"progress": {"task": self._task, "done": self._n_done, "total": self._total}})


def is_new(event: Mapping[str, Any], known: Collection[tuple[str, int]]) -> bool:
    """Whether an event was not noted by an earlier attempt."""
    return event["kind"] != "epoch" or (event["name"], event["values"]["epoch"]) not in known
