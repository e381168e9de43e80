"""`/v1/models/{model}/annotations`: pictures in, boxes out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response
from pydantic import Field, ValidationError

from edge_autotuner.config.base import PlainName
from edge_autotuner.dataset.picture_header import PICTURE_TYPES
from edge_autotuner.server.access import Caller, caller_with
from edge_autotuner.server.annotation.pictures import ANY_TYPE, Upload
from edge_autotuner.server.annotation.replies import make_reply
from edge_autotuner.server.disconnects import ClientGone, while_connected
from edge_autotuner.server.problems import GONE, Problem, invalid
from edge_autotuner.server.routers.documented import named, problems
from edge_autotuner.server.routers.forms import read_batch
from edge_autotuner.wire.annotation_messages import AnnotationReply, BatchReply, BatchRequest, Placement
from edge_autotuner.wire.messages import ProblemReply

router = APIRouter(prefix="/models/{model}/annotations", tags=["annotations"])

_TYPES = (*PICTURE_TYPES, ANY_TYPE)
_REFUSALS = problems(401, 403, 404, 408, 413, 415, 422, 429, 500, 503)


class AnnotationQuery(Placement):
    """What can be asked for beside the picture; boxes below the model's own lowest score are never returned."""

    min_score: float = Field(0.05, ge=0, le=1, description="Boxes below this are left out.")
    max_detections: int = Field(300, ge=1, le=10_000, description="Most boxes.")


# FastAPI would take longer to read these from the query than all else that it does for a request.
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


@router.post("", response_model=AnnotationReply, responses=_REFUSALS, openapi_extra=_PICTURE)
async def annotate_picture(model: Model, caller: Annotator, request: Request) -> Response:
    """Return what a model sees in one JPEG, PNG or WebP picture.

    Boxes are in pixels of the picture as it is stored; an EXIF orientation is ignored. With `offset_x` and `offset_y`
    they are in pixels of the frame that the picture was cut from.
    """
    query = _read_query(request)
    upload = Upload(await request.body(), _media_type(request))
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
    """Return what a model sees in each of some pictures.

    Queue and quota take all of them or none (429). A picture that cannot be looked at has a problem in its place.
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


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _json(reply: AnnotationReply | BatchReply) -> Response:
    return Response(reply.model_dump_json(), media_type="application/json")
