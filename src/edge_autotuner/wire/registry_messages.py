"""Messages about contents, cameras and their bundles; see `messages` for the rules."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from edge_autotuner.config.base import PlainName
from edge_autotuner.config.texts import BundleId, JsonTable, Line, Sha256, ShownLine, SignatureText
from edge_autotuner.core.json_limits import JsonLimits
from edge_autotuner.wire.messages import LONG_LIST, Reply, Request

MAX_QUESTIONS = 10_000

MAX_LISTED = 100_000

MAX_DESCRIPTION = 1 << 20
"""Longest bundle.json of a message, characters."""

Stage = Literal["candidate", "deployed", "archived"]
"""candidate: never deployed; deployed: run by the camera, one at a time; archived: no longer in use."""


class BlobQuestion(Request):
    """Asks which contents, by their hashes, must still be uploaded."""

    json_limits = JsonLimits(max_bytes=1 << 20, max_items=MAX_QUESTIONS + 10, max_depth=2)

    sha256: tuple[Sha256, ...] = Field(max_length=MAX_QUESTIONS, fail_fast=True)


class MissingBlobs(Reply):
    """Hashes of the contents that the service lacks; it keeps the others for a while, so that they can be used."""

    json_limits = JsonLimits(max_bytes=1 << 20, max_items=MAX_QUESTIONS + 100)

    missing: tuple[Sha256, ...] = Field(max_length=MAX_QUESTIONS, fail_fast=True)


class StoredBlob(Reply):
    """A content that is on the service's disk."""

    sha256: Sha256
    n_bytes: int


class CameraRequest(Request):
    """Facts about a camera, the context of its specialized models.

    Attributes:
        place: where the camera stands.
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
        deployed: ID of its deployed bundle; None before the first promotion.
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
        parent: ID of the bundle that it was tuned from.
        data_sha256: hash of the manifest of the pictures that it was tuned on.
    """

    json_limits = JsonLimits(max_bytes=3 << 20, max_items=20, max_depth=1)

    description: str = Field(min_length=2, max_length=MAX_DESCRIPTION)
    signature: SignatureText | None = None
    parent: BundleId | None = None
    data_sha256: Sha256 | None = None


class BundleAdded(Reply):
    """A bundle of the registry; the same request again gives the same answer."""

    id: BundleId
    stage: Stage


class BundleFileInfo(Reply):
    """A file of a bundle, with its name in the bundle's folder."""

    name: PlainName
    n_bytes: int
    sha256: Sha256


class BundleInfo(Reply):
    """A bundle of a camera.

    Attributes:
        id: its ID in requests.
        camera: the camera that it belongs to.
        stage: candidate, deployed or archived.
        name: from its description.
        metrics: from its description; left out of lists where they are unusually large.
        files: its files apart from the description.
        description_sha256: of the description's UTF-8 bytes.
        is_signed: whether it has a signature; edge nodes decide which keys they trust.
        parent: ID of the bundle that it was tuned from.
        data_sha256: hash of the manifest of the pictures that it was tuned on.
        added_at: aware UTC time.
        added_by: name of the client.
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
    """The bundle that a camera runs, with everything that is needed to fetch and verify it.

    Attributes:
        description: text of its bundle.json, exactly as written.
        signature: base64 of the signature of these bytes; None for an unsigned one.
    """

    json_limits = JsonLimits(max_bytes=4 << 20, max_items=20_000, max_depth=32)

    description: str = Field(max_length=MAX_DESCRIPTION)
    signature: SignatureText | None


class CollectedGarbage(Reply):
    """The result of a garbage collection.

    Attributes:
        bundles: IDs of removed bundles.
        blobs: hashes of removed contents.
        n_bytes: size of the removed contents.
    """

    json_limits = LONG_LIST

    bundles: tuple[BundleId, ...] = Field(max_length=MAX_LISTED, fail_fast=True)
    blobs: tuple[Sha256, ...] = Field(max_length=MAX_LISTED, fail_fast=True)
    n_bytes: int
