"""The remote detector: the same boxes as the local one, and no answer believed that cannot be one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import cv2
import numpy as np
import pytest

from edge_autotuner.client import Connection, RemoteDetector, find_remote_model
from edge_autotuner.client.annotation import check_answer
from edge_autotuner.client.pictures import EncodedPicture, encode_for_travel, travelling_size
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core import Deadline, Detections, Detector, LabelMap
from edge_autotuner.core.types import ImageArray
from edge_autotuner.errors import (
    ConfigError,
    DatasetError,
    ServiceBadReply,
    TeacherBadReply,
    TeacherError,
    TeacherRejected,
    TeacherTimeout,
)
from edge_autotuner.models import DetectorSpec, describe_onnx
from edge_autotuner.models.onnx_detector import OnnxDetector
from edge_autotuner.models.preprocess import place, resized_picture
from edge_autotuner.wire.annotation_messages import AnnotationReply, ModelInfo
from support.runs.run_samples import Samples, camera
from support.service.annotation_stub import MODEL, TOKEN, StubService, parts_of

MIN_SCORE = 0.1
Remote = Callable[..., RemoteDetector]


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AUTOTUNER_TOKEN", TOKEN)


@pytest.fixture
def stub(samples: Samples) -> Iterator[StubService]:
    with StubService(samples.teacher) as service:
        yield service


@pytest.fixture
def remote() -> Iterator[Remote]:
    with ExitStack() as connections:

        def open_remote(stub: StubService, deadline: Deadline | None = None, **settings: Any) -> RemoteDetector:
            config = ServiceConfig(url=stub.url, **{"max_attempts": 3, "first_retry_s": 0.001} | settings)
            connection = connections.enter_context(Connection(config))
            model = find_remote_model(connection, MODEL)
            return RemoteDetector(connection, model, config, min_score=MIN_SCORE, max_detections=300, deadline=deadline)

        yield open_remote


def pictures() -> list[ImageArray]:
    scene = camera()
    whole = [scene.frame(index).image_bgr for index in (0, 30, 60, 85)]
    return [*whole, whole[2][20:100, 30:140], whole[3][:, ::-1]]


def same(first: Detections, second: Detections) -> bool:
    return all(
        np.array_equal(a, b)
        for a, b in zip(vars(first).values(), vars(second).values(), strict=True)
    )  # fmt: skip


@pytest.mark.parametrize("picture_format", ["png", "webp"])
def test_the_boxes_are_those_of_the_local_model(
    remote: Remote, picture_format: str, stub: StubService, samples: Samples
) -> None:
    spec = describe_onnx(samples.teacher, "yolox")
    local = OnnxDetector(samples.teacher, spec, n_threads=1, min_score=MIN_SCORE)
    expected = [local.detect(np.ascontiguousarray(picture)) for picture in pictures()]
    there = remote(stub, picture_format=picture_format)
    assert isinstance(there, Detector)
    assert (there.labels, there.input_size_wh) == (local.labels, local.input_size_wh)
    assert sum(len(found) for found in expected) > 10
    assert all(map(same, [there.detect(picture) for picture in pictures()], expected))
    assert all(map(same, there.detect_batch(pictures()), expected))
    assert there.detect_batch([]) == []


def test_a_batch_is_cut_into_requests(remote: Remote, stub: StubService) -> None:
    whole = remote(stub).detect_batch(pictures())
    stub.max_pictures = 2  # the service takes fewer at once than the client would send
    assert all(map(same, remote(stub).detect_batch(pictures()), whole))
    stub.max_pictures = 1
    assert all(map(same, remote(stub, max_batch=5).detect_batch(pictures()), whole))


def test_a_busy_service_is_asked_again(remote: Remote, stub: StubService) -> None:
    there = remote(stub)
    expected = there.detect_batch(pictures())
    stub.busy_for = 3  # the first pictures of the batch
    assert all(map(same, there.detect_batch(pictures()), expected))
    stub.busy_for = 1
    assert same(there.detect(pictures()[0]), expected[0])
    stub.busy_for = 1000
    with pytest.raises(TeacherTimeout, match=r"finished labels are kept: run again later"):
        there.detect_batch(pictures())


def test_another_model_is_not_mixed_in(remote: Remote, stub: StubService) -> None:
    there = remote(stub)
    there.detect(pictures()[0])
    stub.sha256 = "0" * 64
    for ask in (lambda: there.detect(pictures()[0]), lambda: there.detect_batch(pictures())):
        with pytest.raises(TeacherError, match="changed: sha256 000000000000 instead of"):
            ask()


def test_an_unknown_model(stub: StubService) -> None:
    refused = pytest.raises(ConfigError, match="has no model other; its models: changes")
    with Connection(ServiceConfig(url=stub.url)) as connection, refused:
        find_remote_model(connection, "other")


def test_a_model_that_is_still_being_loaded(stub: StubService) -> None:
    stub.loading_for = 3
    with Connection(ServiceConfig(url=stub.url, first_retry_s=0.001)) as connection:
        assert find_remote_model(connection, MODEL).sha256 == stub.sha256


def test_a_wrong_token(remote: Remote, stub: StubService, monkeypatch: pytest.MonkeyPatch) -> None:
    there = remote(stub)
    monkeypatch.setenv("EDGE_AUTOTUNER_TOKEN", "another")
    with pytest.raises(TeacherRejected, match="401: this is no-valid-token"):
        there.detect(pictures()[0])


def test_a_service_that_is_gone(remote: Remote, samples: Samples) -> None:
    with StubService(samples.teacher) as stub:
        there = remote(stub)
    with pytest.raises(TeacherTimeout, match="is unreachable"):
        there.detect(pictures()[0])


def test_a_deadline_ends_the_questions(remote: Remote, stub: StubService) -> None:
    there = remote(stub, deadline=Deadline(0.0))
    with pytest.raises(TeacherTimeout):
        there.detect(pictures()[0])
    assert stub.asked == []


def test_a_picture_that_cannot_be_sent(remote: Remote, stub: StubService) -> None:
    with pytest.raises(DatasetError, match="cannot encode"):
        remote(stub).detect(np.zeros((0, 5, 3), np.uint8))


MODEL_INFO = ModelInfo(name="m", sha256="a" * 64, classes=("car", "bus"), input_size_wh=(416, 416))
PICTURE = EncodedPicture(b"x", "image/png", (100, 50), (100, 50), "b" * 64)
ANSWER: dict[str, Any] = {
    "model": "m",
    "model_sha256": "a" * 64,
    "boxes_xyxy": ((1.0, 2.0, 30.0, 40.0), (0.0, 0.0, 100.0, 50.0)),
    "scores": (0.9, 0.2),
    "class_ids": (1, 0),
    "is_cached": False,
    "picture_sha256": "b" * 64,
}


def check(**changes: Any) -> None:
    check_answer(AnnotationReply(**ANSWER | changes), MODEL_INFO, PICTURE, max_detections=2, min_score=0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"boxes_xyxy": (), "scores": (), "class_ids": ()},
        {"picture_sha256": None},
        {"scores": (0.9, 0.9)},
        {"scores": (1.0, float(np.float32(0.1)))},
        {"boxes_xyxy": ((-0.5, 0.0, 100.9, 50.0), (5.0, 5.0, 5.0, 5.0))},
    ],
    ids=["two boxes", "none", "an older service", "equal scores", "extreme scores", "at the border"],
)
def test_what_may_be_an_answer(changes: dict[str, Any]) -> None:
    check(**changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"model": "n"}, "from model 'n'", id="another model"),
        pytest.param({"picture_sha256": "c" * 64}, "another picture", id="another picture"),
        pytest.param({"scores": (0.9,)}, "differ in number", id="a score is missing"),
        pytest.param({"class_ids": (0, 0, 0)}, "differ in number", id="a class too many"),
        pytest.param({"boxes_xyxy": ()}, "differ in number", id="no boxes"),
        pytest.param(
            {"boxes_xyxy": ((0.0, 0.0, 1.0, 1.0),) * 3, "scores": (0.5,) * 3, "class_ids": (0,) * 3},
            "3 boxes, more than the 2",
            id="too many",
        ),
        pytest.param({"scores": (math.nan, 0.2)}, "not finite", id="score NaN"),
        pytest.param({"boxes_xyxy": ((0.0, 0.0, math.inf, 1.0),) * 2}, "not finite", id="infinite box"),
        pytest.param({"boxes_xyxy": ((0.0, -math.inf, 1.0, 1.0),) * 2}, "not finite", id="infinite the other way"),
        pytest.param({"scores": (1.1, 0.2)}, "score", id="score above 1"),
        pytest.param({"scores": (0.9, 0.05)}, "score", id="score below what was asked for"),
        pytest.param({"scores": (0.2, 0.9)}, "are not sorted", id="order"),
        pytest.param({"class_ids": (2, 0)}, "class", id="unknown class"),
        pytest.param({"class_ids": (-1, 0)}, "class", id="negative class"),
        pytest.param({"boxes_xyxy": ((30.0, 0.0, 10.0, 10.0),) * 2}, "outside the picture", id="turned"),
        pytest.param({"boxes_xyxy": ((0.0, 0.0, 102.0, 10.0),) * 2}, "outside the picture", id="beyond the right"),
        pytest.param({"boxes_xyxy": ((0.0, -5.0, 10.0, 10.0),) * 2}, "outside the picture", id="above the top"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_answer(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ServiceBadReply, match=why):
        check(**changes)


def spoilt(field: str, value: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda answer: answer | {field: value}


@pytest.mark.parametrize(
    "spoil",
    [
        spoilt("scores", ["0.5"]),
        spoilt("boxes_xyxy", [[1, 2, 3]]),
        spoilt("class_ids", [0.5]),
        spoilt("model_sha256", "../../etc"),
        spoilt("boxes_xyxy", None),
        spoilt("picture_sha256", "c" * 64),
        lambda answer: {},
        lambda answer: {"error": "x" * 3_000_000},
    ],
    ids=["text", "three corners", "half a class", "hash", "null", "another picture", "empty", "huge"],
)
def test_a_broken_service_is_not_believed(
    remote: Remote,
    spoil: Callable[[dict[str, Any]], dict[str, Any]],
    stub: StubService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there, good = remote(stub), stub.annotate
    monkeypatch.setattr(stub, "annotate", lambda *arguments: spoil(good(*arguments)))
    for ask in (lambda: there.detect(pictures()[1]), lambda: there.detect_batch(pictures())):
        with pytest.raises(TeacherBadReply):
            ask()


def test_an_answer_for_each_picture(remote: Remote, stub: StubService, monkeypatch: pytest.MonkeyPatch) -> None:
    there = remote(stub)
    monkeypatch.setattr("support.service.annotation_stub.parts_of", lambda kind, body: parts_of(kind, body)[:-1])
    with pytest.raises(TeacherBadReply, match="5 results for 6 pictures"):
        there.detect_batch(pictures())


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("size_wh", [(768, 576), (461, 346), (416, 416), (100, 50), (1920, 1080), (3000, 20), (7, 900)])
def test_a_picture_shrunk_here_is_the_same_input_there(resize: Any, size_wh: tuple[int, int]) -> None:
    spec = DetectorSpec(
        name="m",
        labels=LabelMap(("car",)),
        input_size_wh=(416, 320),
        resize=resize,
        colour="bgr",
        decode="boxes_scores",
    )
    info = ModelInfo(name="m", sha256="a" * 64, classes=("car",), input_size_wh=spec.input_size_wh, resize=resize)
    picture = np.random.default_rng(1).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
    travels_wh = travelling_size(size_wh, info)
    assert travels_wh[0] * travels_wh[1] <= max(size_wh[0] * size_wh[1], 416 * 320)
    sent = encode_for_travel(picture, travels_wh, ServiceConfig())
    assert (sent.size_wh, sent.original_size_wh) == (travels_wh, size_wh)
    arrived = decoded(sent.content)
    np.testing.assert_array_equal(resized_picture(arrived, spec)[0], resized_picture(picture, spec)[0])
    assert place(travels_wh, spec).resized_size_wh == place(size_wh, spec).resized_size_wh


def decoded(content: bytes) -> ImageArray:
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def test_shrinking_here_needs_to_know_how(stub: StubService) -> None:
    config = ServiceConfig(url=stub.url, send="input size")
    with Connection(config) as connection, pytest.raises(ConfigError, match="does not report how m resizes"):
        RemoteDetector(connection, MODEL_INFO, config, min_score=0.1, max_detections=3)
