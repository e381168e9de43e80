"""What is known of a source before it is read."""

from __future__ import annotations

from dataclasses import dataclass

from edge_autotuner.core.types import SizeWH


@dataclass(frozen=True)
class SourceInfo:
    """Facts about a recorded source.

    Attributes:
        kind: "video" or "folder".
        name: file or folder name without its parents; safe to show in a report.
        size_wh: size of the first frame, pixels.
        n_frames: number of frames; for a video, counted by reading its packets.
        rate_hz: frames per second; 1.0 for a folder, which has no clock of its own.
        sha256: hash of the file, or of the names and sizes of the folder's pictures.
    """

    kind: str
    name: str
    size_wh: SizeWH
    n_frames: int
    rate_hz: float
    sha256: str
