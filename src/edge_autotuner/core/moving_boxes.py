"""Where objects will be: boxes with constant velocity, and how sure that is.

Source: SORT, Bewley et al., arXiv 1602.00763 (Kalman filter). Differs: times between frames vary, noise grows with the
size of the object, and one covariance serves all four sides.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_autotuner.core.types import BoolArray, FloatArray, IntArray

Float64Array = npt.NDArray[np.float64]

# In sizes of the object, the size being the root of its area; chosen on PETS 0-499, where they hardly matter.
_MEASUREMENT_STD = 0.05
_FIRST_SPEED_STD = 1.0  # per second: a pedestrian
_ACCELERATION_STD = 1.0  # per second squared

_FIRST_COVARIANCE: Float64Array = np.diag([_MEASUREMENT_STD**2, _FIRST_SPEED_STD**2])


def place_std_after(gap_s: float) -> float:
    """Return how uncertain the place of an object is `gap_s` seconds after it was seen once, in sizes of the object."""
    return float(np.sqrt(_predict_covariances(_FIRST_COVARIANCE[None], np.array([gap_s]))[0, 0, 0]))


class MovingBoxes:
    """Objects with their motion; row i of every array is one object as it was when it was seen last.

    Attributes:
        seen_s: (N,) when each was seen last, seconds.
    """

    def __init__(self) -> None:
        self.seen_s: Float64Array = np.zeros(0)
        self._boxes: Float64Array = np.zeros((0, 4))
        self._velocities: Float64Array = np.zeros((0, 4))  # pixels per second
        self._covariances: Float64Array = np.zeros((0, 2, 2))  # of a side and its velocity, in sizes of the object

    def __len__(self) -> int:
        return len(self.seen_s)

    def expected(self, time_s: float) -> Float64Array:
        """Return the (N, 4) boxes at a time, pixels."""
        return self._boxes + self._velocities * (time_s - self.seen_s)[:, None]

    def place_stds(self, time_s: float) -> Float64Array:
        """Return (N,) how uncertain each place is at a time, in sizes of the object."""
        return np.sqrt(_predict_covariances(self._covariances, time_s - self.seen_s)[:, 0, 0])

    def keep(self, kept: BoolArray) -> None:
        """Forget all other objects."""
        self.seen_s, self._boxes = self.seen_s[kept], self._boxes[kept]
        self._velocities, self._covariances = self._velocities[kept], self._covariances[kept]

    def see(self, rows: IntArray, time_s: float, boxes_xyxy: FloatArray) -> None:
        """Update the objects in (R,) rows, whose (R, 4) boxes were measured: the correction step of the filter."""
        gaps_s = time_s - self.seen_s[rows]
        expected = self._boxes[rows] + self._velocities[rows] * gaps_s[:, None]
        covariances = _predict_covariances(self._covariances[rows], gaps_s)
        gains = covariances[:, :, 0] / (covariances[:, :1, 0] + _MEASUREMENT_STD**2)  # (R, 2)
        surprise = boxes_xyxy - expected  # (R, 4)
        self._boxes[rows] = expected + gains[:, :1] * surprise
        self._velocities[rows] += gains[:, 1:] * surprise
        self._covariances[rows] = covariances - gains[:, :, None] * covariances[:, :1, :]
        self.seen_s[rows] = time_s

    def add(self, time_s: float, boxes_xyxy: FloatArray) -> None:
        """Add objects with (M, 4) boxes behind the others; their velocity is unknown."""
        n_new = len(boxes_xyxy)
        self.seen_s = np.concatenate([self.seen_s, np.full(n_new, time_s)])
        self._boxes = np.concatenate([self._boxes, boxes_xyxy])
        self._velocities = np.concatenate([self._velocities, np.zeros((n_new, 4))])
        self._covariances = np.concatenate([self._covariances, np.tile(_FIRST_COVARIANCE, (n_new, 1, 1))])


def _predict_covariances(covariances: Float64Array, gaps_s: Float64Array) -> Float64Array:
    """Return the (N, 2, 2) uncertainty after gaps of (N,) seconds in which the velocity may have changed."""
    move = np.tile(np.eye(2), (len(gaps_s), 1, 1))
    move[:, 0, 1] = gaps_s
    push = np.stack([gaps_s**2 / 2, gaps_s], axis=1)  # (N, 2): what an acceleration of 1 does to side and velocity
    noise = _ACCELERATION_STD**2 * push[:, :, None] * push[:, None, :]
    return np.asarray(move @ covariances @ move.transpose(0, 2, 1) + noise)
