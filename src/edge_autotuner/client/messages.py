"""What goes over the wire between an edge node and the service: one model per message, checked on both sides.

Both sides refuse what they do not know, so that a misspelt field never passes silently. Fields are only ever added,
with a default, within one version of the interface; a reader of replies therefore ignores fields that it does not know.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge_autotuner.config.base import PlainName
from edge_autotuner.config.texts import BundleId, Explanation, JsonTable, Line, Sha256, ShownLine, SignatureText

API_PREFIX = "/v1"

Box = Annotated[tuple[float, ...], Field(min_length=4, max_length=4)]
"""Corners x1, y1, x2, y2 in pixels; in the description a plain array of four numbers, which every generator knows."""


class Request(BaseModel):
    """What a client sends: fields that nobody knows are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reply(BaseModel):
    """What the service answers: a later version may have more to say."""

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
    classes: tuple[str, ...]
    input_size_wh: tuple[int, int]
    resize: Literal["stretch", "letterbox"] | None = None


class ModelList(Reply):
    """All groundtruth models of the service."""

    models: tuple[ModelInfo, ...]


class AnnotationReply(Reply):
    """What a groundtruth model found in one picture.

    Attributes:
        model: its name.
        model_sha256: of its file.
        boxes_xyxy: by falling score; pixels of the picture, or of the frame when the request said where in a frame the
            picture lies.
        scores: in [0, 1], one for each box.
        class_ids: positions in the model's classes, one for each box.
        is_cached: whether the same picture had been asked about before.
        picture_sha256: of the picture's bytes as they arrived, so that an answer is never taken for that to another
            question; None where the service does not say.
    """

    model: ShownLine
    model_sha256: Sha256
    boxes_xyxy: tuple[Box, ...]
    scores: tuple[float, ...]
    class_ids: tuple[int, ...]
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

    min_score: float = Field(0.05, ge=0, le=1)
    max_detections: int = Field(300, ge=1, le=10_000)
    placements: tuple[Placement, ...] | None = None


class BatchReply(Reply):
    """Answers in the order of the pictures; one that could not be looked at does not spoil the others."""

    results: tuple[AnnotationReply | ProblemReply, ...]


class BlobQuestion(Request):
    """Asks which contents still have to be uploaded.

    Attributes:
        sha256: hashes of the contents.
    """

    sha256: tuple[Sha256, ...] = Field(max_length=10_000)


class MissingBlobs(Reply):
    """Which contents are not at the service; the others stay there for a while, so that they can be used."""

    missing: tuple[Sha256, ...]


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

    cameras: tuple[CameraInfo, ...]


class BundleRequest(Request):
    """Adds a bundle whose files have been uploaded.

    Attributes:
        description: text of its bundle.json, exactly as written.
        signature: base64 of the Ed25519 signature of the text's UTF-8 bytes; None for an unsigned one.
        parent: id of the bundle that it was tuned from.
        data_sha256: hash of the manifest of the pictures that it was tuned on.
    """

    description: str = Field(min_length=2, max_length=4 << 20)
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
    files: tuple[BundleFileInfo, ...]
    description_sha256: Sha256
    is_signed: bool
    parent: BundleId | None
    data_sha256: Sha256 | None
    added_at: datetime
    added_by: ShownLine


class BundleList(Reply):
    """The bundles of a camera, newest first."""

    bundles: tuple[BundleInfo, ...]


class DeployedBundle(BundleInfo):
    """The bundle that a camera shall run, with all that is needed to fetch and to check it.

    Attributes:
        description: text of its bundle.json, exactly as written.
        signature: base64 of the signature of these bytes; None when nobody signed it.
    """

    description: str
    signature: SignatureText | None


class CollectedGarbage(Reply):
    """What garbage collection removed.

    Attributes:
        bundles: their ids.
        blobs: hashes of contents.
        n_bytes: what the contents took on the disk.
    """

    bundles: tuple[str, ...]
    blobs: tuple[Sha256, ...]
    n_bytes: int
