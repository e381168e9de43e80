"""`/v1/models` and `/v1/models/{model}/annotations`: pictures in, boxes out."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response
from pydantic import Field, ValidationError

from edge_autotuner.config.base import PlainName
from edge_autotuner.core.tasks import task_of
from edge_autotuner.dataset.picture_header import PICTURE_TYPES
from edge_autotuner.server.access import Caller, caller_with
from edge_autotuner.server.annotation.pictures import ANY_TYPE, Upload
from edge_autotuner.server.annotation.service import AnnotatedPicture
from edge_autotuner.server.bodies import media_type_of, read_batch
from edge_autotuner.server.problems import GONE, Problem, invalid
from edge_autotuner.server.routers.documented import named, problems
from edge_autotuner.wire.annotation_messages import (
    AnnotationReply,
    BatchReply,
    BatchRequest,
    ModelInfo,
    ModelList,
    Placement,
)
from edge_autotuner.wire.messages import ProblemReply

models_router = APIRouter(tags=["models"])
router = APIRouter(prefix="/models/{model}/annotations", tags=["annotations"])

_Result = TypeVar("_Result")

_TYPES = (*PICTURE_TYPES, ANY_TYPE)
_REFUSALS = problems(401, 403, 404, 408, 413, 415, 422, 429, 500, 503)


class AnnotationQuery(Placement):
    """Parameters of a request; boxes below the model's own lowest score are never returned."""

    min_score: float = Field(0.05, ge=0, le=1, description="Boxes below this are left out.")
    max_detections: int = Field(300, ge=1, le=10_000, description="Most boxes.")


# FastAPI would take longer to read these from the query than for the rest of a request.
_PICTURE: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "schema": schema, "description": schema.get("description", "")}
        for name, schema in AnnotationQuery.model_json_schema()["properties"].items()
    ],
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _TYPES},
    },
}
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["pictures"],
                    "properties": {
                        "request": named(BatchRequest),
                        "pictures": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}},
                    },
                },
                "encoding": {
                    "request": {"contentType": "application/json"},
                    "pictures": {"contentType": ", ".join(_TYPES)},
                },
            }
        },
    }
}

Model = Annotated[PlainName, Path(description="Name of the model.")]
Annotator = Annotated[Caller, Depends(caller_with("annotate"))]


@models_router.get("/models", dependencies=[Depends(caller_with("annotate"))], responses=problems(401, 403))
async def list_models(request: Request) -> ModelList:
    """List the loaded models."""
    return ModelList(models=request.app.state.services.annotations.models)


@router.post("", response_model=AnnotationReply, responses=_REFUSALS, openapi_extra=_PICTURE)
async def annotate_picture(model: Model, caller: Annotator, request: Request) -> Response:
    """Detect objects in one JPEG, PNG or WebP picture.

    Boxes are in pixels of the picture as it is stored; an EXIF orientation is ignored. With `offset_x` and `offset_y`
    they are in pixels of the frame that the picture was cut from.
    """
    query = _read_query(request)
    upload = Upload(await request.body(), media_type_of(request))
    service = request.app.state.services.annotations
    try:
        (answer,) = await while_connected(request, service.annotate(model, [upload], client=caller.client))
    except ClientGone:
        return Response(status_code=GONE)
    if isinstance(answer, Problem):
        raise answer
    info = service.info(model)
    reply = make_reply(answer, info, query, min_score=query.min_score, max_detections=query.max_detections)
    return _json(reply)


@router.post("/batch", response_model=BatchReply, responses=problems(400) | _REFUSALS, openapi_extra=_FORM)
async def annotate_batch(model: Model, caller: Annotator, request: Request) -> Response:
    """Detect objects in several pictures.

    Queue and quota accept all of them or none (429). A picture that cannot be used has a problem in its place.
    """
    services = request.app.state.services
    batch = await read_batch(request, max_pictures=services.config.limits.max_batch_pictures)
    work = services.annotations.annotate(model, batch.uploads, client=caller.client)
    try:
        answers = await while_connected(request, work)
    except ClientGone:
        return Response(status_code=GONE)
    info = services.annotations.info(model)
    asked = batch.request
    results: list[AnnotationReply | ProblemReply] = []
    for answer, placement in zip(answers, batch.placements, strict=True):
        try:
            if isinstance(answer, Problem):
                raise answer
            results.append(
                make_reply(answer, info, placement, min_score=asked.min_score, max_detections=asked.max_detections)
            )
        except Problem as problem:
            results.append(problem.reply())
    return _json(BatchReply(results=tuple(results)))


def _read_query(request: Request) -> AnnotationQuery:
    try:
        return AnnotationQuery.model_validate(dict(request.query_params))
    except ValidationError as exc:
        raise invalid(exc.errors(include_url=False, include_context=False, include_input=False), "query") from None


def _json(reply: AnnotationReply | BatchReply) -> Response:
    return Response(reply.model_dump_json(), media_type="application/json")


def make_reply(
    answer: AnnotatedPicture, info: ModelInfo, placement: Placement, *, min_score: float, max_detections: int
) -> AnnotationReply:
    """Return the reply of an answer, in the coordinates and down to the score of the request.

    Raises:
        Problem: 422 the picture is not inside the frame of its placement.
    """
    _check_inside(answer, placement)
    found = answer.found.above(min_score).sorted_by_score(max_detections)
    found = found.shifted(placement.offset_x, placement.offset_y)
    return AnnotationReply(
        model=info.name,
        model_sha256=info.sha256,
        **task_of(info.labels).codec.to_columns(found),
        is_cached=answer.how == "cached",
        picture_sha256=answer.picture_sha256,
    )


def _check_inside(answer: AnnotatedPicture, placement: Placement) -> None:
    width, height = answer.size_wh
    for side, end, limit in (
        ("width", placement.offset_x + width, placement.frame_width),
        ("height", placement.offset_y + height, placement.frame_height),
    ):
        if limit is not None and end > limit:
            text = f"the picture ends at {end}, beyond the frame's {side} of {limit} pixels"
            raise Problem(422, "outside-frame", text)


class ClientGone(Exception):
    """The client disconnected before it was answered."""


async def while_connected(request: Request, work: Coroutine[Any, Any, _Result]) -> _Result:
    """Return the result of some work; `ClientGone` cancels it. The body of the request must have been read."""
    this = asyncio.current_task()
    assert this is not None
    watcher = asyncio.create_task(_cancel_when_gone(request, this))
    try:
        return await work
    except asyncio.CancelledError:
        if watcher.done() and this.uncancel() == 0:
            raise ClientGone from None
        raise  # cancelled because the service is being stopped
    finally:
        watcher.cancel()


async def _cancel_when_gone(request: Request, task: asyncio.Task[Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    task.cancel()
