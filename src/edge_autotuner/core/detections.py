"""What a detector said about one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_autotuner.core.boxes import as_boxes, clip_boxes
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.types import BoolArray, FloatArray, IntArray, SizeWH


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes with scores and classes of one picture.

    Attributes:
        boxes_xyxy: (N, 4) float32 corners, pixels of the picture that was given.
        scores: (N,) float32 in [0, 1].
        class_ids: (N,) int64, positions in the detector's `LabelMap`.
    """

    boxes_xyxy: FloatArray
    scores: FloatArray
    class_ids: IntArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "boxes_xyxy", as_boxes(self.boxes_xyxy))
        object.__setattr__(self, "scores", np.asarray(self.scores, dtype=np.float32).reshape(-1))
        object.__setattr__(self, "class_ids", np.asarray(self.class_ids, dtype=np.int64).reshape(-1))
        counts = (len(self.boxes_xyxy), len(self.scores), len(self.class_ids))
        if len(set(counts)) != 1:
            raise ValueError(f"boxes, scores and class_ids must have one length, got {counts}")

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> Detections:
        """Return no detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    @classmethod
    def concatenate(cls, parts: Sequence[Detections]) -> Detections:
        """Join the detections of several views, in order."""
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([part.boxes_xyxy for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.class_ids for part in parts]),
        )

    def select(self, keep: BoolArray | IntArray | npt.NDArray[np.intp]) -> Detections:
        """Return the detections that a mask or an index array picks."""
        return Detections(self.boxes_xyxy[keep], self.scores[keep], self.class_ids[keep])

    def above(self, min_score: float) -> Detections:
        """Return those with at least this score."""
        return self.select(self.scores >= min_score)

    def sorted_by_score(self, limit: int | None = None) -> Detections:
        """Return them by falling score (ties keep their order), at most `limit`."""
        return self.select(np.argsort(-self.scores, kind="stable")[:limit])

    def shifted(self, dx: float, dy: float) -> Detections:
        """Return them moved, for example from a crop back to its frame."""
        offset = np.array([dx, dy, dx, dy], dtype=np.float32)
        return Detections(self.boxes_xyxy + offset, self.scores, self.class_ids)

    def clipped(self, size_wh: SizeWH) -> Detections:
        """Return them cut to the picture; boxes with no area left are dropped."""
        boxes = clip_boxes(self.boxes_xyxy, size_wh=size_wh)
        inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return Detections(boxes, self.scores, self.class_ids).select(inside)

    def relabelled(self, from_labels: LabelMap, to_labels: LabelMap) -> Detections:
        """Return them with the class ids of another label map; classes it does not know are dropped."""
        table = np.array([to_labels.names.index(n) if n in to_labels else -1 for n in from_labels], np.int64)
        if len(self) == 0:
            return self
        new_ids = table[self.class_ids]
        return Detections(self.boxes_xyxy, self.scores, new_ids).select(new_ids >= 0)
