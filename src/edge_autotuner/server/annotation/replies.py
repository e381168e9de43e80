"""Turns what a model saw in a picture into the answer for one client."""

from __future__ import annotations

from edge_autotuner.core.tasks import task_of
from edge_autotuner.server.annotation.service import Annotated
from edge_autotuner.server.problems import Problem
from edge_autotuner.wire.annotation_messages import AnnotationReply, ModelInfo, Placement


def make_reply(
    answer: Annotated, info: ModelInfo, placement: Placement, *, min_score: float, max_detections: int
) -> AnnotationReply:
    """Return the answer in the coordinates and down to the score that the client asked for.

    Raises:
        Problem: 422, the picture does not lie inside the frame that the client says it was cut from.
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


def _check_inside(answer: Annotated, placement: Placement) -> None:
    width, height = answer.size_wh
    for side, end, limit in (
        ("width", placement.offset_x + width, placement.frame_width),
        ("height", placement.offset_y + height, placement.frame_height),
    ):
        if limit is not None and end > limit:
            text = f"the picture ends at {end}, beyond the frame's {side} of {limit} pixels"
            raise Problem(422, "outside-frame", text)
