"""Health, readiness and metrics of the service."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from edge_autotuner.server.metrics import MEDIA_TYPE
from edge_autotuner.server.problems import Problem
from edge_autotuner.server.routers.documented import problems
from edge_autotuner.wire.messages import Reply

router = APIRouter(tags=["health"])
metrics_router = APIRouter(tags=["health"])

_RETRY_S = "5"
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus text format.", "content": {"text/plain": {}}}
}


class Health(Reply):
    """The service answers."""

    status: Literal["ok"] = "ok"


@router.get("/health")
async def health() -> Health:
    """Answer while the service runs. Needs no token."""
    return Health()


@router.get("/ready", responses=problems(503))
async def ready(request: Request) -> Health:
    """Check that all models are loaded and that disk and database work, or name what does not (503). Needs no token."""
    reasons = await request.app.state.services.not_ready()
    if reasons:
        raise Problem(503, "not-ready", "; ".join(reasons), headers={"Retry-After": _RETRY_S})
    return Health()


@metrics_router.get("/metrics", response_class=Response, responses={**_TEXT, **problems(401, 403)})
async def metrics(request: Request) -> Response:
    """Return metrics for Prometheus. Needs the scope admin, unless `metrics_open` is set."""
    page = await run_in_threadpool(request.app.state.services.metrics.page)
    return Response(page, media_type=MEDIA_TYPE)
