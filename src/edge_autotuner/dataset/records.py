"""The records of a dataset, frames, annotations, events and sources, and their JSON form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from edge_autotuner.core import EVENT_KINDS, Annotation, CaptureEvent, LabelMap, SourceInfo
from edge_autotuner.core.arguments import check_choice
from edge_autotuner.core.box_codec import Box, boxes_of, boxes_to_tuples
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.core.tasks import task_of
from edge_autotuner.core.types import FloatArray, SizeWH

SplitName = Literal["train", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)

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
        """The other motion regions as a (U, 4) array."""
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
            ValueError: a value is missing or makes no sense.
        """
        fields = Fields(values, "")
        return cls(
            file=check_inner_path(fields.text("file")),
            split=check_choice(fields.text("split"), SPLIT_NAMES, "split"),
            index=fields.whole("index", at_least=0),
            time_s=fields.number("time_s"),
            size_wh=size_of(fields),
            sha256=fields.text("sha256", may_be_empty=True),
            file_name=fields.text("file_name") if fields.has("file_name") else None,
            regions_xyxy=boxes_to_tuples(boxes_of(fields, "regions_xyxy")),
            motion_fraction=fields.number("motion_fraction"),
            background=check_inner_path(fields.text("background")) if fields.has("background") else None,
            reason=fields.text("reason", may_be_empty=True),
            captured_at=_time_text(fields, "captured_at"),
            sent_xyxy=boxes_to_tuples(boxes_of(fields, "sent_xyxy")) if fields.has("sent_xyxy") else None,
            hidden_xyxy=boxes_to_tuples(boxes_of(fields, "hidden_xyxy")) if fields.has("hidden_xyxy") else (),
        )


def annotation_to_json(annotation: Annotation, labels: LabelMap) -> dict[str, Any]:
    """Return an annotation as JSON values; every float32 survives the round trip exactly."""
    return {
        **task_of(labels).codec.to_json(annotation.detections),
        "looked_xyxy": [list(box) for box in boxes_to_tuples(annotation.looked_xyxy)],
        "n_calls": int(annotation.n_calls),
        "n_pixels": int(annotation.n_pixels),
    }


def annotation_from_json(values: Mapping[str, Any], labels: LabelMap) -> Annotation:
    """Read what `annotation_to_json` returned.

    Raises:
        ValueError: a value is missing or makes no sense.
    """
    fields = Fields(values, "")
    return Annotation(
        task_of(labels).codec.from_json(fields),
        boxes_of(fields, "looked_xyxy"),
        fields.whole("n_calls", at_least=0),
        fields.whole("n_pixels", at_least=0),
    )


def event_to_json(event: CaptureEvent) -> dict[str, Any]:
    """Return an event as JSON values."""
    return asdict(event) | {"captured_at": event.captured_at and event.captured_at.isoformat()}


def event_from_json(values: Mapping[str, Any]) -> CaptureEvent:
    """Read what `event_to_json` returned.

    Raises:
        ValueError: a value is missing or makes no sense.
    """
    fields = Fields(values, "")
    kind, at = check_choice(fields.text("kind"), EVENT_KINDS, "event"), _time_text(fields, "captured_at")
    when = None if at is None else datetime.fromisoformat(at)
    return CaptureEvent(kind, fields.number("time_s"), when, fields.text("detail", may_be_empty=True))


def source_to_json(source: SourceInfo) -> dict[str, Any]:
    """Return the facts about a source as JSON values."""
    return asdict(source) | {"size_wh": list(source.size_wh)}


def source_from_json(values: Mapping[str, Any]) -> SourceInfo:
    """Read what `source_to_json` returned.

    Raises:
        TypeError, ValueError: a value is missing, unknown or makes no sense.
    """
    fields = Fields(values, "")
    known = {
        "kind": fields.text("kind"),
        "name": fields.text("name", may_be_empty=True),
        "size_wh": size_of(fields),
        "n_frames": fields.whole("n_frames", at_least=0) if fields.has("n_frames") else None,
        "rate_hz": fields.number("rate_hz", at_least=0),
        "sha256": fields.text("sha256", may_be_empty=True),
    }
    return SourceInfo(**{**values, **known})


def size_of(fields: Fields) -> SizeWH:
    """Return the field `size_wh`.

    Raises:
        ValueError: it is something else than two sides of pixels.
    """
    width, height = fields.wholes("size_wh", 2)
    if width < 1 or height < 1:
        raise fields.error("size_wh", "positive")
    return width, height


def _time_text(fields: Fields, key: str) -> str | None:
    """Return an ISO 8601 time as it is written; None for null or nothing."""
    if not fields.has(key):
        return None
    text = fields.text(key)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise fields.error(key, "an ISO 8601 time") from None
    return text


def check_inner_path(path: str) -> str:
    """Return a path that stays inside the dataset folder.

    Raises:
        ValueError: it is of another form.
    """
    if not _INNER_PATH.fullmatch(path):
        raise ValueError(f"'{path}' is not a picture of a dataset")
    return path
