"""The report of one frame: the documented form of detections, the same for every output."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from edge_autotuner.core import Detections, LabelMap, ModelFindings, Observation
from edge_autotuner.core.observations import TrackedObjects
from edge_autotuner.core.tasks import task_of
from edge_autotuner.core.types import SizeWH

_TIME_DIGITS = 3


@dataclass(frozen=True, eq=False)
class DetectionReport:
    """The detections of the deployed model in one frame.

    Attributes:
        labels: the classes that the model knows.
        index: of the frame; see `Frame.index`.
        time_s: seconds since the start of the source.
        captured_at: aware UTC wall time of the frame; None for a recorded source.
        tracked: the objects that the boxes belong to, and what they did; None: they are not followed.

    Raises:
        ValueError: a class id is none of the labels', a number is not finite, which JSON does not know, or there is not
            one object id per box.
    """

    camera: str
    model: str
    labels: LabelMap
    index: int
    time_s: float
    captured_at: datetime | None
    size_wh: SizeWH
    detections: Detections
    tracked: TrackedObjects | None = None

    @classmethod
    def of(cls, observation: Observation, found: ModelFindings) -> DetectionReport:
        """Return the report of what a model found in the frame of an observation."""
        frame = observation.frame
        return cls(
            observation.camera,
            found.model,
            found.labels,
            frame.index,
            frame.time_s,
            frame.captured_at,
            frame.size_wh,
            found.detections,
            observation.tracked,
        )

    def __post_init__(self) -> None:
        found = self.detections
        found.require_classes_of(self.labels)
        if not found.is_finite:
            raise ValueError(f"boxes and scores of camera {self.camera} must be finite")
        if self.tracked is not None and len(self.tracked.ids) != len(found):
            raise ValueError(f"camera {self.camera}: {len(self.tracked.ids)} object ids for {len(found)} boxes")

    def to_json(self) -> dict[str, Any]:
        """Return JSON values: the form of every line, message and request.

        `captured_at` is in ISO 8601 with its offset, or null; `box_xyxy` are left, top, right and bottom in pixels.
        Where objects are followed, each has its `id`, null until it counts, and `events` and `places` are added.
        """
        width, height = self.size_wh
        objects = task_of(self.labels).codec.to_rows(self.detections, self.labels)
        report = {
            "camera": self.camera,
            "model": self.model,
            "frame_index": self.index,
            "time_s": round(self.time_s, _TIME_DIGITS),
            "captured_at": self.captured_at.isoformat() if self.captured_at else None,
            "width": width,
            "height": height,
            "objects": objects,
        }
        return report if self.tracked is None else report | _tracked_json(objects, self.tracked)

    @cached_property
    def json_text(self) -> str:
        """`to_json` as a single-line ASCII string, without a newline."""
        return json.dumps(self.to_json(), separators=(",", ":"), allow_nan=False)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Number of objects of each class that is there; other classes are left out."""
        return Counter(self.labels[class_id] for class_id in self.detections.class_ids.tolist())


def _tracked_json(objects: list[dict[str, Any]], tracked: TrackedObjects) -> dict[str, Any]:
    return {
        "objects": [
            row | {"id": object_id or None} for row, object_id in zip(objects, tracked.ids.tolist(), strict=True)
        ],
        "events": [event.to_json() for event in tracked.events],
        "places": tracked.places,
    }
