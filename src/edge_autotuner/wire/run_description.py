"""The description of a run for a tuning job: JSON that names every picture by its hash, never by a path.

It comes from a client, so all of it is checked before any of it is used: forms, ranges, counts, references.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_autotuner.config.texts import ClassName, Fingerprint, JsonTable, LongLine, Sha256
from edge_autotuner.core.events import EventKind
from edge_autotuner.core.json_limits import JsonLimits, check_json
from edge_autotuner.errors import DatasetError

MAX_BYTES = 32 << 20
MAX_FILES = 20_000
_MAX_BOXES = 10_000
_MAX_SIDE_PX = 1 << 16
_MAX_PICTURE_BYTES = 1 << 28
_MAX_DEPTH = 32
_MAX_PLACE = 200
# smallest mean size of the pieces of a description, beyond the first few: it may not cost many times its size to decode
_FEW = 1000
_MIN_BYTES_PER_ITEM = 3  # a box with its score and class has seven items and more than 21 characters
_MIN_BYTES_PER_ARRAY = 16  # a box has 18
_MIN_BYTES_PER_OBJECT = 48  # an event has twice as many

Side = Annotated[int, Field(ge=1, le=_MAX_SIDE_PX)]
Pixel = Annotated[float, Field(ge=-1e6, le=1e6)]
Share = Annotated[float, Field(ge=0, le=1)]
Boxes = Annotated[tuple[tuple[Pixel, Pixel, Pixel, Pixel], ...], Field(max_length=_MAX_BOXES, fail_fast=True)]
Shares = Annotated[tuple[Share, ...], Field(max_length=_MAX_BOXES, fail_fast=True)]
ClassIds = Annotated[tuple[Annotated[int, Field(ge=0, lt=1000)], ...], Field(max_length=_MAX_BOXES, fail_fast=True)]
ClassNames = Annotated[tuple[ClassName, ...], Field(max_length=1000, fail_fast=True)]
Suffix = Literal[".jpg", ".jpeg", ".png", ".webp"]
PICTURE_SUFFIXES: tuple[str, ...] = get_args(Suffix)
Time = Annotated[float, Field(ge=-1e12, le=1e12)]
Count = Annotated[int, Field(ge=0, le=1 << 53)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ContentPart(_Part):
    """A file, by its hash."""

    sha256: Sha256
    n_bytes: int = Field(ge=1, le=_MAX_PICTURE_BYTES)


class SourcePart(_Part):
    """See `SourceInfo`."""

    kind: Literal["video", "folder", "live"]
    name: LongLine
    size_wh: tuple[Side, Side]
    n_frames: Count | None
    rate_hz: float = Field(gt=0, le=1e6)
    sha256: Sha256


class FramePart(ContentPart):
    """See `FrameRecord`; a background is a position in the list of backgrounds."""

    split: Literal["train", "test"]
    index: int = Field(ge=0, lt=1 << 40)
    time_s: Time
    size_wh: tuple[Side, Side]
    suffix: Suffix
    file_name: LongLine | None
    regions_xyxy: Boxes
    sent_xyxy: Boxes | None
    motion_fraction: Share
    background: Annotated[int, Field(ge=0)] | None
    reason: LongLine
    captured_at: LongLine | None
    hidden_xyxy: Boxes = ()

    @model_validator(mode="after")
    def _time_is_one(self) -> FramePart:
        _check_time(self.captured_at)
        return self


class BackgroundPart(ContentPart):
    """A PNG of the scene without moving objects."""

    pixels_sha256: Sha256


class EventPart(_Part):
    """See `CaptureEvent`."""

    kind: EventKind
    time_s: Time
    captured_at: LongLine | None
    detail: LongLine

    @model_validator(mode="after")
    def _time_is_one(self) -> EventPart:
        _check_time(self.captured_at)
        return self


class AnnotationPart(_Part):
    """See `Annotation`; of the frame at a position in the list of frames."""

    frame: int = Field(ge=0)
    boxes_xyxy: Boxes
    scores: Shares
    class_ids: ClassIds
    looked_xyxy: Boxes
    n_calls: Count
    n_pixels: Count

    @model_validator(mode="after")
    def _lengths_agree(self) -> AnnotationPart:
        _check_lengths(self.boxes_xyxy, self.scores, self.class_ids)
        return self


class AnnotationsPart(_Part):
    """What one fingerprint stands for."""

    fingerprint: Fingerprint
    teacher: LongLine
    min_score: Share
    uncertain_score: Share
    annotations: tuple[AnnotationPart, ...] = Field(max_length=MAX_FILES, fail_fast=True)


class StagePart(_Part):
    """See `StageRecord`."""

    fingerprint: Fingerprint
    seconds: float = Field(ge=0, le=1e9)
    finished_at: LongLine
    summary: JsonTable


class StagesPart(_Part):
    """The stages that a run has done before its training."""

    capture: StagePart
    annotation: StagePart


class ReplayLabelsPart(_Part):
    """See `ReplayLabels`."""

    boxes_xyxy: Boxes
    class_ids: ClassIds
    scores: Shares
    ignored_xyxy: Boxes
    looked_xyxy: Boxes
    weights: Shares | None
    labels: ClassNames

    @model_validator(mode="after")
    def _lengths_agree(self) -> ReplayLabelsPart:
        _check_lengths(self.boxes_xyxy, self.scores, self.class_ids, self.weights)
        _refuse_twins("classes", self.labels)
        _check_class_ids(self.labels, self.class_ids)
        return self


class ReplayPart(ContentPart):
    """See `ReplayPicture`."""

    frame_id: LongLine
    origin: Literal["replay", "generic"]
    era: LongLine
    size_wh: tuple[Side, Side]
    suffix: Suffix
    labels: ReplayLabelsPart


class RunDescription(_Part):
    """Everything that training, evaluation, export and report read of a run.

    Attributes:
        source: of the frames.
        labels: classes of the annotations.
        has_test_source: whether test frames come from another source.
        created_at: of the dataset, ISO 8601.
        backgrounds: pictures of the scene, which frames refer to.
        frames: all pictures, by split and index.
        events: what happened to the camera.
        annotations: by fingerprint; the last are the labels, an earlier one the teacher's own answers.
        stages: records of what was done.
        replay: pictures of earlier trainings; None where nothing is replayed or kept.
        ground_truth: a COCO file with human boxes.
    """

    format: Literal["edge-autotuner-tuning-data"] = "edge-autotuner-tuning-data"
    version: Literal[1] = 1
    source: SourcePart
    labels: ClassNames = Field(min_length=1)
    has_test_source: bool
    created_at: LongLine
    backgrounds: tuple[BackgroundPart, ...] = Field(max_length=MAX_FILES, fail_fast=True)
    frames: tuple[FramePart, ...] = Field(min_length=1, max_length=MAX_FILES, fail_fast=True)
    events: tuple[EventPart, ...] = Field(max_length=100_000, fail_fast=True)
    annotations: tuple[AnnotationsPart, ...] = Field(min_length=1, max_length=2, fail_fast=True)
    stages: StagesPart
    replay: tuple[ReplayPart, ...] | None = Field(max_length=MAX_FILES, fail_fast=True)
    ground_truth: ContentPart | None

    @model_validator(mode="after")
    def _references_lead_somewhere(self) -> RunDescription:
        _refuse_twins("classes", self.labels)
        _refuse_twins("frames", [(frame.split, frame.index) for frame in self.frames])
        if any(frame.background is not None and frame.background >= len(self.backgrounds) for frame in self.frames):
            raise ValueError("a frame refers to an unlisted background")
        _refuse_twins("fingerprints", [one.fingerprint for one in self.annotations])
        for one in self.annotations:
            _refuse_twins("annotated frames", [annotation.frame for annotation in one.annotations])
            if any(annotation.frame >= len(self.frames) for annotation in one.annotations):
                raise ValueError("an annotation refers to an unlisted frame")
            for annotation in one.annotations:
                _check_class_ids(self.labels, annotation.class_ids)
        if self.annotations[-1].fingerprint != self.stages.annotation.fingerprint:
            raise ValueError("the last annotations do not match the annotation stage")
        _refuse_twins("replayed pictures", [picture.frame_id for picture in self.replay or ()])
        _refuse_twins("replayed files", [picture.sha256 for picture in self.replay or ()])
        self.files()
        return self

    def contents(self) -> Iterator[ContentPart]:
        """Yield all files."""
        yield from self.backgrounds
        yield from self.frames
        yield from self.replay or ()
        if self.ground_truth is not None:
            yield self.ground_truth

    @property
    def n_bytes(self) -> int:
        """Size of all pictures, each as often as it is named: the bytes that a job reads, and may write."""
        return sum(content.n_bytes for content in self.contents())

    def files(self) -> dict[str, int]:
        """Return the size of every file by its hash.

        Raises:
            ValueError: one hash has two sizes, or there are too many files.
        """
        sizes: dict[str, int] = {}
        for content in self.contents():
            if sizes.setdefault(content.sha256, content.n_bytes) != content.n_bytes:
                raise ValueError(f"the blob {content.sha256} has two sizes")
        if len(sizes) > MAX_FILES:
            raise ValueError(f"{len(sizes)} files, the limit is {MAX_FILES}")
        return sizes

    def to_bytes(self) -> bytes:
        """Return the description as JSON; the same content gives the same bytes."""
        values = self.model_dump(mode="json")
        return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def parse_description(content: bytes) -> RunDescription:
    """Check and decode a description.

    Raises:
        DatasetError: it is too large, not JSON, or not what a description must be; the message says where.
    """
    check_form(content)
    try:
        description = RunDescription.model_validate_json(content, strict=True)
        for stage in (description.stages.capture, description.stages.annotation):
            json.dumps(stage.summary, allow_nan=False)  # 1e999 is infinite
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:_MAX_PLACE] or "as a whole"
        raise DatasetError(f"invalid description of the dataset: {where}: {first['msg']:.200}") from None
    except ValueError as exc:
        raise DatasetError(f"the description of the dataset cannot be read: {exc!s:.200}") from exc
    return description


def check_form(content: bytes) -> None:
    """Raise `DatasetError` for a description that is too large, or has too many pieces for its size, undecoded."""
    if len(content) > MAX_BYTES:
        raise DatasetError(f"a dataset's description may have at most {MAX_BYTES >> 20} MB, got {len(content)} bytes")
    try:
        check_json(content, _limits(len(content)))
    except ValueError as exc:
        raise DatasetError(f"the description of the dataset cannot be read: {exc}") from None


def _limits(n_bytes: int) -> JsonLimits:
    return JsonLimits(
        MAX_BYTES,
        max_items=_FEW + n_bytes // _MIN_BYTES_PER_ITEM,
        max_depth=_MAX_DEPTH,
        max_arrays=_FEW + n_bytes // _MIN_BYTES_PER_ARRAY,
        max_objects=_FEW + n_bytes // _MIN_BYTES_PER_OBJECT,
    )


def _refuse_twins(what: str, values: Sequence[object]) -> None:
    if len(set(values)) < len(values):
        raise ValueError(f"duplicate {what}")


def _check_lengths(*values: tuple[object, ...] | None) -> None:
    lengths = {len(one) for one in values if one is not None}
    if len(lengths) > 1:
        raise ValueError("boxes, scores, classes and weights must have one length")


def _check_class_ids(labels: tuple[str, ...], class_ids: tuple[int, ...]) -> None:
    if class_ids and max(class_ids) >= len(labels):
        raise ValueError(f"class ids must be below {len(labels)}, got {max(class_ids)}")


def _check_time(text: str | None) -> None:
    if text is not None and datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(f"a time must have a time zone, got '{text}'")
