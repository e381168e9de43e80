"""How far a camera has been watched; what an interrupted watch continues from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edge_autotuner.dataset import DatasetStore

_NOTE = "live_progress"


@dataclass(frozen=True)
class LiveProgress:
    """The part of a camera's timeline that has been watched.

    Attributes:
        watched_s: seconds of it.
        n_frames: frames that the camera has given, dropped ones included.
    """

    watched_s: float = 0.0
    n_frames: int = 0

    @classmethod
    def of(cls, store: DatasetStore) -> LiveProgress:
        """Return where the watch of a dataset stopped; the start for a new one."""
        note: Any = store.note(_NOTE)
        progress = cls(**note) if isinstance(note, dict) else cls()
        # a kill may have come after the last frame and before the note
        records = store.frames()
        return cls(
            max([progress.watched_s, *(record.time_s for record in records)]),
            max([progress.n_frames, *(record.index + 1 for record in records)]),
        )

    def remember(self, store: DatasetStore) -> None:
        """Store it in the dataset."""
        store.set_note(_NOTE, asdict(self))
