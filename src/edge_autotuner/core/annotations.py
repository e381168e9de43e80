"""What a teacher said about one frame, and where it looked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.detections import Detections
from edge_autotuner.core.types import FloatArray


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
