"""A detector that runs at the service."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import httpx2
import numpy as np

from edge_autotuner.client.connection import ApiRequest, Connection, path_of
from edge_autotuner.client.pictures import EncodedPicture, encode_for_travel, travelling_size
from edge_autotuner.client.replies import error_of_problem, read_json
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core.clock import Deadline
from edge_autotuner.core.detections import Detections
from edge_autotuner.core.json_limits import JsonLimits
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.tasks import task_of
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.errors import (
    ConfigError,
    ServiceBadReply,
    ServiceError,
    ServiceRefused,
    ServiceUnreachable,
    TeacherBadReply,
    TeacherError,
    TeacherRejected,
    TeacherTimeout,
)
from edge_autotuner.wire.annotation_messages import AnnotationReply, BatchReply, BatchRequest, ModelInfo, ModelList
from edge_autotuner.wire.messages import ProblemReply

_MAX_BATCH_BYTES = 8 << 20  # of pictures in one request
_REPLY_BYTES = 16 << 10  # of a reply without boxes
_REPLY_ITEMS = 100
_ITEMS_PER_BOX = 7  # the box, its four coordinates, score and class
_BYTES_PER_BOX = 256  # four coordinates, score and class take fewer than 150
_TOO_LARGE = 413
_TOLERANCE_PX = 1.0  # by which a box may leave its picture: rounding of a model that resizes


class RemoteDetector:
    """A model of the service as a core `Detector`; may be used by several threads.

    An answer of another model than the one given here is an error, because labels of two models must not be mixed.

    Args:
        min_score: boxes below this are left out.
        deadline: no request begins after it.

    Raises:
        ConfigError: pictures are to be shrunk here, but the service does not say how.
    """

    def __init__(
        self,
        connection: Connection,
        model: ModelInfo,
        config: ServiceConfig,
        *,
        min_score: float,
        max_detections: int,
        deadline: Deadline | None = None,
    ) -> None:
        if config.send == "input size" and model.resize is None:
            raise ConfigError(
                f"the service does not report how {model.name} resizes pictures; set annotation.service.send to 'full "
                "resolution'"
            )
        self._connection = connection
        self._model = model
        self._config = config
        self._labels = model.labels
        self._query = {"min_score": min_score, "max_detections": max_detections}
        self._min_score = min_score
        self._max_detections = max_detections
        self._deadline = deadline

    @property
    def labels(self) -> LabelMap:
        """Its classes."""
        return self._labels

    @property
    def input_size_wh(self) -> SizeWH:
        """The size that the service resizes pictures to, pixels."""
        return self._model.input_size_wh

    def detect(self, image_bgr: ImageArray) -> Detections:
        """Return the objects of a (H, W, 3) uint8 picture, in its pixels and clipped to it, by falling score.

        Raises:
            TeacherTimeout: no answer within the attempts or before the deadline.
            TeacherRejected: the service refuses the token, the model or the picture.
            TeacherBadReply: the answer cannot be detections of this picture.
            TeacherError: the model of the service has changed.
        """
        picture = self._encoded(image_bgr)
        path = path_of("models", self._model.name, "annotations")
        with teacher_errors(self._model.name):
            reply = self._connection.post_bytes(
                path,
                picture.content,
                picture.content_type,
                AnnotationReply,
                query=self._query,
                deadline=self._deadline,
                limits=self._reply_limits(1),
            )
            return self._detections(reply, picture)

    def detect_batch(self, images: Sequence[ImageArray]) -> list[Detections]:
        """Return what `detect` returns for each picture, with fewer requests. Raises as `detect`."""
        with teacher_errors(self._model.name):
            return [found for group in self._groups(images) for found in self._detect_group(group)]

    def _detect_group(self, group: Sequence[EncodedPicture]) -> list[Detections]:
        try:
            return self._ask_about(group)
        except ServiceRefused as exc:
            if exc.status != _TOO_LARGE or len(group) == 1:
                raise
        half = len(group) // 2  # the service takes less at once than this side sends
        return self._detect_group(group[:half]) + self._detect_group(group[half:])

    def _ask_about(self, group: Sequence[EncodedPicture]) -> list[Detections]:
        question = BatchRequest(min_score=self._min_score, max_detections=self._max_detections)
        files = [("pictures", picture.content, picture.content_type) for picture in group]
        path = path_of("models", self._model.name, "annotations", "batch")

        def read(response: httpx2.Response) -> list[Detections]:
            batch = read_json(response, BatchReply, self._reply_limits(len(group)))
            if len(batch.results) != len(group):
                raise ServiceBadReply(f"the service returned {len(batch.results)} results for {len(group)} pictures")
            return [self._detections(self._answer(r), p) for r, p in zip(batch.results, group, strict=True)]

        fields = {"request": question.model_dump_json()}
        return self._connection.post_files(path, fields, files, read, deadline=self._deadline)

    def _answer(self, result: AnnotationReply | ProblemReply) -> AnnotationReply:
        if isinstance(result, ProblemReply):
            raise error_of_problem(result, f"a picture for {self._model.name} at {self._connection.url}")
        return result

    def _groups(self, images: Sequence[ImageArray]) -> Iterator[list[EncodedPicture]]:
        """Yield the pictures of each request, bounded in number and bytes."""
        group: list[EncodedPicture] = []
        for image_bgr in images:
            picture = self._encoded(image_bgr)
            n_bytes = sum(len(other.content) for other in group) + len(picture.content)
            if group and (len(group) == self._config.max_batch or n_bytes > _MAX_BATCH_BYTES):
                yield group
                group = []
            group.append(picture)
        if group:
            yield group

    def _encoded(self, image_bgr: ImageArray) -> EncodedPicture:
        size_wh = image_bgr.shape[1], image_bgr.shape[0]
        if self._config.send == "input size":
            size_wh = travelling_size(size_wh, self._model)
        return encode_for_travel(image_bgr, size_wh, self._config)

    def _reply_limits(self, n_pictures: int) -> JsonLimits:
        return JsonLimits(
            max_bytes=n_pictures * (_REPLY_BYTES + self._max_detections * _BYTES_PER_BOX),
            max_items=n_pictures * (_REPLY_ITEMS + self._max_detections * _ITEMS_PER_BOX),
        )

    def _detections(self, reply: AnnotationReply, picture: EncodedPicture) -> Detections:
        """Check that a reply can be about this picture, and return its detections.

        Raises:
            TeacherError: it comes from another model.
            ServiceBadReply: it cannot be about this picture.
        """
        if reply.model_sha256 != self._model.sha256:
            raise TeacherError(
                f"the service's model {self._model.name} changed: sha256 {reply.model_sha256[:12]} instead of "
                f"{self._model.sha256[:12]} at the start; labels of two models are not mixed: run again to label all "
                "frames with the new model"
            )
        check_answer(reply, self._model, picture, max_detections=self._max_detections, min_score=self._min_score)
        found = task_of(self._labels).codec.from_columns(dict(reply)).clipped(picture.size_wh)
        if picture.size_wh == picture.original_size_wh:
            return found
        return found.scaled(from_size_wh=picture.size_wh, to_size_wh=picture.original_size_wh)


def find_remote_model(connection: Connection, name: str, *, deadline: Deadline | None = None) -> ModelInfo:
    """Return the description of one of the service's models.

    Raises:
        ConfigError: the service has no such model; the message lists its models.
        TeacherTimeout: it does not answer.
        TeacherRejected: it refuses the token.
        TeacherBadReply: its answer is not a list of models.
    """
    with teacher_errors(name):
        models = _list_models(connection, deadline)
        if name not in models:
            # a service that was just started lists no model that it is still loading
            connection.call(ApiRequest("GET", path_of("ready")), lambda _: None, deadline)
            models = _list_models(connection, deadline)
        if name in models:
            _check_model(models[name])
            return models[name]
    known = ", ".join(models) or "none"
    raise ConfigError(f"the service at {connection.url} has no model {name}; its models: {known}")


def check_answer(
    reply: AnnotationReply, model: ModelInfo, picture: EncodedPicture, *, max_detections: int, min_score: float
) -> None:
    """Raise `ServiceBadReply` for an answer that this model cannot have given about this picture."""
    width, height = picture.size_wh
    n = len(reply.boxes_xyxy)
    _require(reply.model == model.name, f"it is from model '{reply.model[:100]}'")
    _require(reply.picture_sha256 in {None, picture.sha256}, "it is for another picture")
    _require(n == len(reply.scores) == len(reply.class_ids), "boxes, scores and classes differ in number")
    _require(n <= max_detections, f"it has {n} boxes, more than the {max_detections} asked for")
    numbers = [*reply.scores, *(value for box in reply.boxes_xyxy for value in box)]
    _require(all(map(math.isfinite, numbers)), "a number in it is not finite")
    lowest = np.float32(min_score)
    _require(all(lowest <= np.float32(score) <= 1 for score in reply.scores), "a score is below the requested minimum")
    _require(list(reply.scores) == sorted(reply.scores, reverse=True), "its scores are not sorted")
    _require(all(0 <= i < len(model.classes) for i in reply.class_ids), "a class is not one of the model's")
    for x1, y1, x2, y2 in reply.boxes_xyxy:
        is_inside = -_TOLERANCE_PX <= x1 <= x2 <= width + _TOLERANCE_PX
        _require(is_inside and -_TOLERANCE_PX <= y1 <= y2 <= height + _TOLERANCE_PX, "a box is outside the picture")


@contextmanager
def teacher_errors(model: str) -> Iterator[None]:
    """Turn errors of the service into errors of the teacher."""
    try:
        yield
    except ServiceUnreachable as exc:
        raise TeacherTimeout(f"teacher {model}: {exc}; finished labels are kept: run again later to continue") from exc
    except ServiceRefused as exc:
        raise TeacherRejected(f"teacher {model}: {exc}") from exc
    except ServiceBadReply as exc:
        raise TeacherBadReply(f"teacher {model}: {exc}") from exc
    except ServiceError as exc:
        raise TeacherError(f"teacher {model}: {exc}") from exc


def _list_models(connection: Connection, deadline: Deadline | None) -> dict[str, ModelInfo]:
    found = connection.get_json(path_of("models"), ModelList, deadline=deadline)
    return {model.name: model for model in found.models}


def _check_model(model: ModelInfo) -> None:
    if not model.classes or len(set(model.classes)) < len(model.classes):
        _refuse(f"model {model.name} has no classes, or one of them twice")
    if not all(1 <= side <= 1 << 14 for side in model.input_size_wh):
        _refuse(f"model {model.name} has an input of {model.input_size_wh} pixels")


def _require(holds: bool, what_is_wrong: str) -> None:
    if not holds:
        _refuse(f"the result does not match the request: {what_is_wrong}")


def _refuse(text: str) -> NoReturn:
    raise ServiceBadReply(text)
