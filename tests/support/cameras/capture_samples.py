"""Videos and frames with known content for the tests of the capture stage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from edge_autotuner.core import Frame, SourceBase, SourceInfo
from edge_autotuner.core.types import ImageArray, SizeWH


def write_video(path: Path, images: Iterable[ImageArray], *, codec: str, pix_fmt: str, rate: int = 10) -> None:
    """Encode (H, W) grey or (H, W, 3) BGR pictures; "ffv1" is lossless."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        assert isinstance(stream, VideoStream)
        stream.pix_fmt = pix_fmt
        for number, image in enumerate(images):
            if number == 0:
                stream.width, stream.height = image.shape[1], image.shape[0]
            image_format = "gray" if image.ndim == 2 else "bgr24"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format=image_format)))
        container.mux(stream.encode(None))


def grey_pictures(n: int, size_wh: SizeWH, *, seed: int = 0) -> list[ImageArray]:
    """Return n different (H, W) pictures of smooth noise within the range of video, 16 to 235."""
    rng = np.random.default_rng(seed)
    return [rng.integers(16, 236, (size_wh[1], size_wh[0])).astype(np.uint8) for _ in range(n)]


def frame_of(luma: ImageArray, index: int, rate_hz: float = 10.0) -> Frame:
    """Return a grey frame."""
    return Frame(index, index / rate_hz, luma, lambda: np.repeat(luma[:, :, None], 3, axis=2))


def scene_with_square(index: int, left: int | None, *, grey: int = 200, noise: float = 2.0) -> Frame:
    """Return a 160x120 frame: textured, with sensor noise, and a 24x24 square at (left, 50) unless None."""
    base = 90 + 20 * np.sin(np.arange(160) / 9)[None, :] * np.cos(np.arange(120) / 7)[:, None]
    image = base.copy()
    if left is not None:
        image[50:74, max(0, left) : max(0, left + 24)] = grey
    image += np.random.default_rng(index).normal(0, noise, image.shape)
    return frame_of(np.clip(np.rint(image), 0, 255).astype(np.uint8), index)


class ListedFrames(SourceBase):
    """Frames in memory as a `FrameSource`; counts how often it was read."""

    def __init__(self, frames: list[Frame], *, name: str = "listed", n_frames: int | None = None) -> None:
        self._frames = frames
        size_wh = frames[0].size_wh if frames else (160, 120)
        self.info = SourceInfo("video", name, size_wh, len(frames) if n_frames is None else n_frames, 10.0, name * 3)
        self.n_decoded = 0

    def frames(self) -> Iterator[Frame]:
        """Yield the frames."""
        for frame in self._frames:
            self.n_decoded += 1
            yield frame
