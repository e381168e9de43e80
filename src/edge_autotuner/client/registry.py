"""The model registry from the edge's side: publish a bundle, hear which one to run, fetch it.

What is fetched has its hashes; whether its description is signed by somebody who is trusted is checked by the caller,
before anything of it is used.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from edge_autotuner.client.connection import Connection, path_of
from edge_autotuner.client.download import fetch_file
from edge_autotuner.client.uploads import upload_missing
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
from edge_autotuner.wire.messages import (
    BundleAdded,
    BundleFileInfo,
    BundleInfo,
    BundleList,
    BundleRequest,
    CameraInfo,
    CameraList,
    CameraRequest,
    DeployedBundle,
    Request,
)

_DESCRIPTION_FILE = "bundle.json"  # as `deployment` calls it
_MAX_DESCRIPTION_BYTES = 4 << 20
_MAX_FILE_BYTES = 1 << 30


class _Nothing(Request):
    """A request that says everything by its address."""


class RegistryClient:
    """Asks the registry over a connection, which stays open. Everything raises as `Connection.get_json`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put_camera(self, camera: str, *, place: str = "", shows: str = "") -> CameraInfo:
        """Add a camera, or change what is known about it."""
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
        """Upload a bundle, and add it as a candidate; what is there already does not travel again.

        Args:
            camera: whose it is.
            description: content of its bundle.json, exactly as written.
            files: its other files by their SHA-256.
            signature: base64 of the description's signature.
            parent: id of the bundle that it was tuned from.
            data_sha256: what it was tuned on.
            deadline: no request is begun after it.

        Raises:
            ModelBundleError: the description is not UTF-8 text.
            StorageError: a file cannot be read.
            ServiceRefused: there is no such camera, or the service finds something wrong with the bundle.
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
        """Upload the files that the service does not have.

        Args:
            files: by their SHA-256.
            deadline: no request is begun after it.

        Raises:
            StorageError: a file cannot be read.
        """
        upload_missing(self._connection, files, deadline=deadline)

    def deployed(
        self, camera: str, *, after: str | None = None, wait_s: float = 0.0, deadline: Deadline | None = None
    ) -> DeployedBundle | None:
        """Return the bundle that a camera shall run, or None when it is still the one called `after`.

        Args:
            camera: whose it is.
            after: id of the bundle that it runs; None for none of the registry.
            wait_s: how long the service may wait for another one.
            deadline: no request is begun after it.
        """
        query: dict[str, str | float] = {"wait_s": wait_s}
        if after is not None:
            query["after"] = after
        path = path_of("cameras", camera, "deployed")
        return self._connection.poll_json(path, DeployedBundle, query=query, wait_s=wait_s, deadline=deadline)

    def fetch(self, bundle: DeployedBundle, folder: Path, *, deadline: Deadline | None = None) -> None:
        """Download a bundle into a new folder, in one step; an interrupted download goes on where it stopped.

        Args:
            bundle: from `deployed`.
            folder: must not exist; its parents are created. Only one process may fetch into it.
            deadline: no request is begun after it.

        Raises:
            ServiceBadReply: the description or a file is not what the registry says.
            ModelBundleError: the folder exists.
            StorageError: the disk is full or refuses; what arrived is kept for the next attempt.
        """
        description = _checked_description(bundle)
        if folder.exists():
            raise ModelBundleError(f"{folder} exists already: a bundle is never overwritten; choose another name")
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
        """Deploy a bundle; the one before is archived."""
        path = path_of("cameras", camera, "bundles", bundle_id, "promote")
        return self._connection.post_json(path, _Nothing(), BundleAdded)

    def roll_back(self, camera: str, *, leaving: str) -> BundleAdded:
        """Deploy again what was deployed before `leaving`; refused when that is not the deployed one any more."""
        path = path_of("cameras", camera, "rollback")
        return self._connection.post_json(path, _Nothing(), BundleAdded, query={"leaving": leaving})

    def archive(self, camera: str, bundle_id: str) -> BundleAdded:
        """Say that a bundle is not in use any more."""
        path = path_of("cameras", camera, "bundles", bundle_id, "archive")
        return self._connection.post_json(path, _Nothing(), BundleAdded)


def _checked_description(bundle: DeployedBundle) -> bytes:
    """Return the description's bytes, after checking all that the registry says about the bundle.

    Raises:
        ServiceBadReply: hashes, names or sizes cannot be right.
    """
    description = bundle.description.encode()
    if hashlib.sha256(description).hexdigest() != bundle.description_sha256:
        raise ServiceBadReply(f"bundle {bundle.id}: its description does not have its hash")
    names = [file.name for file in bundle.files]
    if not names or len(set(names)) < len(names) or _DESCRIPTION_FILE in names:
        raise ServiceBadReply(f"bundle {bundle.id}: its files cannot be {', '.join(names) or 'none'}")
    if len(description) > _MAX_DESCRIPTION_BYTES or not all(map(_has_usual_size, bundle.files)):
        raise ServiceBadReply(f"bundle {bundle.id}: its description or a file has no usual size")
    return description


def _has_usual_size(file: BundleFileInfo) -> bool:
    return 0 < file.n_bytes <= _MAX_FILE_BYTES


def _remove_partial(folder: Path) -> None:
    """Delete what was begun of other bundles under this name."""
    for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.*{TEMPORARY_SUFFIX}"):
        remove_folder(leftover, below=folder.parent)
