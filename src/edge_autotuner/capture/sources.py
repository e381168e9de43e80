"""Opens what a user names as a source: a video file or a folder of pictures."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.capture.picture_folder import PICTURE_SUFFIXES, PictureFolder
from edge_autotuner.capture.video_file import VideoFile
from edge_autotuner.core import FrameSource
from edge_autotuner.errors import VideoError


def open_source(path: Path | str) -> FrameSource:
    """Return the frames of a video file or of a folder of pictures.

    Raises:
        VideoError: it does not exist, cannot be read, or has no frames; one line that says what to do.
    """
    path = Path(path)
    if path.is_dir():
        return PictureFolder(path)
    if not path.exists():
        raise VideoError(f"{path} does not exist; give a video file or a folder of pictures")
    if path.suffix.lower() in PICTURE_SUFFIXES:
        raise VideoError(f"{path} is a single picture; give the folder of pictures or a video file")
    return VideoFile(path)
