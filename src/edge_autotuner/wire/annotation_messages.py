"""Messages about groundtruth models and the annotation of pictures; see `messages` for the rules."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edge_autotuner.config.texts import ClassName, Sha256, ShownLine
from edge_autotuner.core.json_limits import JsonLimits
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.wire.messages import LONG_LIST, ProblemReply, Reply, Request

MAX_BATCH = 256
"""Most pictures in a request, whatever the settings of a service allow."""

MAX_DETECTIONS = 10_000
"""Most boxes in a picture."""

MAX_CLASSES = 10_000

Box = Annotated[tuple[float, ...], Field(min_length=4, max_length=4, fail_fast=True)]
"""Corners x1, y1, x2, y2 in pixels; in OpenAPI a plain array of four numbers, which every generator knows."""


class ModelInfo(Reply):
    """A groundtruth model of the service.

    Attributes:
        name: its name in requests.
        sha256: of its file; changes with the model.
        classes: names of its classes; `class_ids` of replies are positions in this list.
        input_size_wh: width and height that pictures are resized to, pixels.
        resize: stretch to the input, or letterbox, which keeps the aspect ratio; None if unknown: clients then must not
            shrink pictures themselves.
    """

    name: ShownLine
    sha256: Sha256
    classes: tuple[ClassName, ...] = Field(max_length=MAX_CLASSES, fail_fast=True)
    input_size_wh: tuple[int, int]
    resize: Literal["stretch", "letterbox"] | None = None

    @property
    def labels(self) -> LabelMap:
        """Its classes and its task."""
        return LabelMap(self.classes)


class ModelList(Reply):
    """All groundtruth models of the service."""

    json_limits = LONG_LIST

    models: tuple[ModelInfo, ...] = Field(max_length=1000, fail_fast=True)


class AnnotationReply(Reply):
    """The objects that a groundtruth model found in one picture.

    Attributes:
        model: its name.
        model_sha256: of its file.
        boxes_xyxy: by falling score, in pixels of the picture, or of the frame if the request has a placement.
        scores: in [0, 1], one for each box.
        class_ids: positions in the model's classes, one for each box.
        is_cached: whether the result comes from the cache: this client has sent the same picture before, or any client
            where the service shares results.
        picture_sha256: of the picture's bytes as they arrived, which ties the answer to its question; None from a
            service that does not say.
    """

    json_limits = JsonLimits(max_bytes=4 << 20, max_items=7 * MAX_DETECTIONS + 100)

    model: ShownLine
    model_sha256: Sha256
    boxes_xyxy: tuple[Box, ...] = Field(max_length=MAX_DETECTIONS, fail_fast=True)
    scores: tuple[float, ...] = Field(max_length=MAX_DETECTIONS, fail_fast=True)
    class_ids: tuple[int, ...] = Field(max_length=MAX_DETECTIONS, fail_fast=True)
    is_cached: bool
    picture_sha256: Sha256 | None = None


class Placement(Request):
    """The position of a picture in a frame; boxes of the reply are then in pixels of the frame.

    Attributes:
        offset_x: left side of the picture, pixels of the frame.
        offset_y: top of the picture, pixels of the frame.
        frame_width: pixels; given, the picture must be inside.
        frame_height: pixels; given, the picture must be inside.
    """

    offset_x: int = Field(0, ge=0, le=1 << 16)
    offset_y: int = Field(0, ge=0, le=1 << 16)
    frame_width: int | None = Field(None, ge=1, le=1 << 16)
    frame_height: int | None = Field(None, ge=1, le=1 << 16)


class BatchRequest(Request):
    """The field `request` of a batch; the pictures follow as files named `pictures`.

    Attributes:
        min_score: boxes below this are left out.
        max_detections: most boxes in each picture.
        placements: positions of the pictures in their frames, in the order of the pictures; None: boxes are in pixels
            of the pictures.
    """

    json_limits = JsonLimits(max_bytes=64 << 10, max_items=5 * MAX_BATCH + 100, max_depth=3)

    min_score: float = Field(0.05, ge=0, le=1)
    max_detections: int = Field(300, ge=1, le=MAX_DETECTIONS)
    placements: tuple[Placement, ...] | None = Field(None, max_length=MAX_BATCH, fail_fast=True)


class BatchReply(Reply):
    """Answers in the order of the pictures; a picture that cannot be used has a problem in its place."""

    json_limits = LONG_LIST

    results: tuple[AnnotationReply | ProblemReply, ...] = Field(max_length=MAX_BATCH, fail_fast=True)
