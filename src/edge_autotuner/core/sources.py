"""Facts about a source of frames, and the base class of sources that read a recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edge_autotuner.core.frame import Frame
from edge_autotuner.core.types import SizeWH


@dataclass(frozen=True)
class SourceInfo:
    """Facts about a source.

    Attributes:
        kind: "video", "folder" or "live".
        name: file or folder name without its parents, or a camera's address without credentials; safe to show
            in a report.
        size_wh: size of the first frame, pixels.
        n_frames: number of frames; for a video, counted by reading its packets. None for a live source, which
            has no end.
        rate_hz: frames per second; 1.0 for a folder, which has no clock of its own.
        sha256: hash of the file, of the names and sizes of the folder's pictures, or of a live source's address
            without credentials.
    """

    kind: str
    name: str
    size_wh: SizeWH
    n_frames: int | None
    rate_hz: float
    sha256: str

    @property
    def is_live(self) -> bool:
        """Whether the frames come from a camera now, once, and without a known end."""
        return self.n_frames is None


@dataclass
class Damage:
    """Counts what could not be used while a recording was read.

    Attributes:
        n_lost: frames that could not be decoded; later ones keep their numbers.
        n_times_repaired: frames whose stamp was missing or could not be right.
        n_errors: errors that the decoder reported.
    """

    n_lost: int = 0
    n_times_repaired: int = 0
    n_errors: int = 0


def do_nothing() -> None:
    """Use the time until the next frame for nothing."""


class SourceBase:
    """Defaults for a `FrameSource`, except `info` and `frames`: those of an undamaged recording without picture files.

    Attributes:
        info: facts about the source; a subclass sets it.
        names: empty: frames have no names.
        damage: none; a subclass replaces it, and does not change this one.
    """

    info: SourceInfo
    names: tuple[str, ...] = ()
    damage = Damage()

    @property
    def n_dropped(self) -> int:
        """Return 0: a recording waits for its reader."""
        return 0

    @property
    def length_s(self) -> float | None:
        """Seconds of material, by the number of frames."""
        return None if self.info.n_frames is None else self.info.n_frames / self.info.rate_hz

    def span_s(self, frames: range) -> float:
        """Return how long some frames last, by their number."""
        return len(frames) / self.info.rate_hz

    def original_path(self, frame: Frame) -> Path | None:
        """Return None: no frame has a file of its own."""
        return None

    def stop(self) -> None:
        """Do nothing: no frame keeps its reader waiting."""

    def close(self) -> None:
        """Do nothing: files are open only while `frames` reads them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
