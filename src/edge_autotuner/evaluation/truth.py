"""The objects that a frame contains, and places that count as neither right nor wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_autotuner.core import Annotation, Detections, covered_fraction
from edge_autotuner.core.boxes import as_boxes, covered_together
from edge_autotuner.core.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Truth:
    """The objects that a frame holds, as a teacher or a human said.

    Attributes:
        boxes_xyxy: (T, 4) float32 corners, frame pixels.
        class_ids: (T,) int64, positions in the label map that the detections use too.
        is_ignored: (T,) bool. An ignored box is a COCO crowd region: finding it is neither right nor wrong,
            missing it costs nothing, and it may contain any number of detections.
    """

    boxes_xyxy: FloatArray
    class_ids: IntArray
    is_ignored: BoolArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "boxes_xyxy", as_boxes(self.boxes_xyxy))
        object.__setattr__(self, "class_ids", np.asarray(self.class_ids, dtype=np.int64).reshape(-1))
        object.__setattr__(self, "is_ignored", np.asarray(self.is_ignored, dtype=np.bool_).reshape(-1))
        counts = (len(self.boxes_xyxy), len(self.class_ids), len(self.is_ignored))
        if len(set(counts)) != 1:
            raise ValueError(f"boxes_xyxy, class_ids and is_ignored must have one length, got {counts}")

    def __len__(self) -> int:
        return len(self.class_ids)

    @property
    def n_counted(self) -> int:
        """Number of boxes that are not ignored."""
        return int(np.count_nonzero(~self.is_ignored))

    @classmethod
    def empty(cls) -> Truth:
        """Return the truth of a frame without objects."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))

    def of_class(self, class_id: int) -> Truth:
        """Return the boxes of one class."""
        keep = self.class_ids == class_id
        return Truth(self.boxes_xyxy[keep], self.class_ids[keep], self.is_ignored[keep])


def truth_from_annotation(annotation: Annotation, *, min_score: float) -> Truth:
    """Take a teacher's labels for the truth: boxes from `min_score` on count, those below are ignored.

    The annotation reaches down to the lowest score of the uncertain band, so every box below `min_score` is
    one that the teacher was unsure of.
    """
    found = annotation.detections
    return Truth(found.boxes_xyxy, found.class_ids, found.scores < min_score)


def in_looked_area(detections: Detections, annotation: Annotation, *, min_covered: float = 0.5) -> Detections:
    """Return the detections of which the areas that the teacher looked at cover at least `min_covered`, in [0, 1].

    Elsewhere nothing is known: a parked car outside the motion regions is no false alarm. With a teacher that looks at
    whole frames this changes nothing.
    """
    return detections.select(_was_looked_at(detections.boxes_xyxy, annotation, min_covered))


def ignored_elsewhere(truth: Truth, annotation: Annotation, *, min_covered: float = 0.5) -> Truth:
    """Return the human boxes of a frame; objects outside the teacher's view are ignored, as in COCO."""
    looked = _was_looked_at(truth.boxes_xyxy, annotation, min_covered)
    return Truth(truth.boxes_xyxy, truth.class_ids, truth.is_ignored | ~looked)


def _was_looked_at(boxes_xyxy: FloatArray, annotation: Annotation, min_covered: float) -> BoolArray:
    looked = annotation.looked_xyxy
    by_one = covered_fraction(boxes_xyxy, looked).max(axis=1, initial=0.0) >= min_covered
    rest = ~by_one if len(looked) > 1 else np.zeros(len(by_one), np.bool_)
    by_one[rest] = covered_together(boxes_xyxy[rest], looked) >= min_covered
    return np.asarray(by_one, np.bool_)
