"""`/v1/cameras`: cameras, their bundles, and the deployed ones."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from edge_autotuner.server.access import Caller, caller_with
from edge_autotuner.server.bodies import json_body
from edge_autotuner.server.registry import Registry
from edge_autotuner.server.routers.documented import takes
from edge_autotuner.wire.registry_messages import (
    BundleAdded,
    BundleList,
    BundleRequest,
    CameraInfo,
    CameraList,
    CameraRequest,
    CollectedGarbage,
    DeployedBundle,
)

router = APIRouter(tags=["registry"])

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
Camera = Annotated[str, Path(pattern=_NAME, description="Name of the camera.")]
BundleId = Annotated[str, Path(pattern=_NAME, description="ID of the bundle.")]
OptionalId = Annotated[str | None, Query(pattern=_NAME)]

Reader = Depends(caller_with("annotate", "train", "deploy"))
Trainer = Annotated[Caller, Depends(caller_with("train"))]
CameraFacts = Annotated[CameraRequest, json_body(CameraRequest, caller_with("train"))]
NewBundle = Annotated[BundleRequest, json_body(BundleRequest, caller_with("train"))]
Deployer = Annotated[Caller, Depends(caller_with("deploy"))]
Admin = Annotated[Caller, Depends(caller_with("admin"))]

_NO_NEWS: dict[int | str, dict[str, Any]] = {204: {"description": "The deployed bundle is still `after`."}}


def _registry(request: Request) -> Registry:
    found: Registry = request.app.state.services.registry
    return found


Models = Annotated[Registry, Depends(_registry)]


@router.get("/cameras", dependencies=[Reader])
async def list_cameras(registry: Models) -> CameraList:
    """Return all cameras."""
    return CameraList(cameras=tuple(await run_in_threadpool(registry.cameras)))


@router.put("/cameras/{camera}", openapi_extra=takes(CameraRequest))
async def put_camera(camera: Camera, facts: CameraFacts, registry: Models, caller: Trainer) -> CameraInfo:
    """Add a camera, or change its facts."""
    return await run_in_threadpool(registry.put_camera, camera, facts, client=caller.client)


@router.post("/cameras/{camera}/bundles", openapi_extra=takes(BundleRequest))
async def add_bundle(camera: Camera, bundle: NewBundle, registry: Models, caller: Trainer) -> BundleAdded:
    """Add a bundle whose files have been uploaded; repeating it changes nothing."""
    return await run_in_threadpool(
        registry.add, camera, bundle, client=caller.client, may_sign_others=caller.may("deploy")
    )


@router.get("/cameras/{camera}/bundles", dependencies=[Reader])
async def list_bundles(camera: Camera, registry: Models) -> BundleList:
    """Return the newest 2000 bundles of a camera, newest first; unusually large metrics are left out."""
    return BundleList(bundles=tuple(await run_in_threadpool(registry.bundles, camera)))


@router.get("/cameras/{camera}/deployed", dependencies=[Reader], response_model=DeployedBundle, responses=_NO_NEWS)
async def wait_for_deployed(
    camera: Camera,
    registry: Models,
    after: OptionalId = None,
    wait_s: Annotated[float, Query(ge=0, le=60, description="Longest wait for a bundle other than `after`.")] = 0.0,
) -> DeployedBundle | Response:
    """Return the deployed bundle of a camera, once it differs from `after`."""
    found = await registry.wait_for_deployed(camera, after=after, wait_s=wait_s)
    return found if found is not None else Response(status_code=204)


@router.post("/cameras/{camera}/bundles/{bundle_id}/promote")
async def promote_bundle(camera: Camera, bundle_id: BundleId, registry: Models, caller: Deployer) -> BundleAdded:
    """Deploy a bundle; the previous one is archived, and a rollback returns to it."""
    return await run_in_threadpool(registry.promote, camera, bundle_id, client=caller.client)


@router.post("/cameras/{camera}/rollback")
async def roll_back(camera: Camera, registry: Models, caller: Deployer, leaving: OptionalId = None) -> BundleAdded:
    """Deploy the previous bundle again; with `leaving`, only if that bundle is still deployed."""
    return await run_in_threadpool(registry.roll_back, camera, leaving=leaving, client=caller.client)


@router.post("/cameras/{camera}/bundles/{bundle_id}/archive")
async def archive_bundle(camera: Camera, bundle_id: BundleId, registry: Models, caller: Deployer) -> BundleAdded:
    """Mark a bundle as no longer in use."""
    return await run_in_threadpool(registry.archive, camera, bundle_id, client=caller.client)


@router.post("/collect-garbage")
async def collect_garbage(registry: Models, caller: Admin) -> CollectedGarbage:
    """Delete bundles and contents that the retention rules do not keep."""
    return await run_in_threadpool(registry.collect_garbage, client=caller.client)
