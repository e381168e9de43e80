"""Leaves out frames that resemble a selected one: what changed, where, and how it looks, as a short vector."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from edge_autotuner.core import Frame, MotionResult
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray

Vector = npt.NDArray[Any]

_N_REMEMBERED = 512
"""Frames compared with; the distance to all of them takes tens of microseconds."""


class FrameDescriptor(Protocol):
    """A short description of what moves in a frame, and how different two of them are."""

    def describe(self, frame: Frame, motion: MotionResult) -> Vector:
        """Return a vector whose length and type are the same for every frame, of any size; nothing is changed."""
        ...

    def distances(self, one: Vector, others: Vector) -> FloatArray:
        """Return (N,) how different one description is from (N, D) others: 0 the same, 1 nothing in common."""
        ...


def make_descriptor(name: Literal["none", "hash", "embedding"]) -> FrameDescriptor:
    """Return the descriptor of that name; with "none", no two frames have anything in common."""
    match name:
        case "none":
            return NoDescriptor()
        case "hash":
            return HashDescriptor()
        case "embedding":
            return AppearanceDescriptor()


class SimilarFrames:
    """Remembers the descriptions of the last 512 selected frames.

    Args:
        descriptor: how frames are described.
        min_distance: frames closer than this resemble each other, 0..1.
    """

    def __init__(self, descriptor: FrameDescriptor, *, min_distance: float) -> None:
        self._descriptor = descriptor
        self._min_distance = min_distance
        self._vectors: Vector | None = None  # (512, D), a ring
        self._n_seen = 0

    def describe(self, frame: Frame, motion: MotionResult) -> Vector:
        """Return the description of a frame."""
        return self._descriptor.describe(frame, motion)

    def has_like(self, vector: Vector) -> bool:
        """Whether a remembered frame resembles this one."""
        if self._vectors is None:
            return False
        distances = self._descriptor.distances(vector, self._vectors[: self._n_seen])
        return bool(distances.min() < self._min_distance)

    def remember(self, vector: Vector) -> None:
        """Add a selected frame; the oldest is forgotten."""
        if self._vectors is None:
            self._vectors = np.zeros((_N_REMEMBERED, *vector.shape), vector.dtype)
        self._vectors[self._n_seen % _N_REMEMBERED] = vector
        self._n_seen += 1


class NoDescriptor:
    """Describes nothing, so that every frame differs from every other."""

    def describe(self, frame: Frame, motion: MotionResult) -> Vector:
        """Return (0,) float32."""
        return np.zeros(0, np.float32)

    def distances(self, one: Vector, others: Vector) -> FloatArray:
        """Return (N,) ones."""
        return np.ones(len(others), np.float32)


class HashDescriptor:
    """Perceptual hash of the place of all changes and of the picture around them, 252 bits; Hamming distance.

    Half of the bits say where the changes are, half how the box around them looks.

    Source:
        pHash (Zauner 2010): the lowest frequencies of the cosine transform of a 32x32 picture, without the mean.
        Differs: two bits for each, clearly positive and clearly negative, instead of one against the median, so that
        sensor noise in a flat picture flips none.
    """

    def describe(self, frame: Frame, motion: MotionResult) -> Vector:
        """Return (32,) uint8, packed bits."""
        place = cv2.resize(motion.mask.view(np.uint8) * np.uint8(255), (32, 32), interpolation=cv2.INTER_AREA)
        content = cv2.resize(_changed_part(motion), (32, 32), interpolation=cv2.INTER_AREA)
        return np.packbits(np.concatenate([_frequency_signs(place), _frequency_signs(content)]))

    def distances(self, one: Vector, others: Vector) -> FloatArray:
        """Return (N,) the share of different bits."""
        n_different = np.bitwise_count(one ^ others).sum(axis=-1, dtype=np.int64)
        return np.asarray(n_different / (4 * 63), np.float32)


class AppearanceDescriptor:
    """Edges of the changed part, and where in the frame the changes are; cosine distance.

    The edges are a histogram of oriented gradients of the box around all changes, at 64x64, the place a 12x12 map of
    the changed share. Both count the same. As nothing is negative, the distance is at most 1.

    Source:
        Dalal and Triggs 2005: 9 unsigned orientations. Differs: 4x4 cells, no blocks, one common norm. Written out here
        because OpenCV 5 no longer has HOGDescriptor in its main modules.
    """

    def describe(self, frame: Frame, motion: MotionResult) -> Vector:
        """Return (288,) float32 of length 1; of length 0 when nothing changed in a flat picture."""
        content = cv2.resize(_changed_part(motion), (64, 64), interpolation=cv2.INTER_AREA)
        place = cv2.resize(motion.mask.astype(np.float32), (12, 12), interpolation=cv2.INTER_AREA)
        return _unit(np.concatenate([_unit(_oriented_gradients(content)), _unit(place.ravel())]))

    def distances(self, one: Vector, others: Vector) -> FloatArray:
        """Return (N,) one minus the cosine of the angle, 0..1."""
        return np.asarray(np.clip(1 - others @ one, 0, 1), np.float32)


def _changed_part(motion: MotionResult) -> ImageArray:
    """Return the brightness of the box around all changes; of the whole frame when there are none."""
    rows, columns = (np.flatnonzero(motion.mask.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return motion.blurred_luma
    return motion.blurred_luma[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _frequency_signs(picture: npt.NDArray[Any]) -> BoolArray:
    """Return (126,) whether each of the 63 lowest frequencies is clearly positive, then clearly negative."""
    frequencies = cv2.dct(picture.astype(np.float32))[:8, :8].ravel()[1:]
    clear = max(8.0, 0.25 * float(np.sqrt(np.mean(frequencies**2))))  # 8: noise of one grey level gives 1
    return np.concatenate([frequencies > clear, frequencies < -clear])


def _oriented_gradients(picture: ImageArray) -> FloatArray:
    """Return (144,) the gradient of a 64x64 picture summed by cell and orientation."""
    dx = cv2.Sobel(picture, cv2.CV_32F, 1, 0)
    dy = cv2.Sobel(picture, cv2.CV_32F, 0, 1)
    magnitude, angle = cv2.cartToPolar(dx, dy)  # angle in 0..2 pi; opposite directions are the same edge
    orientation = np.asarray(angle * (9 / np.pi), np.int64) % 9
    cell = np.arange(64) // 16
    bins = (cell[:, None] * 4 + cell[None, :]) * 9 + orientation
    return np.bincount(bins.ravel(), weights=magnitude.ravel(), minlength=144).astype(np.float32)


def _unit(vector: FloatArray) -> FloatArray:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector
