"""A progress bar with the time left."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from edge_autotuner.core.printable import printable


class ProgressBar:
    """Draws on standard error; one plain line per task where that is not a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def start(self, task: str, total: int | None) -> None:
        """Begin a task, ending the one before."""
        self.finish()
        if not sys.stderr.isatty():
            self._console.print(f"{printable(task)} ...", highlight=False, markup=False)
            return
        self._bar = RichProgress(
            TextColumn("{task.description:<12}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
        )
        self._bar.start()
        self._task = self._bar.add_task(printable(task), total=total, note="")

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        """Move the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=steps, note=printable(note))

    def finish(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
