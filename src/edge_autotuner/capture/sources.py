"""Opens what a user names as a source: a video file, a folder of pictures, or a camera."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.capture.live import Feed, LiveSource, RealtimeFeed, is_live_address, parse_live_address
from edge_autotuner.capture.picture_folder import PictureFolder
from edge_autotuner.capture.picture_listing import PICTURE_SUFFIXES
from edge_autotuner.capture.video_file import VideoFile
from edge_autotuner.capture.video_packets import require_regular
from edge_autotuner.config import StreamConfig
from edge_autotuner.core import Clock, FrameSource, OnEvent, ignore_event
from edge_autotuner.core.arguments import checked_arguments
from edge_autotuner.core.plugins import SOURCES
from edge_autotuner.errors import VideoError


@checked_arguments
def open_source(
    path_or_address: Path | str,
    stream: StreamConfig | None = None,
    *,
    clock: Clock | None = None,
    on_event: OnEvent = ignore_event,
    lossless: bool = False,
    start_index: int = 0,
    start_time_s: float = 0.0,
    end_time_s: float | None = None,
) -> FrameSource:
    """Return the frames of a video file, of a folder of pictures, or of a camera.

    A camera, and a recording that is played as if live, is a `LiveSource`: close it. All that follows `stream` is
    for these only; `LiveSource` says what it means.

    Args:
        path_or_address: a path, an address such as rtsp://host/path, or a webcam (`/dev/video0`).
        stream: how cameras are connected to, and whether recordings are played at their own pace.
        clock: of the stamps.
        on_event: told what happens to a camera, from another thread.
        lossless: let a recording wait for the reader of its frames, for simulated time.
        start_index: index of the first picture.
        start_time_s: time of the start, seconds.
        end_time_s: when to stop, seconds.

    Raises:
        ConfigError: the address makes no sense, or the distribution that opens it does not work.
        TypeError: an address was given as a `Path`.
        VideoError: it does not exist, cannot be read, or has no frames; one line that says what to do.
    """
    stream = stream or StreamConfig()
    if isinstance(path_or_address, Path) and any(map(_is_scheme, path_or_address.parts[:1])):
        raise TypeError("pass a camera address as str; Path removes one of its slashes")
    if not str(path_or_address):
        raise VideoError("the source is empty; give a video file, a folder of pictures, or an address")
    if is_live_address(str(path_or_address)):
        address = parse_live_address(str(path_or_address))
        feed: Feed = SOURCES.make(address.scheme, address, stream, clock=clock)
    else:
        recording = _open_recording(Path(path_or_address), on_event)
        if not stream.realtime:
            return recording
        feed = RealtimeFeed(recording, clock=clock)
    return LiveSource(
        feed,
        stream,
        clock=clock,
        on_event=on_event,
        lossless=lossless,
        start_index=start_index,
        start_time_s=start_time_s,
        end_time_s=end_time_s,
    )


def _is_scheme(part: str) -> bool:
    return part.endswith(":") and part.removesuffix(":") in SOURCES.built_in


def _open_recording(path: Path, on_event: OnEvent) -> FrameSource:
    require_regular(path)
    if path.is_dir():
        return PictureFolder(path, on_event=on_event)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        raise VideoError(f"{path} is a single picture; give the folder of pictures or a video file")
    return VideoFile(path, on_event=on_event)
