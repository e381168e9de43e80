"""Ways to look for motion in a video file: ours, and two as they are usually written with OpenCV and numpy.

The background of gate and naive chain is renewed every 75 frames, as by default, or with each sample, every 5 frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_autotuner.capture import MotionGate, VideoFile
from edge_autotuner.config import BackgroundConfig, MotionConfig
from edge_autotuner.core.types import ImageArray

DEFAULT = BackgroundConfig()
"""Median of 15 frames, one out of five, and then of the next 15; the background is the median of the last three."""

MOVING = BackgroundConfig(n_frames=1, every_k_frames=DEFAULT.every_k_frames, n_backgrounds=DEFAULT.n_frames)
"""Median of the last 15 samples, one frame out of five, anew with each of them."""

_MIN_AREA_PX = 500  # of a contour, as most tutorials have it


def decode(path: Path) -> Iterator[object]:
    """Decode with our reader, which hands out the decoder's own brightness plane."""
    return VideoFile(path).frames()


def decode_and_gate(path: Path, background: BackgroundConfig = DEFAULT) -> Iterator[object]:
    """Decode and look for motion."""
    gate = MotionGate(MotionConfig(), background)
    return map(gate.look, VideoFile(path).frames())


def mog2(path: Path) -> Iterator[object]:
    """OpenCV's reader and mixture of Gaussians on the colour picture in full size."""
    subtractor = cv2.createBackgroundSubtractorMOG2()
    for image_bgr in _read(path):
        mask = subtractor.apply(image_bgr)
        _, changed = cv2.threshold(mask, 200, 255, cv2.THRESH_BINARY)  # shadows are 127
        yield _boxes(changed)


def naive(path: Path, *, renewed_every: int) -> Iterator[object]:
    """OpenCV's reader, grey and blurred in full size, against numpy's median of 15 samples, one frame out of five."""
    samples: deque[ImageArray] = deque(maxlen=DEFAULT.n_frames)
    background = None
    for index, image_bgr in enumerate(_read(path)):
        grey = cv2.GaussianBlur(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), (21, 21), 0)
        if background is None:
            background = grey
        if index % DEFAULT.every_k_frames == 0:
            samples.append(grey)
        if (index + 1) % renewed_every == 0:
            background = np.median(np.stack(samples), axis=0).astype(np.uint8)
        _, changed = cv2.threshold(cv2.absdiff(grey, background), 25, 255, cv2.THRESH_BINARY)
        yield _boxes(cv2.dilate(changed, None, iterations=2))


CONTENDERS: dict[str, Callable[[Path], Iterator[object]]] = {
    "decode": decode,
    "gate": decode_and_gate,
    "mog2": mog2,
    "naive": partial(naive, renewed_every=DEFAULT.n_frames * DEFAULT.every_k_frames),
    "gate moving": partial(decode_and_gate, background=MOVING),
    "naive moving": partial(naive, renewed_every=MOVING.every_k_frames),
}
"""Name in the results -> a video file's frames, one after the other, with what was found in them."""


def _read(path: Path) -> Iterator[Any]:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    try:
        while (read := capture.read())[0]:
            yield read[1]
    finally:
        capture.release()


def _boxes(changed: Any) -> list[Any]:  # noqa: ANN401 (untyped library)
    contours, _ = cv2.findContours(changed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [cv2.boundingRect(contour) for contour in contours if cv2.contourArea(contour) >= _MIN_AREA_PX]
