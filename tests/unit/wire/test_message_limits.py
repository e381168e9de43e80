"""No message costs more than its size allows: every sequence has a length and fails at its first wrong item."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel

from edge_autotuner.client.replies import read_json
from edge_autotuner.core.json_limits import check_json
from edge_autotuner.errors import ServiceBadReply
from edge_autotuner.server.bodies import parse_message
from edge_autotuner.server.problems import Problem
from edge_autotuner.wire import annotation_messages, job_messages, messages, registry_messages, run_description
from edge_autotuner.wire.annotation_messages import BatchRequest
from edge_autotuner.wire.job_messages import TuneRequest
from edge_autotuner.wire.messages import Reply
from edge_autotuner.wire.registry_messages import (
    MAX_DESCRIPTION,
    MAX_QUESTIONS,
    BlobQuestion,
    BundleRequest,
    CameraRequest,
)

MODULES = (messages, annotation_messages, registry_messages, job_messages)
BODIES = (BatchRequest, BlobQuestion, BundleRequest, CameraRequest, TuneRequest)


def models_of(*modules: ModuleType) -> list[type[BaseModel]]:
    found = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    return sorted({one for one in found if issubclass(one, BaseModel)}, key=lambda one: one.__name__)


def sequences(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield all schemas of sequences whose length is not fixed by their type."""
    if isinstance(schema, dict):
        kind = str(schema.get("type"))  # a field may be called so, too
        is_open = kind in {"list", "set", "frozenset", "generator"} or (
            kind == "tuple" and schema.get("variadic_item_index") is not None
        )
        if is_open and "items_schema" in schema:
            yield schema
        for value in schema.values():
            yield from sequences(value)
    elif isinstance(schema, list | tuple):
        for value in schema:
            yield from sequences(value)


@pytest.mark.parametrize("model", models_of(*MODULES, run_description))
def test_every_sequence_has_a_length_and_fails_fast(model: type[BaseModel]) -> None:
    for schema in sequences(model.__pydantic_core_schema__):
        assert schema.get("fail_fast"), f"{model.__name__}: {schema}"
        assert schema.get("max_length"), f"{model.__name__}: {schema}"


def test_sequences_are_found() -> None:
    assert len(list(sequences(BlobQuestion.__pydantic_core_schema__))) == 1


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(
            BatchRequest(
                placements=({"offset_x": 65536, "offset_y": 65536, "frame_width": 65536, "frame_height": 65536},) * 256
            ),
            id="BatchRequest",
        ),
        pytest.param(BlobQuestion(sha256=("a" * 64,) * MAX_QUESTIONS), id="BlobQuestion"),
        pytest.param(BundleRequest(description='{"a":"\\n"}' * (MAX_DESCRIPTION // 10)), id="BundleRequest"),
        pytest.param(
            CameraRequest(place="\N{GRINNING FACE}" * 200, shows="\N{GRINNING FACE}" * 200), id="CameraRequest"
        ),
    ],
)
def test_the_largest_message_is_taken(value: messages.Request) -> None:
    check_json(value.model_dump_json(indent=1).encode(), value.json_limits)
    parse_message(value.model_dump_json(), type(value))


HOSTILE = {
    "ones": b"1," * 300_000 + b"1",
    "empty arrays": b"[]," * 200_000 + b"1",
    "empty objects": b"{}," * 200_000 + b"1",
    "nested": b"[" * 200_000,
    "texts": b'"a",' * 200_000 + b'"a"',
    "wrong to the last": b'"' + b"g" * 64 + b'",' + b'"x",' * 9000 + b'"x"',
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("message", BODIES)
def test_a_hostile_body_is_one_short_refusal(message: type[messages.Request], name: str) -> None:
    for field in message.model_fields:
        content = b'{"%s": [%s]}' % (field.encode(), HOSTILE[name])
        with pytest.raises(Problem) as refusal:
            parse_message(content, message)
        assert refusal.value.status == 422
        assert len(refusal.value.detail) < 2500


@pytest.mark.parametrize("message", BODIES)
def test_unknown_fields_are_not_echoed(message: type[messages.Request]) -> None:
    unknown = ",".join(f'"{"x" * 300}{number}\\u001b[31m": 1' for number in range(15))
    with pytest.raises(Problem) as refusal:
        parse_message("{" + unknown + "}", message)
    assert len(refusal.value.detail) < 2500
    assert refusal.value.detail.isprintable()


def replies() -> list[type[Reply]]:
    return [one for one in models_of(*MODULES) if issubclass(one, Reply)]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("message", replies())
def test_a_hostile_reply_is_one_short_error(message: type[Reply], name: str) -> None:
    for field in message.model_fields:
        content = b'{"%s": [%s]}' % (field.encode(), HOSTILE[name])
        reply = httpx2.Response(
            200,
            stream=httpx2.ByteStream(content),
            headers={"Content-Type": "application/json"},
            request=httpx2.Request("GET", "http://service/v1/x"),
        )
        with pytest.raises(ServiceBadReply) as error:
            read_json(reply, message)
        assert len(str(error.value)) < 1000
