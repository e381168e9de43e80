"""What is known of a source before it is read."""

from __future__ import annotations

from dataclasses import dataclass

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
            goes on until somebody stops it.
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
