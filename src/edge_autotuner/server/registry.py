"""The model registry: the bundles of each camera, and which one is deployed.

A bundle begins as a candidate. `promote` deploys it and archives the previous one; `roll_back` deploys that one again.
Deployments form a stack per camera: promoting pushes, rolling back pops. Every change is one transaction with its entry
in the audit log, so a kill leaves the old state or the new one.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from starlette.concurrency import run_in_threadpool

from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.deployment.acceptance import signature_from_text
from edge_autotuner.deployment.bundle import ModelBundle
from edge_autotuner.deployment.signing import PublicKey, find_signer
from edge_autotuner.server import registry_rows as rows
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.blobs import Blobs
from edge_autotuner.server.database import Database
from edge_autotuner.server.deployment_news import DeploymentNews
from edge_autotuner.server.garbage_collection import GarbageCollector
from edge_autotuner.server.problems import Problem
from edge_autotuner.server.retention import ProtectedBlobs, RetentionRules
from edge_autotuner.server.schema import bundle_files, bundles, cameras, deployments
from edge_autotuner.wire.registry_messages import (
    BundleAdded,
    BundleInfo,
    BundleRequest,
    CameraInfo,
    CameraRequest,
    CollectedGarbage,
    DeployedBundle,
    Stage,
)

RECHECK_S = 5.0
"""Polling interval of a waiting request for promotions by other processes; those of this process wake it at once."""


class Registry:
    """Cameras and their bundles; safe to share between threads.

    Args:
        protected: finds contents that are needed although no bundle refers to them.
        trusted: keys, one of which must have made every signature; none: signatures are not checked, and only the
            client that added a bundle, or one that may deploy, signs it.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        audit: AuditLog,
        *,
        rules: RetentionRules | None = None,
        protected: Sequence[ProtectedBlobs] = (),
        trusted: Sequence[PublicKey] = (),
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._audit = audit
        self._trusted = tuple(trusted)
        self._clock = clock or SystemClock()
        self._garbage = GarbageCollector(
            database, blobs, audit, rules=rules or RetentionRules(), protected=protected, clock=self._clock
        )
        self._news = DeploymentNews()

    def put_camera(self, camera: str, facts: CameraRequest, *, client: str) -> CameraInfo:
        """Add a camera, or change its facts.

        Raises:
            Problem: 409 it is new, and there are too many; 507 it is new, and the disk has no room.
        """
        values = {"place": facts.place, "shows": facts.shows}
        with self._database.writing() as connection:
            there = connection.execute(select(cameras).where(cameras.c.camera == camera)).first()
            if there is None:
                self._blobs.check_room()
                rows.check_number_of_cameras(connection)
                connection.execute(insert(cameras).values(camera=camera, added_at=self._clock.now(), **values))
            else:
                connection.execute(update(cameras).where(cameras.c.camera == camera).values(values))
            if there is None or (there.place, there.shows) != (facts.place, facts.shows):
                action = "camera-added" if there is None else "camera-changed"
                self._audit.append(connection, action, client=client, subject=camera)
            return CameraInfo(camera=camera, deployed=rows.deployed_id(connection, camera), **values)

    def cameras(self) -> list[CameraInfo]:
        """Return all cameras, by name."""
        joined = cameras.outerjoin(bundles, (bundles.c.camera == cameras.c.camera) & (bundles.c.stage == "deployed"))
        query = select(cameras.c.camera, cameras.c.place, cameras.c.shows, bundles.c.id).select_from(joined)
        with self._database.reading() as connection:
            found = connection.execute(query.order_by(cameras.c.camera)).all()
        return [CameraInfo(camera=row.camera, place=row.place, shows=row.shows, deployed=row.id) for row in found]

    def add(self, camera: str, request: BundleRequest, *, client: str, may_sign_others: bool = False) -> BundleAdded:
        """Add a bundle as a candidate; the same description again gives the same answer, and adds its signature.

        Args:
            camera: that the bundle is for.
            request: the bundle.
            client: that adds it.
            may_sign_others: whether the client may sign bundles of other clients.

        Raises:
            Problem: 403 another client added the bundle; 404 there is no such camera; 409 files have not been uploaded,
                or another client has signed the bundle; 422 the description is wrong, or the signature is of no trusted
                key; 507 the disk has no room.
        """
        content, bundle, summary = rows.checked_description(request)
        self._check_signature(content, request.signature)
        sha256 = hashlib.sha256(content).hexdigest()
        with self._database.writing() as connection:
            rows.check_camera(connection, camera)
            there = connection.execute(
                select(bundles).where(bundles.c.camera == camera, bundles.c.description_sha256 == sha256)
            ).first()
            if there is not None:
                self._add_signature(connection, there, request.signature, client, may_sign_others=may_sign_others)
                return BundleAdded(id=there.id, stage=there.stage)
            self._check_files(bundle)
            self._blobs.check_room(len(content))
            bundle_id = f"b{secrets.token_hex(8)}"
            now = self._clock.now()
            values = {"id": bundle_id, "camera": camera, "description_sha256": sha256, "summary": summary}
            times = {"stage": "candidate", "stage_since": now, "added_at": now, "added_by": client}
            connection.execute(insert(bundles).values({**request.model_dump(), **values, **times}))
            files = [{"bundle_id": bundle_id, **vars(file)} for file in (bundle.model, bundle.weights)]
            connection.execute(insert(bundle_files), files)
            self._audit.append(
                connection, "bundle-added", client=client, subject=f"{camera}/{bundle_id}", detail=f"sha256 {sha256}"
            )
        return BundleAdded(id=bundle_id, stage="candidate")

    def is_signed_by(self, description: bytes, description_sha256: str, trusted: Sequence[PublicKey]) -> bool:
        """Whether there is a bundle with this description and a signature of one of these keys."""
        query = select(bundles.c.signature).where(
            bundles.c.description_sha256 == description_sha256, bundles.c.signature.is_not(None)
        )
        with self._database.reading() as connection:
            signatures = list(connection.execute(query).scalars())
        return any(find_signer(description, signature_from_text(text), trusted) for text in signatures)

    def bundles(self, camera: str) -> list[BundleInfo]:
        """Return the bundles of a camera, newest first, at most `MAX_BUNDLES`.

        Raises:
            Problem: 404 there is no such camera.
        """
        query = select(bundles).where(bundles.c.camera == camera).order_by(bundles.c.added_at.desc(), bundles.c.id)
        with self._database.reading() as connection:
            rows.check_camera(connection, camera)
            found = connection.execute(query.limit(rows.MAX_BUNDLES)).all()
            files = rows.files_of(connection, [row.id for row in found])
        shown = rows.ShownMetrics()
        return [BundleInfo(**rows.facts_of(row, files[row.id], shown)) for row in found]

    def deployed(self, camera: str) -> DeployedBundle | None:
        """Return the deployed bundle of a camera; None before the first promotion.

        Raises:
            Problem: 404 there is no such camera.
        """
        query = select(bundles).where(bundles.c.camera == camera, bundles.c.stage == "deployed")
        with self._database.reading() as connection:
            rows.check_camera(connection, camera)
            row = connection.execute(query).first()
            if row is None:
                return None
            files = rows.files_of(connection, [row.id])[row.id]
        return DeployedBundle(
            **rows.facts_of(row, files, rows.ShownMetrics()), description=row.description, signature=row.signature
        )

    async def wait_for_deployed(self, camera: str, *, after: str | None, wait_s: float) -> DeployedBundle | None:
        """Wait up to `wait_s` for a deployed bundle other than `after`; None if there is none.

        Raises:
            Problem: 404 there is no such camera.
        """
        ends_at_s = self._clock.monotonic_s() + wait_s
        while True:
            with self._news.subscribed(camera) as news:  # subscribe before looking, so that no news is missed
                found = await run_in_threadpool(self.deployed, camera)
                if found is not None and found.id != after:
                    return found
                left_s = ends_at_s - self._clock.monotonic_s()
                if left_s <= 0 or self._news.is_closed:
                    return None
                await _wait(news, min(left_s, RECHECK_S))

    def promote(self, camera: str, bundle_id: str, *, client: str) -> BundleAdded:
        """Deploy a bundle and archive the previous one; nothing changes if it is deployed already.

        Raises:
            Problem: 404 there is no such camera or bundle.
        """
        with self._database.writing() as connection:
            row = rows.bundle_row(connection, camera, bundle_id)
            if row.stage != "deployed":
                former = self._deploy(connection, camera, bundle_id)
                query = select(func.coalesce(func.max(deployments.c.position), 0))
                top = connection.execute(query.where(deployments.c.camera == camera)).scalar_one()
                deployed = {"deployed_at": self._clock.now(), "deployed_by": client}
                row_of = {"camera": camera, "position": top + 1, "bundle_id": bundle_id, **deployed}
                connection.execute(insert(deployments).values(row_of))
                detail = f"instead of {former or 'nothing'}"
                subject = f"{camera}/{bundle_id}"
                self._audit.append(connection, "bundle-promoted", client=client, subject=subject, detail=detail)
        self._news.tell(camera)
        return BundleAdded(id=bundle_id, stage="deployed")

    def roll_back(self, camera: str, *, leaving: str | None = None, client: str) -> BundleAdded:
        """Deploy the previous bundle again, and archive the deployed one.

        Args:
            camera: its name.
            leaving: ID of the deployed bundle; with it, a repeated request does not roll back twice.
            client: that requests it.

        Raises:
            Problem: 404 there is no such camera; 409 there is no previous bundle, or `leaving` is not deployed.
        """
        with self._database.writing() as connection:
            rows.check_camera(connection, camera)
            deployed = rows.deployed_id(connection, camera)
            if leaving is not None and leaving != deployed:
                raise Problem(
                    409, "deployed-differs", f"'{leaving}' is not deployed; deployed: {deployed or 'nothing'}"
                )
            target = self._pop_deployment(connection, camera, deployed)
            if target is None:
                raise Problem(409, "nothing-before", f"camera '{camera}' has no earlier bundle to roll back to")
            self._deploy(connection, camera, target)
            subject = f"{camera}/{target}"
            detail = f"instead of {deployed}"
            self._audit.append(connection, "bundle-rolled-back", client=client, subject=subject, detail=detail)
        self._news.tell(camera)
        return BundleAdded(id=target, stage="deployed")

    def archive(self, camera: str, bundle_id: str, *, client: str) -> BundleAdded:
        """Mark a bundle as no longer in use; nothing changes if it is archived already.

        Raises:
            Problem: 404 there is no such camera or bundle; 409 it is deployed.
        """
        with self._database.writing() as connection:
            row = rows.bundle_row(connection, camera, bundle_id)
            if row.stage == "deployed":
                raise Problem(409, "is-deployed", f"'{bundle_id}' is deployed; promote another one, or roll back")
            if row.stage == "candidate":
                self._set_stage(connection, bundle_id, "archived")
                self._audit.append(connection, "bundle-archived", client=client, subject=f"{camera}/{bundle_id}")
        return BundleAdded(id=bundle_id, stage="archived")

    def collect_garbage(self, *, client: str, should_stop: Callable[[], bool] = lambda: False) -> CollectedGarbage:
        """Delete what the retention rules do not keep; see `GarbageCollector.collect`."""
        return self._garbage.collect(client=client, should_stop=should_stop)

    def close(self) -> None:
        """Answer all waiting requests; later ones do not wait."""
        self._news.close()

    def _check_files(self, bundle: ModelBundle) -> None:
        """Check that all files are there, and keep them until the transaction refers to them."""
        files = (bundle.model, bundle.weights)
        there = self._blobs.claim(file.sha256 for file in files)
        missing = [file for file in files if file.sha256 not in there]
        if missing:
            names = ", ".join(f"{file.name} ({file.sha256})" for file in missing)
            raise Problem(409, "blobs-missing", f"upload these first: {names}")
        for file in files:
            if there[file.sha256] != file.n_bytes:
                detail = f"{file.name} has {there[file.sha256]} bytes, not {file.n_bytes} as the description says"
                raise Problem(422, "not-a-bundle", detail)

    def _check_signature(self, description: bytes, signature: str | None) -> None:
        if signature is None or not self._trusted:
            return
        if find_signer(description, signature_from_text(signature), self._trusted) is None:
            known = ", ".join(key.fingerprint for key in self._trusted)
            detail = f"the signature is not from a trusted key ({known}); see trusted_keys"
            raise Problem(422, "signature-unknown", detail)

    def _add_signature(
        self, connection: Connection, row: Row[Any], signature: str | None, client: str, *, may_sign_others: bool
    ) -> None:
        """Replace the signature of a bundle, if the new one was checked, or its client may sign the bundle."""
        if signature is None or signature == row.signature:
            return
        if not self._trusted and client != row.added_by and not may_sign_others:
            detail = f"bundle '{row.id}' can only be signed by the client that added it, or with a deploy token"
            status, kind = (403, "not-yours") if row.signature is None else (409, "signature-differs")
            raise Problem(status, kind, detail)
        connection.execute(update(bundles).where(bundles.c.id == row.id).values(signature=signature))
        self._audit.append(connection, "bundle-signed", client=client, subject=f"{row.camera}/{row.id}")

    def _deploy(self, connection: Connection, camera: str, bundle_id: str) -> str | None:
        """Make a bundle the deployed one, and return the previous one."""
        former = rows.deployed_id(connection, camera)
        if former is not None:
            self._set_stage(connection, former, "archived")
        self._set_stage(connection, bundle_id, "deployed")
        return former

    def _set_stage(self, connection: Connection, bundle_id: str, stage: Stage) -> None:
        values = {"stage": stage, "stage_since": self._clock.now()}
        connection.execute(update(bundles).where(bundles.c.id == bundle_id).values(values))

    def _pop_deployment(self, connection: Connection, camera: str, deployed: str | None) -> str | None:
        """Pop the deployed bundle from the stack and return the one below; None if there is none."""
        of_camera = deployments.c.camera == camera
        below = connection.execute(
            select(deployments.c.position, deployments.c.bundle_id)
            .where(of_camera, deployments.c.bundle_id != deployed)  # twice where those between were deleted
            .order_by(deployments.c.position.desc())
            .limit(1)
        ).first()
        if below is None:
            return None
        connection.execute(delete(deployments).where(of_camera, deployments.c.position > below.position))
        return str(below.bundle_id)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return
