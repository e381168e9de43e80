"""Builds the HTTP interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from edge_autotuner._version import __version__
from edge_autotuner.server.access import caller_with
from edge_autotuner.server.limits import BodyLimit
from edge_autotuner.server.observing import Observing
from edge_autotuner.server.problems import answer_problems
from edge_autotuner.server.routers.annotations import models_router
from edge_autotuner.server.routers.annotations import router as annotations_router
from edge_autotuner.server.routers.blobs import router as blobs_router
from edge_autotuner.server.routers.documented import add_messages, problems
from edge_autotuner.server.routers.health import metrics_router
from edge_autotuner.server.routers.health import router as health_router
from edge_autotuner.server.routers.jobs import router as jobs_router
from edge_autotuner.server.routers.registry import router as registry_router
from edge_autotuner.server.services import Services
from edge_autotuner.wire.messages import API_PREFIX

_DESCRIPTION = (
    "Groundtruth models, model registry and tuning jobs for edge nodes. Send `Authorization: Bearer TOKEN` with each "
    "request. Errors are application/problem+json (RFC 9457)."
)

_STORE_REFUSALS = problems(400, 401, 403, 404, 408, 409, 413, 416, 422, 429, 500, 503, 507)


def create_app(services: Services) -> FastAPI:
    """Return the application; its models are loaded when it starts."""
    app = _App(
        title="Edge AutoTuner",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=f"{API_PREFIX}/openapi.json",
        docs_url=None,  # the pages load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        lifespan=_lifespan,
    )
    app.state.services = services
    answer_problems(app)
    for router in (health_router, models_router, annotations_router):
        app.include_router(router, prefix=API_PREFIX)
    for router in (blobs_router, registry_router, jobs_router):
        app.include_router(router, prefix=API_PREFIX, responses=_STORE_REFUSALS)
    metrics_access = [] if services.config.metrics_open else [Depends(caller_with("admin"))]
    app.include_router(metrics_router, dependencies=metrics_access)
    limits = services.config.limits
    app.add_middleware(
        BodyLimit,
        max_bytes=int(limits.max_body_mb * 1e6),
        max_total_bytes=int(limits.max_bodies_mb * 1e6),
        max_pause_s=limits.max_pause_s,
        max_body_s=limits.max_body_s,
        is_streamed=_is_streamed,
    )
    app.add_middleware(Observing, metrics=services.metrics)
    return app


class _App(FastAPI):
    """Adds the bodies of requests to the description, which the framework does not read."""

    def openapi(self) -> dict[str, Any]:
        description = super().openapi()
        add_messages(description)
        return description


def _operation_id(route: APIRoute) -> str:
    """Return the function's name, a stable name for generated clients."""
    return route.name


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    loading = asyncio.create_task(services.load())
    services.start()
    try:
        yield
    finally:
        services.stop()
        loading.cancel()
        await run_in_threadpool(services.close)


def _is_streamed(scope: Scope) -> bool:
    """Whether a body is an upload, which is streamed to the disk."""
    return scope["method"] == "PUT" and str(scope["path"]).startswith(f"{API_PREFIX}/blobs/")
