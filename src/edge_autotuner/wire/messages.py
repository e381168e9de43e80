"""What goes over the wire between an edge node and the service: one model per message, checked on both sides.

Both sides refuse what they do not know, so that a misspelt field never passes silently. Fields are only ever added,
with a default, within one version of the interface; a reader of replies therefore ignores fields that it does not know.

Each message has its `json_limits`, checked before it is decoded. Every sequence has a length and fails at its first
wrong item: otherwise pydantic writes an error for each of millions of items before it counts them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge_autotuner.config.base import PlainName
from edge_autotuner.config.texts import (
    BundleId,
    ClassName,
    Explanation,
    JsonTable,
    Line,
    Sha256,
    ShownLine,
    SignatureText,
)
from edge_autotuner.core.json_limits import JsonLimits
from edge_autotuner.core.labels import LabelMap

API_PREFIX = "/v1"

MAX_BATCH = 256
"""Most pictures of a request, whatever a service's settings say."""

MAX_DETECTIONS = 10_000
"""Most boxes of a picture."""

MAX_CLASSES = 10_000
MAX_QUESTIONS = 10_000
MAX_LISTED = 100_000

MAX_DESCRIPTION = 1 << 20
"""Longest bundle.json that travels, characters."""

LONG_LIST = JsonLimits(max_bytes=8 << 20, max_items=400_000, max_depth=32)
"""Limits of replies that list what a service has."""

Box = Annotated[tuple[float, ...], Field(min_length=4, max_length=4, fail_fast=True)]
"""Corners x1, y1, x2, y2 in pixels; in the description a plain array of four numbers, which every generator knows."""


class Request(BaseModel):
    """What a client sends: fields that nobody knows are refused.

    Attributes:
        json_limits: of a body with this message; each that is a whole body has its own.
    """

    json_limits: ClassVar[JsonLimits]

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reply(BaseModel):
    """What the service answers: a later version may have more to say.

    Attributes:
        json_limits: of a whole reply, what a later version says included.
    """

    json_limits: ClassVar[JsonLimits] = JsonLimits(max_bytes=256 << 10, max_items=5000)

    model_config = ConfigDict(extra="ignore", frozen=True)


class ModelInfo(Reply):
    """A groundtruth model of the service.

    Attributes:
        name: how requests call it.
        sha256: of its file; changes when the model does.
        classes: what it knows; `class_ids` of replies count in this order.
        input_size_wh: what pictures are resized to, pixels.
        resize: whether a picture fills the input, or keeps its aspect ratio; None where the service does not say, and
            then a client cannot shrink pictures itself.
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
    """What a groundtruth model found in one picture.

    Attributes:
        model: its name.
        model_sha256: of its file.
        boxes_xyxy: by falling score; pixels of the picture, or of the frame when the request said where in a frame the
            picture lies.
        scores: in [0, 1], one for each box.
        class_ids: positions in the model's classes, one for each box.
        is_cached: whether this client had asked about the same picture before; whether anybody had, where the service
            shares results between clients.
        picture_sha256: of the picture's bytes as they arrived, so that an answer is never taken for that to another
            question; None where the service does not say.
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
    """Where in a frame a picture lies; boxes of the reply are then in pixels of the frame.

    Attributes:
        offset_x: of its left side.
        offset_y: of its top.
        frame_width: of the frame.
        frame_height: of the frame.
    """

    offset_x: int = Field(0, ge=0, le=1 << 16)
    offset_y: int = Field(0, ge=0, le=1 << 16)
    frame_width: int | None = Field(None, ge=1, le=1 << 16)
    frame_height: int | None = Field(None, ge=1, le=1 << 16)


class ProblemReply(Reply):
    """Why a request was not carried out (RFC 9457).

    Attributes:
        type: a short name of the kind of problem, for programs.
        title: the same for people.
        status: the HTTP status.
        detail: what, where, and what to do.
    """

    json_limits = JsonLimits(max_bytes=64 << 10, max_items=100)

    type: ShownLine
    title: ShownLine
    status: int
    detail: Explanation


class BatchRequest(Request):
    """The field `request` of a batch; the pictures follow as files with the name `pictures`.

    Attributes:
        min_score: boxes below this are left out.
        max_detections: most boxes for each picture.
        placements: where in a frame each picture lies, in the order of the pictures; None: boxes are in pixels of the
            pictures.
    """

    json_limits = JsonLimits(max_bytes=64 << 10, max_items=5 * MAX_BATCH + 100, max_depth=3)

    min_score: float = Field(0.05, ge=0, le=1)
    max_detections: int = Field(300, ge=1, le=MAX_DETECTIONS)
    placements: tuple[Placement, ...] | None = Field(None, max_length=MAX_BATCH, fail_fast=True)


class BatchReply(Reply):
    """Answers in the order of the pictures; one that could not be looked at does not spoil the others."""

    json_limits = LONG_LIST

    results: tuple[AnnotationReply | ProblemReply, ...] = Field(max_length=MAX_BATCH, fail_fast=True)


class BlobQuestion(Request):
    """Asks which contents still have to be uploaded.

    Attributes:
        sha256: hashes of the contents.
    """

    json_limits = JsonLimits(max_bytes=1 << 20, max_items=MAX_QUESTIONS + 10, max_depth=2)

    sha256: tuple[Sha256, ...] = Field(max_length=MAX_QUESTIONS, fail_fast=True)


class MissingBlobs(Reply):
    """Which contents are not at the service; the others stay there for a while, so that they can be used."""

    json_limits = JsonLimits(max_bytes=1 << 20, max_items=MAX_QUESTIONS + 100)

    missing: tuple[Sha256, ...] = Field(max_length=MAX_QUESTIONS, fail_fast=True)


class StoredBlob(Reply):
    """A content that is safely on the service's disk."""

    sha256: Sha256
    n_bytes: int


Stage = Literal["candidate", "deployed", "archived"]
"""candidate: never deployed; deployed: what the camera runs, one at a time; archived: not in use any more."""


class CameraRequest(Request):
    """What is known about a camera: the context that a specialized model belongs to.

    Attributes:
        place: where it stands.
        shows: what it sees.
    """

    json_limits = JsonLimits(max_bytes=16 << 10, max_items=20, max_depth=1)

    place: Line = ""
    shows: Line = ""


class CameraInfo(Reply):
    """A camera.

    Attributes:
        camera: its name.
        place: where it stands.
        shows: what it sees.
        deployed: id of its deployed bundle; None before the first promotion.
    """

    camera: PlainName
    place: ShownLine
    shows: ShownLine
    deployed: BundleId | None


class CameraList(Reply):
    """All cameras, by name."""

    json_limits = LONG_LIST

    cameras: tuple[CameraInfo, ...] = Field(max_length=MAX_LISTED, fail_fast=True)


class BundleRequest(Request):
    """Adds a bundle whose files have been uploaded.

    Attributes:
        description: text of its bundle.json, exactly as written.
        signature: base64 of the Ed25519 signature of the text's UTF-8 bytes; None for an unsigned one.
        parent: id of the bundle that it was tuned from.
        data_sha256: hash of the manifest of the pictures that it was tuned on.
    """

    json_limits = JsonLimits(max_bytes=3 << 20, max_items=20, max_depth=1)

    description: str = Field(min_length=2, max_length=MAX_DESCRIPTION)
    signature: SignatureText | None = None
    parent: BundleId | None = None
    data_sha256: Sha256 | None = None


class BundleAdded(Reply):
    """A bundle is in the registry; the same request again gives the same answer."""

    id: BundleId
    stage: Stage


class BundleFileInfo(Reply):
    """A file of a bundle: what to download, and its name in the bundle's folder."""

    name: PlainName
    n_bytes: int
    sha256: Sha256


class BundleInfo(Reply):
    """A bundle of a camera.

    Attributes:
        id: how requests call it.
        camera: whose it is.
        stage: where it stands now.
        name: out of its description.
        metrics: out of its description.
        files: what it consists of, apart from its description.
        description_sha256: of the description's UTF-8 bytes.
        is_signed: whether it came with a signature; who trusts it is for the edge to say.
        parent: the bundle that it was tuned from.
        data_sha256: what it was tuned on.
        added_at: aware UTC time.
        added_by: the client.
    """

    id: BundleId
    camera: PlainName
    stage: Stage
    name: ShownLine
    metrics: JsonTable
    files: tuple[BundleFileInfo, ...] = Field(max_length=100, fail_fast=True)
    description_sha256: Sha256
    is_signed: bool
    parent: BundleId | None
    data_sha256: Sha256 | None
    added_at: datetime
    added_by: ShownLine


class BundleList(Reply):
    """The bundles of a camera, newest first."""

    json_limits = LONG_LIST

    bundles: tuple[BundleInfo, ...] = Field(max_length=MAX_LISTED, fail_fast=True)


class DeployedBundle(BundleInfo):
    """The bundle that a camera shall run, with all that is needed to fetch and to check it.

    Attributes:
        description: text of its bundle.json, exactly as written.
        signature: base64 of the signature of these bytes; None when nobody signed it.
    """

    json_limits = JsonLimits(max_bytes=4 << 20, max_items=20_000, max_depth=32)

    description: str = Field(max_length=MAX_DESCRIPTION)
    signature: SignatureText | None


class CollectedGarbage(Reply):
    """What garbage collection removed.

    Attributes:
        bundles: their ids.
        blobs: hashes of contents.
        n_bytes: what the contents took on the disk.
    """

    json_limits = LONG_LIST

    bundles: tuple[BundleId, ...] = Field(max_length=MAX_LISTED, fail_fast=True)
    blobs: tuple[Sha256, ...] = Field(max_length=MAX_LISTED, fail_fast=True)
    n_bytes: int
