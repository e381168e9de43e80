"""Progress of long jobs, independent of any screen."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the state of a long job; the command line draws a bar with the time left."""

    def start(self, task: str, total: int | None) -> None:
        """Begin a task of `total` steps (None: unknown)."""
        ...

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        """Say that steps are done; `note` is shown beside the bar."""
        ...

    def finish(self) -> None:
        """End the current task."""
        ...


class NoProgress:
    """Ignores everything."""

    def start(self, task: str, total: int | None) -> None:
        """Ignore."""

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        """Ignore."""

    def finish(self) -> None:
        """Ignore."""
