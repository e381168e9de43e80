"""What a dataset knows of its frames, and how frames, annotations and sources look as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import numpy as np

from edge_autotuner.core import EVENT_KINDS, Annotation, CaptureEvent, Detections, SourceInfo
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.types import FloatArray, SizeWH

SplitName = Literal["train", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)
Box = tuple[float, float, float, float]

_INNER_PATH = re.compile(r"(frames|backgrounds)/[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class FrameRecord:
    """One stored frame.

    Attributes:
        file: path inside the dataset folder, "frames/train_00000123.jpg".
        split: "train" or "test"; a test frame is never trained on.
        index: 0-based decode order (video) or name order (folder) in its source.
        time_s: seconds since the start of its source.
        size_wh: width and height of the picture, pixels.
        sha256: of the picture file.
        file_name: path below the folder for a folder source, "/" as separator; None for video.
        regions_xyxy: motion regions, frame pixels; may be empty.
        sent_xyxy: those of them that a teacher should look at; the others show what an earlier frame showed.
            None: all.
        hidden_xyxy: rectangles, frame pixels, that were made unrecognizable before the frame was stored.
        motion_fraction: share of the frame that motion regions cover, 0..1.
        background: path inside the dataset folder of the background that this frame was compared with
            (brightness, perhaps smaller than the frame), or None.
        reason: why it was selected, short text.
        captured_at: ISO 8601 wall time, UTC, of a live source's frame; None for a recorded source.
    """

    file: str
    split: SplitName
    index: int
    time_s: float
    size_wh: SizeWH
    sha256: str
    file_name: str | None
    regions_xyxy: tuple[Box, ...]
    motion_fraction: float
    background: str | None
    reason: str
    captured_at: str | None = None
    sent_xyxy: tuple[Box, ...] | None = None
    hidden_xyxy: tuple[Box, ...] = ()

    @property
    def key(self) -> tuple[str, int]:
        """Split and index, which name a frame within a dataset."""
        return self.split, self.index

    @property
    def regions(self) -> FloatArray:
        """The motion regions as an (R, 4) array."""
        return as_boxes(self.regions_xyxy)

    @property
    def sent(self) -> FloatArray:
        """The motion regions to look at as an (S, 4) array."""
        return self.regions if self.sent_xyxy is None else as_boxes(self.sent_xyxy)

    @property
    def unsent(self) -> FloatArray:
        """The motion regions that nobody needs to look at as a (U, 4) array."""
        return as_boxes(
            [] if self.sent_xyxy is None else [box for box in self.regions_xyxy if box not in self.sent_xyxy]
        )

    @property
    def hidden(self) -> FloatArray:
        """The hidden rectangles as a (K, 4) array."""
        return as_boxes(self.hidden_xyxy)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        hidden = {"hidden_xyxy": [list(box) for box in self.hidden_xyxy]} if self.hidden_xyxy else {}
        plain = {name: value for name, value in asdict(self).items() if name != "hidden_xyxy"}
        sent = None if self.sent_xyxy is None else [list(box) for box in self.sent_xyxy]
        regions = [list(box) for box in self.regions_xyxy]
        return plain | {"size_wh": list(self.size_wh), "regions_xyxy": regions, "sent_xyxy": sent, **hidden}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> FrameRecord:
        """Read what `to_json` returned.

        Raises:
            KeyError, TypeError, ValueError: a value is missing or makes no sense.
        """
        split: SplitName = "train" if check_split(values["split"]) == "train" else "test"
        width, height = values["size_wh"]
        background = values["background"]
        return cls(
            file=check_inner_path(values["file"]),
            split=split,
            index=int(values["index"]),
            time_s=float(values["time_s"]),
            size_wh=(int(width), int(height)),
            sha256=str(values["sha256"]),
            file_name=values["file_name"],
            regions_xyxy=boxes_to_tuples(as_boxes(values["regions_xyxy"])),
            motion_fraction=float(values["motion_fraction"]),
            background=None if background is None else check_inner_path(background),
            reason=str(values["reason"]),
            captured_at=values.get("captured_at"),
            sent_xyxy=None if values.get("sent_xyxy") is None else boxes_to_tuples(as_boxes(values["sent_xyxy"])),
            hidden_xyxy=boxes_to_tuples(as_boxes(values.get("hidden_xyxy", []))),
        )


def annotation_to_json(annotation: Annotation) -> dict[str, Any]:
    """Return an annotation as JSON values; every float32 survives the round trip exactly."""
    found = annotation.detections
    return {
        "boxes_xyxy": _nested_floats(found.boxes_xyxy),
        "scores": [short_float(score) for score in found.scores],
        "class_ids": found.class_ids.tolist(),
        "looked_xyxy": _nested_floats(annotation.looked_xyxy),
        "n_calls": int(annotation.n_calls),
        "n_pixels": int(annotation.n_pixels),
    }


def annotation_from_json(values: Mapping[str, Any]) -> Annotation:
    """Read what `annotation_to_json` returned.

    Raises:
        KeyError, TypeError, ValueError: a value is missing or makes no sense.
    """
    detections = Detections(
        as_boxes(values["boxes_xyxy"]),
        np.asarray(values["scores"], np.float32),
        np.asarray(values["class_ids"], np.int64),
    )
    return Annotation(detections, as_boxes(values["looked_xyxy"]), int(values["n_calls"]), int(values["n_pixels"]))


def event_to_json(event: CaptureEvent) -> dict[str, Any]:
    """Return an event as JSON values."""
    return asdict(event) | {"captured_at": event.captured_at and event.captured_at.isoformat()}


def event_from_json(values: Mapping[str, Any]) -> CaptureEvent:
    """Read what `event_to_json` returned.

    Raises:
        KeyError, TypeError, ValueError: a value is missing or makes no sense.
    """
    if values["kind"] not in EVENT_KINDS:
        raise ValueError(f"unknown event '{values['kind']}'")
    at = values["captured_at"]
    when = None if at is None else datetime.fromisoformat(at)
    return CaptureEvent(values["kind"], float(values["time_s"]), when, str(values["detail"]))


def source_to_json(source: SourceInfo) -> dict[str, Any]:
    """Return the facts about a source as JSON values."""
    return asdict(source) | {"size_wh": list(source.size_wh)}


def source_from_json(values: Mapping[str, Any]) -> SourceInfo:
    """Read what `source_to_json` returned."""
    width, height = values["size_wh"]
    return SourceInfo(**{**values, "size_wh": (int(width), int(height))})


def boxes_to_tuples(boxes_xyxy: FloatArray) -> tuple[Box, ...]:
    """Return the boxes as tuples of the shortest numbers that stand for the same float32."""
    return tuple((a, b, c, d) for a, b, c, d in _nested_floats(boxes_xyxy))


def check_split(split: str) -> str:
    """Return the name of a split.

    Raises:
        ValueError: there is no such split.
    """
    if split not in SPLIT_NAMES:
        raise ValueError(f"split must be one of {', '.join(SPLIT_NAMES)}, got '{split}'")
    return split


def check_inner_path(path: str) -> str:
    """Return a path that stays inside the dataset folder.

    Raises:
        ValueError: it is of another form.
    """
    if not _INNER_PATH.fullmatch(path):
        raise ValueError(f"'{path}' is not a picture of a dataset")
    return path


def _nested_floats(boxes_xyxy: FloatArray) -> list[list[float]]:
    return [[short_float(value) for value in box] for box in boxes_xyxy]


def short_float(value: np.float32) -> float:
    """Return the number with the fewest digits that stands for the same float32."""
    return float(str(value))  # str of a float32 is the shortest text that reads back as the same float32
