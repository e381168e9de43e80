"""The annotation routes in process: what goes in, what comes out, and what is refused how."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from edge_autotuner.core import Detections
from edge_autotuner.core.types import SizeWH
from edge_autotuner.server.annotation.pictures import Upload
from edge_autotuner.server.annotation.result_cache import ResultKey
from edge_autotuner.server.problems import Problem
from edge_autotuner.server.services import Services
from edge_autotuner.wire.annotation_messages import AnnotationReply, BatchReply, ModelList
from edge_autotuner.wire.messages import ProblemReply
from support.service.service_samples import (
    MIME,
    MODEL_SHA256,
    WAIT_S,
    OneByOne,
    StubDetector,
    annotate,
    encoded,
    in_thread,
    make_services,
    noise,
    png,
    running,
    score_of,
)

Scenario = Callable[[httpx2.AsyncClient, Services], Awaitable[None]]


def play(scenario: Scenario, services: Services, *, token: str = "cam1") -> None:
    async def run() -> None:
        async with running(services, token=token) as client:
            await asyncio.wait_for(scenario(client, services), timeout=WAIT_S)

    asyncio.run(run())


def problem(reply: httpx2.Response, status: int, kind: str) -> ProblemReply:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    told = ProblemReply.model_validate_json(reply.content)
    assert (told.status, told.type) == (status, kind)
    return told


def files(*contents: bytes, kind: str = "image/png") -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("pictures", (f"{number}.png", content, kind)) for number, content in enumerate(contents)]


async def annotate_batch(client: httpx2.AsyncClient, *contents: bytes, **request: Any) -> httpx2.Response:
    data = {"request": json.dumps(request)} if request else {}
    return await client.post("/models/stub/annotations/batch", files=files(*contents), data=data)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_one_picture(suffix: str, tmp_path: Path) -> None:
    content = encoded(noise((40, 30)), suffix)

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        reply = await annotate(client, content, MIME[suffix])
        assert reply.status_code == 200, reply.text
        told = AnnotationReply.model_validate_json(reply.content)
        assert (told.model, told.model_sha256, told.is_cached) == ("stub", MODEL_SHA256, False)
        assert (told.boxes_xyxy, told.class_ids) == (((0, 0, 40, 30),), (1,))
        assert told.picture_sha256 is not None

    play(scenario, make_services(tmp_path))


@pytest.mark.parametrize("size_wh", [(500, 500), (501, 500)])
def test_pictures_of_all_sizes_are_decoded_once_or_refused(size_wh: SizeWH, tmp_path: Path) -> None:
    """Small ones with their check, larger ones when there is a place for them in the queue."""
    content, stub = png(size_wh=size_wh), StubDetector()

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        reply = await annotate(client, content)
        assert reply.json()["boxes_xyxy"] == [[0, 0, *size_wh]]
        problem(await annotate(client, content[:-2000]), 422, "picture-damaged")

    play(scenario, make_services(tmp_path, {"stub": stub}))
    assert stub.calls == [1]


def test_boxes_are_in_pixels_of_the_frame_where_the_request_says_it(tmp_path: Path) -> None:
    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        reply = await annotate(client, png(), offset_x=100, offset_y=200, frame_width=140, frame_height=230)
        assert reply.json()["boxes_xyxy"] == [[100, 200, 140, 230]]
        refused = await annotate(client, png(), offset_x=101, frame_width=140)
        assert "ends at 141" in problem(refused, 422, "outside-frame").detail

    play(scenario, make_services(tmp_path))


def test_scores_and_counts_are_limited_per_request_and_answered_from_one_result(tmp_path: Path) -> None:
    stub, score = StubDetector(), score_of(noise())

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        assert len((await annotate(client, png(), min_score=round(score - 0.01, 3))).json()["scores"]) == 1
        above = (await annotate(client, png(), min_score=round(score + 0.01, 3))).json()
        assert (above["scores"], above["is_cached"]) == ([], True)

    play(scenario, make_services(tmp_path, {"stub": stub}))
    assert stub.calls == [1]


@pytest.mark.parametrize(
    ("content", "kind", "status", "name"),
    [
        pytest.param(png(), "image/gif", 415, "picture-type", id="another type"),
        pytest.param(png(), "", 415, "picture-type", id="no type"),
        pytest.param(png(), "image/jpeg", 415, "picture-type", id="a PNG that says it is a JPEG"),
        pytest.param(b"", "image/png", 422, "picture-damaged", id="empty"),
        pytest.param(b"hello", "image/png", 422, "picture-damaged", id="text"),
        pytest.param(png()[:60], "image/png", 422, "picture-damaged", id="cut off"),
        pytest.param(png(size_wh=(200, 101)), "image/png", 413, "picture-too-large", id="too many pixels"),
        pytest.param(b"x" * 200_001, "image/png", 413, "body-too-large", id="too many bytes"),
    ],
)
def test_what_is_refused(content: bytes, kind: str, status: int, name: str, tmp_path: Path) -> None:
    stub = StubDetector()

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        problem(await annotate(client, content, kind), status, name)

    play(scenario, make_services(tmp_path, {"stub": stub}, limits={"max_body_mb": 0.2, "max_megapixels": 0.02}))
    assert stub.calls == []


@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"min_score": "1.5"}, id="score"),
        pytest.param({"min_score": "nan"}, id="no number"),
        pytest.param({"max_detections": "0"}, id="no detections"),
        pytest.param({"offset_x": "-1"}, id="negative"),
        pytest.param({"ofset_x": "1"}, id="misspelt"),
    ],
)
def test_a_wrong_query_is_refused_without_repeating_it(query: dict[str, str], tmp_path: Path) -> None:
    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        told = problem(await annotate(client, png(), **query), 422, "invalid-request")
        assert next(iter(query)) in told.detail

    play(scenario, make_services(tmp_path))


def test_models_are_listed_and_others_are_unknown(tmp_path: Path) -> None:
    detectors = {"stub": StubDetector(), "other": OneByOne(StubDetector())}

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        listed = ModelList.model_validate_json((await client.get("/models")).content)
        assert [model.name for model in listed.models] == ["stub", "other"]
        assert (listed.models[0].classes, listed.models[0].input_size_wh) == (("person", "car"), (64, 64))
        for name in ("unknown", "..%2f..%2fetc"):
            reply = await client.post(
                f"/models/{name}/annotations", content=png(), headers={"Content-Type": "image/png"}
            )
            assert reply.status_code in (404, 422)
            assert name not in reply.text

    play(scenario, make_services(tmp_path, detectors))


@pytest.mark.parametrize(
    ("token", "path", "status"),
    [
        pytest.param("", "/models", 401, id="no token"),
        pytest.param("stolen", "/models", 401, id="unknown token"),
        pytest.param("cam1-train", "/models", 403, id="another scope"),
        pytest.param("cam1", "/models", 200, id="right"),
        pytest.param("cam1", "http://service/metrics", 403, id="metrics need admin"),
        pytest.param("cam1-admin", "http://service/metrics", 200, id="admin"),
        pytest.param("cam1-admin", "/models", 200, id="admin may do everything"),
        pytest.param("", "/health", 200, id="health is open"),
        pytest.param("", "/ready", 200, id="readiness is open"),
        pytest.param("", "/openapi.json", 200, id="description is open"),
        pytest.param("cam1", "/docs", 404, id="no pages with foreign scripts"),
    ],
)
def test_who_may_do_what(token: str, path: str, status: int, tmp_path: Path) -> None:
    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        reply = await client.get(path)
        assert reply.status_code == status, reply.text

    play(scenario, make_services(tmp_path), token=token)


def test_open_metrics_need_no_token(tmp_path: Path) -> None:
    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        assert (await client.get("http://service/metrics")).status_code == 200

    play(scenario, make_services(tmp_path, metrics_open=True), token="")


def test_a_batch_keeps_its_order_and_a_bad_picture_its_place(tmp_path: Path) -> None:
    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        reply = await annotate_batch(client, png(1), b"nonsense", png(2), png(1), png(3)[:-40])
        assert reply.status_code == 200, reply.text
        results = BatchReply.model_validate_json(reply.content).results
        kinds = [result.type if isinstance(result, ProblemReply) else result.scores[0] for result in results]
        one, two = score_of(noise(seed=1)), score_of(noise(seed=2))
        assert kinds == [one, "picture-damaged", two, one, "picture-damaged"]

    play(scenario, make_services(tmp_path))


def test_a_batch_has_a_place_for_each_picture(tmp_path: Path) -> None:
    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        placements = [{"offset_x": 5}, {"offset_y": 7, "frame_height": 36}]
        results = (await annotate_batch(client, png(1), png(2), placements=placements)).json()["results"]
        assert results[0]["boxes_xyxy"] == [[5, 0, 45, 30]]
        assert results[1]["type"] == "outside-frame"

    play(scenario, make_services(tmp_path))


@pytest.mark.parametrize(
    ("form", "status", "kind"),
    [
        pytest.param({"files": files(*[png()] * 5)}, 413, "too-many-pictures", id="too many pictures"),
        pytest.param({"files": files(png()), "data": {"request": "{"}}, 422, "invalid-request", id="no JSON"),
        pytest.param({"files": files(png()), "data": {"request": '{"x":1}'}}, 422, "invalid-request", id="unknown key"),
        pytest.param(
            {"files": files(png()), "data": {"request": '{"placements":[]}'}}, 422, "invalid-request", id="no placement"
        ),
        pytest.param({"files": files(png()), "data": {"other": "1"}}, 422, "invalid-request", id="unknown field"),
        pytest.param({"files": files(png()), "data": {"pictures": "1"}}, 422, "invalid-request", id="a text"),
        pytest.param({"files": [("request", ("r", b"{}", "text/plain"))]}, 422, "invalid-request", id="a file"),
        pytest.param({"content": b"x", "headers": {"Content-Type": "image/png"}}, 415, "form-type", id="no form"),
        pytest.param(
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "form-damaged", id="no boundary"
        ),
        pytest.param(
            {"content": b"--b\r\n\x00: x\r\n\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
            400,
            "form-damaged",
            id="damaged",
        ),
        pytest.param(
            {"content": b"--b--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
            422,
            "invalid-request",
            id="empty",
        ),
        *(
            pytest.param(
                {
                    "content": b'--b\r\nContent-Disposition: form-data; name="request"\r\n\r\na-\r\n--b--\r\n',
                    "headers": {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"},
                },
                415,
                "form-charset",
                id=charset,
            )
            for charset in ("punycode", "IDNA", "utf-16", "zlib", "nothing")
        ),
    ],
)
def test_a_wrong_form_is_refused(form: dict[str, Any], status: int, kind: str, tmp_path: Path) -> None:
    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        problem(await client.post("/models/stub/annotations/batch", **form), status, kind)

    play(scenario, make_services(tmp_path, limits={"max_batch_pictures": 4}))


def test_the_same_picture_again_costs_nothing(tmp_path: Path) -> None:
    stub = StubDetector()

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        first = (await annotate(client, png())).json()
        again = (await annotate(client, png())).json()
        assert again == {**first, "is_cached": True}

    play(scenario, make_services(tmp_path, {"stub": stub}))
    assert stub.calls == [1]


def as_client(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}", "Content-Type": "image/png"}


@pytest.mark.parametrize(("is_shared", "n_calls"), [(False, 2), (True, 1)])
def test_a_client_does_not_learn_of_the_pictures_of_others(is_shared: bool, n_calls: int, tmp_path: Path) -> None:
    """Neither by what is said nor by how long it takes: the model looks again, also after a restart."""
    stubs = StubDetector(), StubDetector()

    async def ask(client: httpx2.AsyncClient, name: str) -> bool:
        reply = await client.post("/models/stub/annotations", content=png(), headers=as_client(name))
        return bool(reply.json()["is_cached"])

    async def first(client: httpx2.AsyncClient, services: Services) -> None:
        assert [await ask(client, "cam1"), await ask(client, "cam1")] == [False, True]
        assert [await ask(client, "cam2"), await ask(client, "cam2")] == [is_shared, True]

    async def restarted(client: httpx2.AsyncClient, services: Services) -> None:
        assert [await ask(client, "cam3"), await ask(client, "cam2")] == [is_shared, True]

    for stub, scenario in zip(stubs, (first, restarted), strict=True):
        play(scenario, make_services(tmp_path, {"stub": stub}, cache={"disk_mb": 1, "shared": is_shared}))
    assert [len(stub.calls) for stub in stubs] == [n_calls, n_calls - 1]


def test_clients_that_ask_at_the_same_time_do_not_share_an_answer(tmp_path: Path) -> None:
    stub = StubDetector(is_open=False)

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        url = "/models/stub/annotations"
        asked = [
            asyncio.create_task(client.post(url, content=png(), headers=as_client(name)))
            for name in ("cam1", "cam2", "cam2")
        ]
        await in_thread(stub.wait_for_call)
        stub.open()
        assert [reply.json()["is_cached"] for reply in await asyncio.gather(*asked)] == [False] * 3

    play(scenario, make_services(tmp_path, {"stub": stub}))
    assert sum(stub.calls) == 2


def test_a_picture_may_come_without_its_type(tmp_path: Path) -> None:
    """Generated clients know bytes only."""

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        for suffix in MIME:
            content = encoded(noise((40, 30)), suffix)
            assert (await annotate(client, content, "application/octet-stream")).status_code == 200
        problem(await annotate(client, b"no picture", "application/octet-stream"), 422, "picture-damaged")

    play(scenario, make_services(tmp_path))


def test_results_survive_a_restart_on_disk(tmp_path: Path) -> None:
    stubs = StubDetector(), StubDetector()

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        assert (await annotate(client, png())).status_code == 200

    for stub in stubs:
        play(scenario, make_services(tmp_path, {"stub": stub}, cache={"disk_mb": 1}))
    assert [stub.calls for stub in stubs] == [[1], []]


def test_the_same_picture_at_the_same_time_is_looked_at_once(tmp_path: Path) -> None:
    stub = StubDetector(is_open=False)

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        questions = [asyncio.create_task(annotate(client, png())) for _ in range(5)]
        await in_thread(stub.wait_for_call)
        late = asyncio.create_task(annotate_batch(client, png(), png()))
        stub.open()
        replies = await asyncio.gather(*questions)
        assert {tuple(reply.json()["scores"]) for reply in replies} == {(score_of(noise()),)}
        assert (await late).status_code == 200

    play(scenario, make_services(tmp_path, {"stub": stub}))
    assert stub.calls == [1]


def test_an_answer_that_comes_while_a_question_is_looked_up_is_not_asked_for_again(tmp_path: Path) -> None:
    """The look-up is in another thread: by its end, what was under way at its beginning may be over."""
    stub = StubDetector()

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        cache = services.annotations._cache
        look_up, missed, may_go_on = cache.get, threading.Event(), threading.Event()

        def slow_look_up(key: ResultKey) -> Detections | None:
            found = look_up(key)
            missed.set()
            assert may_go_on.wait(WAIT_S)
            return found

        cache.get = slow_look_up  # type: ignore[method-assign]
        slow = asyncio.create_task(annotate(client, png()))
        await in_thread(missed.wait)
        cache.get = look_up  # type: ignore[method-assign]
        assert (await annotate(client, png())).json()["is_cached"] is False
        may_go_on.set()
        assert (await slow).json()["is_cached"] is True

    play(scenario, make_services(tmp_path, {"stub": stub}))
    assert stub.calls == [1]


async def fill_queue(client: httpx2.AsyncClient, stub: StubDetector, n: int) -> list[asyncio.Task[httpx2.Response]]:
    """Occupy the model with one picture, and the queue with `n`."""
    tasks = [asyncio.create_task(annotate(client, png(1000)))]
    await in_thread(stub.wait_for_call)
    tasks += [asyncio.create_task(annotate(client, png(2000 + number))) for number in range(n)]
    while "queue_pictures" not in (page := await metrics_page(client)) or f'{{model="stub"}} {n:.1f}' not in page:
        await asyncio.sleep(0)
    return tasks


async def metrics_page(client: httpx2.AsyncClient) -> str:
    reply = await client.get("http://service/metrics", headers={"Authorization": "Bearer cam9-admin"})
    lines = [line for line in reply.text.splitlines() if "queue_pictures" in line and not line.startswith("#")]
    return "\n".join(lines)


def test_a_full_queue_refuses_and_says_when_to_come_back(tmp_path: Path) -> None:
    stub = StubDetector(is_open=False)

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        tasks = await fill_queue(client, stub, 4)
        for refused in (await annotate(client, png(1)), await annotate_batch(client, png(1), png(2))):
            problem(refused, 429, "queue-full")
            assert int(refused.headers["retry-after"]) >= 1
        shared = asyncio.create_task(annotate(client, png(2000)))  # what waits already needs no place
        stub.open()
        assert {reply.status_code for reply in await asyncio.gather(*tasks, shared)} == {200}
        assert (await annotate(client, png(1))).status_code == 200

    settings = {"batching": {"max_queue": 4}, "limits": {"max_batch_pictures": 4}}
    play(scenario, make_services(tmp_path, {"stub": stub}, **settings))


def test_a_batch_enters_the_queue_whole_or_not_at_all(tmp_path: Path) -> None:
    stub = StubDetector(is_open=False)

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        tasks = await fill_queue(client, stub, 3)
        problem(await annotate_batch(client, png(1), png(2)), 429, "queue-full")
        fits = asyncio.create_task(annotate_batch(client, png(1)))
        stub.open()
        assert {reply.status_code for reply in await asyncio.gather(*tasks, fits)} == {200}

    settings = {"batching": {"max_queue": 4}, "limits": {"max_batch_pictures": 4}}
    play(scenario, make_services(tmp_path, {"stub": stub}, **settings))


def test_a_quota_of_requests(tmp_path: Path) -> None:
    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        assert [(await annotate(client, png())).status_code for _ in range(2)] == [200, 200]
        refused = await annotate(client, png())
        problem(refused, 429, "quota")
        assert int(refused.headers["retry-after"]) > 20
        other = await client.post(
            "/models/stub/annotations",
            content=png(),
            headers={"Content-Type": "image/png", "Authorization": "Bearer cam2"},
        )
        assert other.status_code == 200

    play(scenario, make_services(tmp_path, quotas={"requests_per_minute": 2}))


def test_a_quota_of_pixels_counts_what_models_look_at(tmp_path: Path) -> None:
    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        statuses = [(await annotate(client, png(seed))).status_code for seed in (1, 1, 1, 2, 3)]
        assert statuses == [200, 200, 200, 200, 429]

    play(scenario, make_services(tmp_path, quotas={"megapixels_per_minute": 0.0023}))


def test_a_model_that_fails_is_told_by_an_id_that_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stub = StubDetector()
    stub.poison.add(score_of(noise(seed=2)))

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        told = problem(await annotate(client, png(2)), 500, "model-failed")
        assert "secret-path" not in told.detail
        assert told.detail.split()[-1] in caplog.text
        assert "secret-path" in caplog.text
        results = (await annotate_batch(client, png(1), png(2), png(3))).json()["results"]
        assert [result.get("type") for result in results] == [None, "model-failed", None]

    play(scenario, make_services(tmp_path, {"stub": stub}))


def test_a_model_that_is_too_slow_is_given_up(tmp_path: Path) -> None:
    stub = StubDetector(is_open=False)

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        while not stub.calls:  # on a busy machine, the time may be over before the model is called
            reply = await annotate(client, png())
            problem(reply, 503, "too-slow")
            assert "retry-after" in reply.headers
        while (ready := await client.get("/ready")).status_code == 200:
            await asyncio.sleep(0)  # the call began a little after the request
        assert "has not responded" in problem(ready, 503, "not-ready").detail
        stub.open()

    play(scenario, make_services(tmp_path, {"stub": stub}, limits={"request_timeout_s": 0.05}))


def test_what_a_client_wanted_that_went_away_leaves_the_queue(tmp_path: Path) -> None:
    stub = StubDetector(is_open=False)

    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        tasks = await fill_queue(client, stub, 2)
        tasks[1].cancel()
        await asyncio.gather(tasks[1], return_exceptions=True)
        while 'stub"} 1.0' not in await metrics_page(client):
            await asyncio.sleep(0)
        stub.open()
        assert {reply.status_code for reply in await asyncio.gather(tasks[0], tasks[2])} == {200}

    play(scenario, make_services(tmp_path, {"stub": stub}))
    assert stub.calls == [1, 1]


def test_a_model_that_is_being_loaded_is_asked_later(tmp_path: Path) -> None:
    services = make_services(tmp_path)

    async def run() -> None:
        with pytest.raises(Problem) as refused:
            await services.annotations.annotate("stub", [Upload(png(), "image/png")], client="cam1")
        assert (refused.value.status, refused.value.kind) == (503, "model-not-ready")
        assert await services.not_ready() == ["model stub is being loaded"]
        await services.load()
        assert await services.not_ready() == []
        services.close()

    asyncio.run(run())


def test_no_picture_and_no_token_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        await annotate(client, png(), offset_x=1)
        await client.get("/cameras/secretplace/nothing?token=verysecret")

    with caplog.at_level(logging.INFO, "edge_autotuner"):
        play(scenario, make_services(tmp_path), token="cam7")
    lines = [record.getMessage() for record in caplog.records if record.name == "edge_autotuner.access"]
    assert lines[0].startswith("client=cam7 method=POST route=/v1/models/{model}/annotations status=200 ms=")
    assert f"received={len(png())}" in lines[0]
    assert lines[1].startswith("client=- method=GET route=- status=404")
    assert "secret" not in "".join(lines)


def test_the_same_question_is_counted_by_how_it_was_answered(tmp_path: Path) -> None:
    async def scenario(client: httpx2.AsyncClient, services: Services) -> None:
        for _ in range(3):
            await annotate(client, png())
        page = services.metrics.page().decode()
        assert 'edge_autotuner_pictures_total{client="cam1",how="computed",model="stub"} 1.0' in page
        assert 'edge_autotuner_pictures_total{client="cam1",how="cached",model="stub"} 2.0' in page
        assert 'edge_autotuner_batch_pictures_count{model="stub"} 1.0' in page
        route = 'method="POST",route="/v1/models/{model}/annotations",status="200"'
        assert f'edge_autotuner_requests_total{{client="cam1",{route}}} 3.0' in page

    play(scenario, make_services(tmp_path))
