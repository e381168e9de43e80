"""Which groundtruth models there are."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from edge_autotuner.server.access import caller_with
from edge_autotuner.server.routers.documented import problems
from edge_autotuner.wire.annotation_messages import ModelList

router = APIRouter(tags=["models"])


@router.get("/models", dependencies=[Depends(caller_with("annotate"))], responses=problems(401, 403))
async def list_models(request: Request) -> ModelList:
    """List the models that can be asked."""
    return ModelList(models=request.app.state.services.annotations.models)
