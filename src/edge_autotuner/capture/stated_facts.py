"""What a video states of itself that is not followed: said once, so that nobody has to wonder.

What is followed needs no word: rotation, cropping by the codec, colour matrix and range, edit lists, stamps.
"""

from __future__ import annotations

import logging
from pathlib import Path

from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge_autotuner.capture.upright import orientation_of
from edge_autotuner.capture.video_packets import open_video, video_stream

logger = logging.getLogger(__name__)

_VISIBLE_STRETCH = 0.01  # of pixels: encoders state 16384:16383 and mean 1:1
_HDR_CURVES = {16: "PQ", 18: "HLG"}  # transfer characteristics of ITU-T H.273


def say_what_is_not_followed(path: Path, first: VideoFrame) -> None:
    """Log a warning for each property that a video states and the reader does not apply.

    Args:
        path: the file.
        first: its first picture.
    """
    with open_video(path) as container:
        stream = video_stream(container, path)
        others = [other for other in container.streams.video if other.index != stream.index]
        for words in (*facts_of_stream(stream, others), *facts_of_picture(first)):
            logger.warning("%s: %s", path, words)


def facts_of_stream(stream: VideoStream, others: list[VideoStream]) -> list[str]:
    """Return what the stream states and is not followed, one sentence each."""
    found = []
    n_films = sum(not other.disposition & Disposition.attached_pic for other in others)
    if n_films:
        found.append(f"holds {n_films + 1} video streams; stream {stream.index} is read, the first one")
    ratio = stream.sample_aspect_ratio
    if ratio and abs(ratio - 1) > _VISIBLE_STRETCH:
        found.append(
            f"has non-square pixels ({ratio.numerator}:{ratio.denominator}); they are used as stored, and boxes are "
            f"in stored pixels"
        )
    return found


def facts_of_picture(picture: VideoFrame) -> list[str]:
    """Return what a picture states and is not followed, one sentence each."""
    found = []
    if picture.interlaced_frame:
        found.append("is interlaced; both fields are used as one picture, so moving objects have combed edges")
    curve = _HDR_CURVES.get(int(picture.color_trc))
    if curve:
        found.append(f"is HDR ({curve}); it is not tone-mapped and looks flat")
    if not orientation_of(picture).is_exact:
        found.append("asks for a rotation that is not a multiple of 90 degrees; it is ignored")
    return found
