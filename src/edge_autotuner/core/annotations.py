"""A teacher's labels for one frame, what the teacher is told about the frame, and the base class of teachers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.detections import Detections
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray

Look = Literal["tiles", "crops", "full"]
"""Where a teacher looks: at the frame and tiles of it, at crops around what moves, or at the frame alone."""


@dataclass(frozen=True, eq=False)
class Annotation:
    """A teacher's labels for one frame.

    Attributes:
        detections: in frame coordinates, classes of the dataset's label map, down to the lowest score of
            the uncertain band; the training decides by score which are positive and which uncertain.
        looked_xyxy: (R, 4) rectangles, frame pixels, that the teacher has seen. Outside of them nothing
            is known: neither object nor background.
        n_calls: how often the detector ran.
        n_pixels: pixels of the frame that were sent to the teacher, before its own resizing.
    """

    detections: Detections
    looked_xyxy: FloatArray
    n_calls: int = 0
    n_pixels: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "looked_xyxy", as_boxes(self.looked_xyxy))

    @classmethod
    def nothing_seen(cls) -> Annotation:
        """Return the annotation of a frame that no teacher has looked at."""
        return cls(Detections.empty(), np.zeros((0, 4), np.float32))


@dataclass(frozen=True, eq=False)
class Scene:
    """What is known about a frame besides its picture.

    Attributes:
        moving_xyxy: (M, 4) everything that moves in it, frame pixels.
        read_background: returns the (h, w) brightness of the empty scene; None where it is unknown.
    """

    moving_xyxy: FloatArray
    read_background: Callable[[], ImageArray | None]


class TeacherBase:
    """A `Teacher` that may see everything and looks in one way."""

    may_see_whole_frames = True
    may_see_backgrounds = True

    def looking(self, look: Look) -> Self:
        """Return itself."""
        return self


def highest_uncertain_score(min_score: float) -> float:
    """Return the largest float32 below `min_score`: the score of a box that was made uncertain on purpose."""
    return float(np.nextafter(np.float32(min_score), np.float32(0)))


def score_bands(scores: FloatArray, *, min_score: float, uncertain_score: float) -> tuple[BoolArray, BoolArray]:
    """Return (N,) masks of labels, from `min_score` on, and of uncertain boxes, from `uncertain_score` on.

    Boxes below both are background. Boxes that were made uncertain on purpose stay uncertain even if the band is empty.
    """
    lowest = min(uncertain_score, highest_uncertain_score(min_score))
    is_label = scores >= min_score
    return is_label, ~is_label & (scores >= lowest)
