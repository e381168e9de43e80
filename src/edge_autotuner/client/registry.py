"""Client of the model registry: publish a bundle, find out which one is deployed, fetch it.

Hashes of fetched bundles are verified here; callers check the signature before they use one.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from edge_autotuner.client.connection import Connection, path_of
from edge_autotuner.client.contents import fetch_file, upload_missing
from edge_autotuner.core.clock import Deadline
from edge_autotuner.errors import ModelBundleError, ServiceBadReply
from edge_autotuner.storage import child_path, remove_folder
from edge_autotuner.storage.atomic import (
    TEMPORARY_SUFFIX,
    atomic_write_bytes,
    make_folder,
    storage_errors,
    sync_folder,
)
from edge_autotuner.wire.messages import Empty
from edge_autotuner.wire.registry_messages import (
    BundleAdded,
    BundleFileInfo,
    BundleInfo,
    BundleList,
    BundleRequest,
    CameraInfo,
    CameraList,
    CameraRequest,
    DeployedBundle,
)

_DESCRIPTION_FILE = "bundle.json"  # as `deployment` calls it
_MAX_DESCRIPTION_BYTES = 4 << 20
_MAX_FILE_BYTES = 1 << 30


class RegistryClient:
    """The registry over a connection, which stays open. All methods raise as `Connection.get_json`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put_camera(self, camera: str, *, place: str = "", shows: str = "") -> CameraInfo:
        """Add a camera, or change its facts."""
        facts = CameraRequest(place=place, shows=shows)
        return self._connection.post_json(path_of("cameras", camera), facts, CameraInfo, method="PUT")

    def cameras(self) -> tuple[CameraInfo, ...]:
        """Return all cameras, by name."""
        return self._connection.get_json(path_of("cameras"), CameraList).cameras

    def bundles(self, camera: str) -> tuple[BundleInfo, ...]:
        """Return the bundles of a camera, newest first."""
        return self._connection.get_json(path_of("cameras", camera, "bundles"), BundleList).bundles

    def publish(
        self,
        camera: str,
        description: bytes,
        files: Mapping[str, Path],
        *,
        signature: str | None = None,
        parent: str | None = None,
        data_sha256: str | None = None,
        deadline: Deadline | None = None,
    ) -> BundleAdded:
        """Upload the missing files of a bundle, and add it as a candidate.

        Args:
            camera: that the bundle is for.
            description: content of its bundle.json, exactly as written.
            files: its other files by their SHA-256.
            signature: see `BundleRequest`, as for the next two.
            parent: ID of the bundle that it was tuned from.
            data_sha256: hash of the manifest of the pictures that it was tuned on.
            deadline: no request begins after it.

        Raises:
            ModelBundleError: the description is not UTF-8 text.
            StorageError: a file cannot be read.
            ServiceRefused: there is no such camera, or the bundle is wrong.
        """
        try:
            text = description.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise ModelBundleError(f"the description of a bundle must be UTF-8 text: {exc}") from exc
        request = BundleRequest(description=text, signature=signature, parent=parent, data_sha256=data_sha256)
        self.upload(files, deadline=deadline)
        return self._connection.post_json(
            path_of("cameras", camera, "bundles"), request, BundleAdded, deadline=deadline
        )

    def upload(self, files: Mapping[str, Path], *, deadline: Deadline | None = None) -> None:
        """Upload the missing files, by their SHA-256; raises `StorageError` if one cannot be read."""
        upload_missing(self._connection, files, deadline=deadline)

    def deployed(
        self, camera: str, *, after: str | None = None, wait_s: float = 0.0, deadline: Deadline | None = None
    ) -> DeployedBundle | None:
        """Wait up to `wait_s` for a deployed bundle other than `after`; None if there is none."""
        query: dict[str, str | float] = {"wait_s": wait_s}
        if after is not None:
            query["after"] = after
        path = path_of("cameras", camera, "deployed")
        return self._connection.poll_json(path, DeployedBundle, query=query, wait_s=wait_s, deadline=deadline)

    def fetch(self, bundle: DeployedBundle, folder: Path, *, deadline: Deadline | None = None) -> None:
        """Download a bundle into a new folder, in one step; an interrupted download is resumed.

        Args:
            bundle: from `deployed`.
            folder: must not exist; its parents are created. Only one process may fetch into it.
            deadline: no request begins after it.

        Raises:
            ServiceBadReply: the description or a file does not have the size or hash that the registry says.
            ModelBundleError: the folder exists.
            StorageError: the disk is full or refuses; a partial download is kept.
        """
        description = _checked_description(bundle)
        if folder.exists():
            raise ModelBundleError(f"{folder} already exists, and bundles are never overwritten; choose another name")
        partial = folder.with_name(f".{folder.name}.{bundle.description_sha256[:16]}{TEMPORARY_SUFFIX}")
        make_folder(partial)
        for file in bundle.files:
            target, path = child_path(partial, file.name, error=ServiceBadReply), path_of("blobs", file.sha256)
            if not target.is_file():  # it has its name only when its hash was right
                fetch_file(self._connection, path, target, sha256=file.sha256, n_bytes=file.n_bytes, deadline=deadline)
        atomic_write_bytes(partial / _DESCRIPTION_FILE, description)
        with storage_errors(folder):
            os.rename(partial, folder)
            sync_folder(folder.parent)
        _remove_partial(folder)

    def promote(self, camera: str, bundle_id: str) -> BundleAdded:
        """Deploy a bundle and archive the previous one."""
        path = path_of("cameras", camera, "bundles", bundle_id, "promote")
        return self._connection.post_json(path, Empty(), BundleAdded)

    def roll_back(self, camera: str, *, leaving: str) -> BundleAdded:
        """Deploy the bundle before `leaving` again; refused if `leaving` is no longer deployed."""
        path = path_of("cameras", camera, "rollback")
        return self._connection.post_json(path, Empty(), BundleAdded, query={"leaving": leaving})

    def archive(self, camera: str, bundle_id: str) -> BundleAdded:
        """Mark a bundle as no longer in use."""
        path = path_of("cameras", camera, "bundles", bundle_id, "archive")
        return self._connection.post_json(path, Empty(), BundleAdded)


def _checked_description(bundle: DeployedBundle) -> bytes:
    """Return the description's bytes; raises `ServiceBadReply` if hashes, names or sizes cannot be right."""
    description = bundle.description.encode()
    if hashlib.sha256(description).hexdigest() != bundle.description_sha256:
        raise ServiceBadReply(f"bundle {bundle.id}: its description does not match its hash")
    names = [file.name for file in bundle.files]
    if not names or len(set(names)) < len(names) or _DESCRIPTION_FILE in names:
        raise ServiceBadReply(f"bundle {bundle.id}: its files cannot be {', '.join(names) or 'none'}")
    if len(description) > _MAX_DESCRIPTION_BYTES or not all(map(_has_usual_size, bundle.files)):
        raise ServiceBadReply(f"bundle {bundle.id}: its description or a file has an invalid size")
    return description


def _has_usual_size(file: BundleFileInfo) -> bool:
    return 0 < file.n_bytes <= _MAX_FILE_BYTES


def _remove_partial(folder: Path) -> None:
    """Delete partial downloads of other bundles with this name."""
    for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.*{TEMPORARY_SUFFIX}"):
        remove_folder(leftover, below=folder.parent)
