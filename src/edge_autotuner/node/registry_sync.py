"""Synchronizes a node's models with the registry of a service, over a link that may be down for days.

Every bundle of a camera is published. A setting says who decides about deployments: the node (its winners are then
promoted at the registry as well) or the registry. Either way the node carries out promotions and rollbacks of the
registry. Nothing from the registry is used before its hashes and its signature have been checked.

CAMERA/registry.json                 the registry's deployment that was carried out last
CAMERA/bundles/NAME/registry.json    the registry's ID of the bundle
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

from edge_autotuner.client import Connection, RegistryClient
from edge_autotuner.config.node import CameraConfig, RegistryConfig
from edge_autotuner.core import SystemClock
from edge_autotuner.deployment import ModelBundle, deploy, deployed_bundle, install_bundle, read_bundle
from edge_autotuner.deployment.acceptance import (
    check_camera,
    check_signature,
    read_signature,
    sign_bundle,
    signature_from_text,
    signature_to_text,
    write_signature,
)
from edge_autotuner.deployment.bundle import DESCRIPTION_FILE, parse_description
from edge_autotuner.deployment.deployed import note_registry_id, registry_id
from edge_autotuner.deployment.signing import PublicKey, SigningKey, read_signing_key, trusted_keys
from edge_autotuner.errors import ModelBundleError
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.node.fault_domain import FaultDomain
from edge_autotuner.node.incoming_bundles import IncomingBundles
from edge_autotuner.storage import child_path, remove_folder
from edge_autotuner.wire.registry_messages import DeployedBundle

logger = logging.getLogger(__name__)


class CameraSync:
    """Synchronizes the models of one camera; every step can be interrupted and repeated.

    Args:
        trusted: a fetched bundle must be signed with one of these keys; empty: unsigned bundles are accepted.
        key: signs what is published; None: it is not signed.

    Attributes:
        problem: why the registry's deployed bundle is not in use here; None if it is.
    """

    def __init__(
        self,
        camera: CameraConfig,
        folder: CameraFolder,
        client: RegistryClient,
        config: RegistryConfig,
        *,
        trusted: tuple[PublicKey, ...],
        key: SigningKey | None,
    ) -> None:
        self._camera, self._folder, self._client, self._config = camera, folder, client, config
        self._trusted, self._key = trusted, key
        self._incoming = IncomingBundles(folder.path)
        self._is_known = False
        self._refused: str | None = None
        self.problem: str | None = None

    def step(self) -> None:
        """Publish new bundles, and carry out the registry's decision.

        Raises:
            ServiceError: the service cannot be reached, or refuses.
            StorageError: the disk refused.
        """
        if not self._is_known:
            self._client.put_camera(self._camera.name, place=self._camera.place, shows=self._camera.shows)
            self._is_known = True
        for path in _bundles(self._folder):
            if registry_id(path) is None:
                self._publish(path)
        done = registry_id(self._folder.path)
        decided = self._client.deployed(self._camera.name, after=done)
        if decided is not None:
            self._carry_out(decided)
        else:
            self._incoming.remove_others(None)
        if decided is None and self._config.decides == "node":
            self._promote_own(done)

    def _publish(self, path: Path) -> None:
        """Publish a bundle; a damaged one is left out."""
        try:
            bundle = read_bundle(path)
            signature = self._signature_of(path)
        except ModelBundleError as exc:
            logger.error("%s: not publishing %s: %s", self._camera.name, path.name, exc)
            return
        files = {file.sha256: child_path(path, file.name) for file in (bundle.model, bundle.weights)}
        added = self._client.publish(
            self._camera.name,
            (path / DESCRIPTION_FILE).read_bytes(),
            files,
            signature=signature,
            parent=self._parent_of(bundle),
        )
        note_registry_id(path, added.id)
        logger.info("%s: published %s as %s", self._camera.name, path.name, added.id)

    def _signature_of(self, path: Path) -> str | None:
        signature = read_signature(path)
        if signature is None and self._key is not None:
            signature = sign_bundle(path, self._key)
        return None if signature is None else signature_to_text(signature)

    def _parent_of(self, bundle: ModelBundle) -> str | None:
        """Return the registry's id of the bundle that this one was tuned from; None if it is not of this camera."""
        name = str(bundle.lineage.get("edge_model"))
        parents = [path for path in _bundles(self._folder) if path.name == name]
        return registry_id(parents[0]) if parents else None

    def _promote_own(self, done: str | None) -> None:
        """Tell the registry which bundle the node has deployed itself."""
        deployed = deployed_bundle(self._folder.path)
        own = registry_id(deployed) if deployed else None
        if own is not None and own != done:
            self._client.promote(self._camera.name, own)
            note_registry_id(self._folder.path, own)

    def _carry_out(self, decided: DeployedBundle) -> None:
        """Deploy the registry's choice; if it cannot be trusted, keep the old model."""
        if decided.id == self._refused:
            return
        try:
            name = self._here(decided.id) or self._fetch(decided)
            deploy(self._folder.path, name)
        except ModelBundleError as exc:
            self._refused, self.problem = decided.id, f"{decided.id} is refused: {exc}"
            logger.error("%s: %s", self._camera.name, self.problem)
            return
        self._refused = self.problem = None
        note_registry_id(self._folder.path, decided.id)
        logger.info("%s: deployed %s on behalf of the registry", self._camera.name, name)

    def _here(self, bundle_id: str) -> str | None:
        """Return the name of a complete local bundle, by the registry's ID."""
        for path in _bundles(self._folder):
            if registry_id(path) == bundle_id:
                self._check_camera(read_bundle(path))
                return path.name
        return None

    def _check_camera(self, bundle: ModelBundle) -> None:
        check_camera(bundle, self._camera.name, others=self._config.runs_models_of)

    def _checked_signature(self, decided: DeployedBundle) -> bytes | None:
        """Return the signature of a bundle that the registry names, after checking it and the description.

        Raises:
            ModelBundleError: the signature is not one of a trusted key, the bundle is for another camera, or its
                description names other files than the registry.
        """
        description = decided.description.encode()
        signature = None if decided.signature is None else signature_from_text(decided.signature)
        if self._trusted:
            check_signature(description, signature, self._trusted)
        bundle = parse_description(description)
        self._check_camera(bundle)
        described = {(file.name, file.n_bytes, file.sha256) for file in (bundle.model, bundle.weights)}
        if described != {(file.name, file.n_bytes, file.sha256) for file in decided.files}:
            raise ModelBundleError("the registry's file list does not match the bundle's description")
        return signature

    def _fetch(self, decided: DeployedBundle) -> str:
        """Download, verify and install a bundle; the disk is not touched before the signature was checked."""
        signature = self._checked_signature(decided)
        incoming = self._incoming.path_of(decided.id)
        self._incoming.remove_others(decided.id)
        if not incoming.is_dir():
            self._client.fetch(decided, incoming)
        try:
            if signature is not None:
                write_signature(incoming, signature)
            installed = install_bundle(incoming, self._folder.path, decided.id, trusted=self._trusted)
        finally:
            remove_folder(incoming, below=self._incoming.path)
        note_registry_id(installed.folder, decided.id)
        return installed.folder.name


class RegistrySync:
    """Synchronizes all cameras of a node, from a thread of its own.

    Attributes:
        problem: why the last round failed; None if it did not.

    Raises:
        ConfigError: a key or certificate cannot be used.
        MissingDependency: what signatures or connections need is not installed.
    """

    def __init__(
        self, cameras: dict[str, CameraFolder], configs: tuple[CameraConfig, ...], config: RegistryConfig
    ) -> None:
        self._every_s = config.poll_every_s
        self._connection = Connection(config.service, setting_of="registry.service.{}".format)
        trusted = trusted_keys(config.trusted_keys)
        key = read_signing_key(config.signing_key) if config.signing_key else None
        client = RegistryClient(self._connection)
        self._syncs = {
            camera.name: CameraSync(camera, cameras[camera.name], client, config, trusted=trusted, key=key)
            for camera in configs
        }
        self._faults = {  # each is asked again with every round
            name: FaultDomain(f"{name}: registry", SystemClock(), first_retry_s=0) for name in self._syncs
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self.problem: str | None = None

    @property
    def state(self) -> dict[str, Any]:
        """Its status, JSON values."""
        refused = {name: sync.problem for name, sync in self._syncs.items() if sync.problem}
        return {"problem": self.problem, "refused": refused}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end, even during a transfer."""
        self._stop.set()
        self._connection.close()

    def join(self, timeout_s: float) -> None:
        """Wait until it has ended."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.problem = self._round()
            self._stop.wait(self._every_s)

    def _round(self) -> str | None:
        """Synchronize every camera once; return what was wrong with the last that failed."""
        problem = None
        for name, sync in self._syncs.items():
            if self._stop.is_set():
                return problem
            faults = self._faults[name]
            if not faults.do(lambda of=sync: self._step(of)):  # type: ignore[misc]
                problem = f"{name}: {faults.problem}"
        return problem

    def _step(self, sync: CameraSync) -> None:
        """Synchronize one camera; being interrupted by `stop` is not a failure."""
        try:
            sync.step()
        except Exception:
            if not self._stop.is_set():
                raise


def _bundles(folder: CameraFolder) -> list[Path]:
    """Return a camera's bundles, the oldest first, so that parents are published before their children."""
    whole = [path for path in folder.bundles() if (path / DESCRIPTION_FILE).is_file()]
    return sorted(whole, key=lambda path: (path / DESCRIPTION_FILE).stat().st_mtime_ns)
