"""What a detector said about one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from edge_autotuner.core.boxes import as_boxes, clip_boxes, iou_matrix
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, IntArray, SizeWH


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes with scores and classes of one picture.

    Every method keeps all fields, so that a subclass can add arrays with one row per object, such as joints. It
    overrides `empty`, `_with_points` if its fields hold places, and `mirrored` if left and right differ. Other code
    derives values by these methods and never rebuilds them field by field.

    Attributes:
        boxes_xyxy: (N, 4) float32 corners, pixels of the picture.
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
        counts = tuple(len(getattr(self, field.name)) for field in fields(self))
        if len(set(counts)) != 1:
            names = ", ".join(field.name for field in fields(self))
            raise ValueError(f"{names} must have one length, got {counts}")

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> Self:
        """Return no detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join detections of one type, in order."""
        if not parts:
            return cls.empty()
        return replace(
            parts[0],
            **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(parts[0])},
        )

    @property
    def is_finite(self) -> bool:
        """Whether all boxes and scores are finite numbers."""
        return bool(np.isfinite(self.boxes_xyxy).all() and np.isfinite(self.scores).all())

    def equals(self, other: Detections) -> bool:
        """Whether all fields are equal, element by element."""
        return type(self) is type(other) and all(
            np.array_equal(getattr(self, field.name), getattr(other, field.name)) for field in fields(self)
        )

    def require_classes_of(self, labels: LabelMap) -> None:
        """Make sure that every class id is a position in `labels`.

        Raises:
            ValueError: one is not.
        """
        if len(self) and not 0 <= self.class_ids.min() <= self.class_ids.max() < len(labels):
            found = sorted(set(self.class_ids.tolist()))
            raise ValueError(f"class_ids must be in 0..{len(labels) - 1}, got {found[:5]}")

    def select(self, keep: BoolArray | IntArray | npt.NDArray[np.intp]) -> Self:
        """Return the detections that a mask or an index array picks."""
        return replace(self, **{field.name: getattr(self, field.name)[keep] for field in fields(self)})

    def above(self, min_score: float) -> Self:
        """Return those with at least this score."""
        return self.select(self.scores >= min_score)

    def sorted_by_score(self, limit: int | None = None) -> Self:
        """Return them by falling score (ties keep their order), at most `limit`."""
        return self.select(np.argsort(-self.scores, kind="stable")[:limit])

    def with_boxes(self, boxes_xyxy: npt.ArrayLike) -> Self:
        """Return the same objects with other (N, 4) boxes."""
        return replace(self, boxes_xyxy=np.asarray(boxes_xyxy, np.float32))

    def with_scores(self, scores: npt.ArrayLike) -> Self:
        """Return the same objects with other (N,) scores."""
        return replace(self, scores=np.asarray(scores, np.float32))

    def with_classes(self, class_ids: npt.ArrayLike) -> Self:
        """Return the same objects with other (N,) class ids."""
        return replace(self, class_ids=np.asarray(class_ids, np.int64))

    def shifted(self, dx: float, dy: float) -> Self:
        """Return them moved, for example from a crop back to its frame."""
        offset = np.array([dx, dy], dtype=np.float32)
        return self._with_points(lambda points_xy: points_xy + offset)

    def scaled(self, *, from_size_wh: SizeWH, to_size_wh: SizeWH) -> Self:
        """Return them as in the same picture stretched from one size to another."""
        factors = np.array([to_size_wh[0] / from_size_wh[0], to_size_wh[1] / from_size_wh[1]], dtype=np.float32)
        return self._with_points(lambda points_xy: points_xy * factors)

    def placed(self, factors_xy: FloatArray, offsets_xy: FloatArray) -> Self:
        """Return them with each object scaled by its own (N, 2) factors, and then moved by its own (N, 2) offsets."""
        return self._with_points(lambda points_xy: points_xy * factors_xy[:, None] + offsets_xy[:, None])

    def mirrored(self, width: float) -> Self:
        """Return them as in the picture of `width` pixels turned left to right."""
        factors, offset = np.array([-1, 1], np.float32), np.array([width, 0], np.float32)
        flipped = self._with_points(lambda points_xy: points_xy * factors + offset)
        return flipped.with_boxes(flipped.boxes_xyxy[:, [2, 1, 0, 3]])

    def clipped(self, size_wh: SizeWH) -> Self:
        """Return them cut to the picture; boxes with no area left are dropped."""
        boxes = clip_boxes(self.boxes_xyxy, size_wh=size_wh)
        inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return self.with_boxes(boxes).select(inside)

    def relabelled(self, from_labels: LabelMap, to_labels: LabelMap) -> Self:
        """Return them with the class ids of another label map; classes it does not know are dropped."""
        if len(self) == 0:
            return self
        new_ids = to_labels.positions_of(from_labels)[self.class_ids]
        return self.with_classes(new_ids).select(new_ids >= 0)

    def _with_points(self, move: Callable[[FloatArray], FloatArray]) -> Self:
        """Return them with every (..., 2) place moved."""
        return self.with_boxes(move(self.boxes_xyxy.reshape(-1, 2, 2)).reshape(-1, 4))


class DetectorBase:
    """A `Detector` that looks at several pictures one by one."""

    def detect(self, image_bgr: ImageArray) -> Detections:
        """Look at one picture; a subclass does it."""
        raise NotImplementedError

    def detect_batch(self, images: Sequence[ImageArray]) -> list[Detections]:
        """Return what `detect` returns for each picture."""
        return [self.detect(image) for image in images]


def box_similarity(some: Detections, others: Detections) -> FloatArray:
    """Return the (N, M) intersection over union of boxes; the similarity of the task "boxes"."""
    return iou_matrix(some.boxes_xyxy, others.boxes_xyxy)
