"""The registry: one deployed bundle per camera, a way back, and the same request twice changes nothing more."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from edge_autotuner.core.printable import is_printable
from edge_autotuner.deployment.acceptance import signature_to_text
from edge_autotuner.deployment.signing import create_key
from edge_autotuner.server import registry as registry_module
from edge_autotuner.server import registry_rows
from edge_autotuner.server.problems import Problem
from edge_autotuner.server.schema import bundles
from edge_autotuner.wire.registry_messages import BundleRequest, CameraInfo, CameraRequest, DeployedBundle
from support.service.registry_samples import Parts, add_bundle, bearer, description, open_parts, small_service, stages

SIGNATURE = "A" * 86 + "=="
OTHER_SIGNATURE = "B" * 85 + "A=="


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = open_parts(tmp_path)
    yield made
    made.close()


def problem_of(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value.status, caught.value.kind


def promote(parts: Parts, bundle_id: str, camera: str = "gate") -> None:
    assert parts.registry.promote(camera, bundle_id, client="deployer").stage == "deployed"


def deployed_id(parts: Parts, camera: str = "gate") -> str | None:
    deployed = parts.registry.deployed(camera)
    return deployed.id if deployed else None


def three_deployed(parts: Parts) -> list[str]:
    """Promote three bundles one after the other."""
    ids = [add_bundle(parts, name=name) for name in "abc"]
    for bundle_id in ids:
        promote(parts, bundle_id)
    return ids


def test_a_camera_is_added_and_changed(parts: Parts) -> None:
    facts = CameraRequest(place="north gate", shows="street")
    added = parts.registry.put_camera("gate", facts, client="trainer")
    assert added == CameraInfo(camera="gate", place="north gate", shows="street", deployed=None)
    parts.registry.put_camera("gate", facts, client="trainer")
    parts.registry.put_camera("alley", CameraRequest(), client="trainer")
    parts.registry.put_camera("gate", CameraRequest(place="south gate"), client="trainer")
    bundle = add_bundle(parts, "alley")
    promote(parts, bundle, "alley")
    assert parts.registry.cameras() == [
        CameraInfo(camera="alley", place="", shows="", deployed=bundle),
        CameraInfo(camera="gate", place="south gate", shows="", deployed=None),
    ]
    actions = [(action, subject) for action, _, subject in parts.actions() if action.startswith("camera")]
    assert actions == [("camera-added", "gate"), ("camera-added", "alley"), ("camera-changed", "gate")]


def test_a_bundle_is_added_with_its_lineage(parts: Parts) -> None:
    parts.registry.put_camera("gate", CameraRequest(), client="trainer")
    model, weights = parts.blobs.store(b"model"), parts.blobs.store(b"weights")
    text = description()
    request = BundleRequest(description=text, signature=SIGNATURE, parent="b0", data_sha256="0" * 64)
    added = parts.registry.add("gate", request, client="trainer")
    assert added.stage == "candidate"
    [bundle] = parts.registry.bundles("gate")
    assert (bundle.id, bundle.camera, bundle.stage, bundle.name) == (added.id, "gate", "candidate", "street")
    assert (bundle.metrics, bundle.parent, bundle.data_sha256) == ({"ap": 0.5}, "b0", "0" * 64)
    assert [(file.name, file.n_bytes, file.sha256) for file in bundle.files] == [
        ("model.onnx", 5, model),
        ("weights.safetensors", 7, weights),
    ]
    assert bundle.description_sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert (bundle.is_signed, bundle.added_by) == (True, "trainer")
    assert bundle.added_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert parts.actions()[-1] == ("bundle-added", "trainer", f"gate/{added.id}")


def test_the_deployed_bundle_comes_with_its_very_text(parts: Parts) -> None:
    parts.registry.put_camera("gate", CameraRequest(), client="trainer")
    parts.blobs.store(b"model"), parts.blobs.store(b"weights")
    text = description("straße") + "\r\n  "
    request = BundleRequest(description=text, signature=SIGNATURE)
    promote(parts, parts.registry.add("gate", request, client="trainer").id)
    deployed = parts.registry.deployed("gate")
    assert deployed is not None
    assert (deployed.description, deployed.signature, deployed.name) == (text, SIGNATURE, "straße")


def test_the_same_request_again_has_the_same_answer(parts: Parts) -> None:
    first = add_bundle(parts)
    assert add_bundle(parts) == first
    promote(parts, first)
    again = parts.registry.add("gate", BundleRequest(description=description()), client="trainer")
    assert (again.id, again.stage) == (first, "deployed")
    assert len(parts.registry.bundles("gate")) == 1
    assert [action for action, _, _ in parts.actions()].count("bundle-added") == 1


def test_the_same_request_from_many_threads_adds_one_bundle(parts: Parts) -> None:
    first = add_bundle(parts, name="first")
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.append(add_bundle(parts, name="second"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1
    assert {bundle.id for bundle in parts.registry.bundles("gate")} == {first, ids[0]}


def test_one_description_may_belong_to_two_cameras(parts: Parts) -> None:
    assert add_bundle(parts, "gate") != add_bundle(parts, "yard")
    assert [len(parts.registry.bundles(camera)) for camera in ("gate", "yard")] == [1, 1]


def test_a_signature_can_come_later_and_is_not_replaced(parts: Parts) -> None:
    bundle = add_bundle(parts)
    for _ in range(2):
        parts.registry.add("gate", BundleRequest(description=description(), signature=SIGNATURE), client="trainer")
    parts.registry.add("gate", BundleRequest(description=description()), client="trainer")
    other = BundleRequest(description=description(), signature=OTHER_SIGNATURE)
    assert problem_of(lambda: parts.registry.add("gate", other, client="x")) == (409, "signature-differs")
    promote(parts, bundle)
    deployed = parts.registry.deployed("gate")
    assert deployed is not None
    assert deployed.signature == SIGNATURE
    assert [action for action, _, _ in parts.actions()].count("bundle-signed") == 1


@pytest.mark.parametrize(
    "metrics",
    [
        '{"a":' * 900 + "1" + "}" * 900,
        '{"a":' * 17 + "1" + "}" * 17,
        json.dumps({str(i): i for i in range(20_001)}),
        json.dumps({"a": "x" * 2001}),
        json.dumps({"\x1b[2J": 1}),
        json.dumps({"a": "\u202e"}),
    ],
    ids=["900 deep", "17 deep", "many", "long", "escape code", "reversed"],
)
def test_what_cannot_be_listed_is_not_accepted_and_what_is_there_does_not_end_a_listing(
    parts: Parts, metrics: str
) -> None:
    fine = add_bundle(parts)
    text = description("other").replace('{\n    "ap": 0.5\n  }', metrics)
    assert metrics in text
    with small_service(parts) as service:
        asked = {"headers": bearer(parts, "trainer", "train"), "json": {"description": text}}
        refused = service.post("/v1/cameras/gate/bundles", **asked)
        assert (refused.status_code, refused.json()["type"]) == (422, "not-a-bundle")
        with parts.database.writing() as connection:  # as an earlier version has left it
            summary = f'{{"name": "street\\u001b[2J", "metrics": {metrics}}}'
            connection.execute(update(bundles).values(summary=summary))
        listed = service.get("/v1/cameras/gate/bundles", headers=asked["headers"])
    assert listed.status_code == 200
    (bundle,) = listed.json()["bundles"]
    assert (bundle["id"], bundle["metrics"]) == (fine, {})
    assert is_printable(bundle["name"])


def signed_by(parts: Parts) -> str | None:
    promote(parts, parts.registry.bundles("gate")[0].id)
    deployed = parts.registry.deployed("gate")
    assert deployed is not None
    return deployed.signature


def test_nobody_else_attaches_a_signature_that_keeps_the_true_one_away(parts: Parts) -> None:
    add_bundle(parts)
    garbage, true = (BundleRequest(description=description(), signature=text) for text in (OTHER_SIGNATURE, SIGNATURE))
    assert problem_of(lambda: parts.registry.add("gate", garbage, client="x")) == (403, "not-yours")
    assert signed_by(parts) is None
    parts.registry.add("gate", true, client="trainer")
    assert problem_of(lambda: parts.registry.add("gate", garbage, client="x")) == (409, "signature-differs")
    assert signed_by(parts) == SIGNATURE
    parts.registry.add("gate", garbage, client="trainer")  # who added it may exchange it
    assert signed_by(parts) == OTHER_SIGNATURE
    parts.registry.add("gate", true, client="x", may_sign_others=True)  # so may who decides what is deployed
    assert signed_by(parts) == SIGNATURE


def test_with_trusted_keys_only_their_signatures_are_taken_whoever_brings_them(tmp_path: Path) -> None:
    key, stranger = create_key(tmp_path / "key.pem"), create_key(tmp_path / "stranger.pem")
    text = description()
    true, false = (signature_to_text(each.sign(text.encode())) for each in (key, stranger))
    before = open_parts(tmp_path)
    add_bundle(before)
    before.registry.add("gate", BundleRequest(description=text, signature=false), client="trainer")
    before.close()
    parts = open_parts(tmp_path, trusted=(key.public,))
    for signature in (false, SIGNATURE):
        bad = BundleRequest(description=text, signature=signature)
        for client in ("trainer", "x"):
            call = lambda bad=bad, client=client: parts.registry.add("gate", bad, client=client)  # noqa: E731
            assert problem_of(call) == (422, "signature-unknown")
    assert signed_by(parts) == false, "from before there were keys"
    parts.registry.add("gate", BundleRequest(description=text, signature=true), client="x")
    assert signed_by(parts) == true
    parts.registry.add("gate", BundleRequest(description=text), client="x")
    assert signed_by(parts) == true
    parts.close()


def refuse(values: dict[str, Any]) -> None:
    values["files"]["model"]["name"] = "../model.onnx"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{}", "is not a model bundle's description", id="something-else"),
        pytest.param("[" * 100_000, "cannot be used: more than 20000 arrays", id="nested"),
        pytest.param(description(edit=lambda d: d.update(version=2)), "has format version 2", id="version"),
        pytest.param(description(edit=lambda d: d.pop("detector")), "bundle.json", id="no-detector"),
        pytest.param(description(edit=refuse), "must be a plain file name", id="path"),
        pytest.param(description(edit=lambda d: d.update(name="\ud800")), "expected printable text", id="surrogate"),
        pytest.param(
            description(edit=lambda d: d["metrics"].update(a="\ud800")), "expected printable text", id="inner-surrogate"
        ),
        pytest.param(description().replace("0.5", "1e999"), "inf is not a JSON number", id="infinite"),
        pytest.param(
            description(edit=lambda d: d["files"]["model"].update(name="bundle.json")),
            "duplicate name",
            id="description",
        ),
        pytest.param(
            description(edit=lambda d: d["files"]["model"].update(name="weights.safetensors")),
            "duplicate name",
            id="twice",
        ),
    ],
)
def test_descriptions_are_checked(parts: Parts, text: str, message: str) -> None:
    add_bundle(parts, name="before")
    with pytest.raises(Problem, match=message) as caught:
        parts.registry.add("gate", BundleRequest(description=text), client="trainer")
    assert (caught.value.status, caught.value.kind) == (422, "not-a-bundle")
    assert len(parts.registry.bundles("gate")) == 1


def test_the_files_must_be_there(parts: Parts) -> None:
    parts.registry.put_camera("gate", CameraRequest(), client="trainer")
    parts.blobs.store(b"model")
    request = BundleRequest(description=description())
    with pytest.raises(Problem, match=r"upload these first: weights.safetensors \([0-9a-f]{64}\)$") as caught:
        parts.registry.add("gate", request, client="trainer")
    assert (caught.value.status, caught.value.kind) == (409, "blobs-missing")
    parts.blobs.store(b"weights")
    assert parts.registry.add("gate", request, client="trainer").stage == "candidate"


def test_the_files_must_have_their_size(parts: Parts) -> None:
    parts.registry.put_camera("gate", CameraRequest(), client="trainer")
    parts.blobs.store(b"model"), parts.blobs.store(b"weights")
    text = description(edit=lambda d: d["files"]["model"].update(n_bytes=6))
    call = lambda: parts.registry.add("gate", BundleRequest(description=text), client="trainer")  # noqa: E731
    assert problem_of(call) == (422, "not-a-bundle")


@pytest.mark.parametrize("text", ["A" * 88, "A" * 87 + "=", "A" * 84, "A" * 85 + "-=="])
def test_a_signature_must_have_its_form(text: str) -> None:
    with pytest.raises(ValueError, match="signature"):
        BundleRequest(description=description(), signature=text)


def test_promoting_archives_the_one_before(parts: Parts) -> None:
    first, second = add_bundle(parts, name="a"), add_bundle(parts, name="b")
    assert deployed_id(parts) is None
    promote(parts, first)
    assert stages(parts) == {"a": "deployed", "b": "candidate"}
    promote(parts, second)
    assert stages(parts) == {"a": "archived", "b": "deployed"}
    assert deployed_id(parts) == second
    assert parts.actions()[-2:] == [
        ("bundle-promoted", "deployer", f"gate/{first}"),
        ("bundle-promoted", "deployer", f"gate/{second}"),
    ]
    assert parts.audit.last(1)[0].detail == f"instead of {first}"


def test_promoting_again_changes_nothing(parts: Parts) -> None:
    first, second = add_bundle(parts, name="a"), add_bundle(parts, name="b")
    for bundle_id in (first, second, second):
        promote(parts, bundle_id)
    assert [action for action, _, _ in parts.actions()].count("bundle-promoted") == 2
    assert parts.registry.roll_back("gate", client="deployer").id == first


def test_going_back_several_steps(parts: Parts) -> None:
    first, second, third = three_deployed(parts)
    assert deployed_id(parts) == third
    assert parts.registry.roll_back("gate", client="deployer").id == second
    assert stages(parts) == {"a": "archived", "b": "deployed", "c": "archived"}
    assert parts.registry.roll_back("gate", client="deployer").id == first
    assert problem_of(lambda: parts.registry.roll_back("gate", client="deployer")) == (409, "nothing-before")
    assert deployed_id(parts) == first
    assert parts.actions()[-1] == ("bundle-rolled-back", "deployer", f"gate/{first}")


def test_after_going_back_the_way_goes_on_from_there(parts: Parts) -> None:
    first, second, third = three_deployed(parts)
    parts.registry.roll_back("gate", client="deployer")
    fourth = add_bundle(parts, name="d")
    promote(parts, fourth)
    assert parts.registry.roll_back("gate", client="deployer").id == second
    assert parts.registry.roll_back("gate", client="deployer").id == first
    assert stages(parts)["c"] == "archived"
    promote(parts, third)
    assert parts.registry.roll_back("gate", client="deployer").id == first


def test_an_archived_bundle_can_be_promoted_again(parts: Parts) -> None:
    first, second, third = three_deployed(parts)
    promote(parts, first)
    ways_back = [parts.registry.roll_back("gate", client="deployer").id for _ in range(3)]
    assert ways_back == [third, second, first]


def test_a_repeated_request_does_not_go_back_twice(parts: Parts) -> None:
    _, second, third = three_deployed(parts)
    assert parts.registry.roll_back("gate", leaving=third, client="deployer").id == second
    call = lambda: parts.registry.roll_back("gate", leaving=third, client="deployer")  # noqa: E731
    assert problem_of(call) == (409, "deployed-differs")
    assert deployed_id(parts) == second


def test_there_is_no_way_back_before_the_first(parts: Parts) -> None:
    bundle = add_bundle(parts)
    assert problem_of(lambda: parts.registry.roll_back("gate", client="deployer")) == (409, "nothing-before")
    promote(parts, bundle)
    assert problem_of(lambda: parts.registry.roll_back("gate", client="deployer")) == (409, "nothing-before")
    assert deployed_id(parts) == bundle


def test_archiving(parts: Parts) -> None:
    first, second = add_bundle(parts, name="a"), add_bundle(parts, name="b")
    promote(parts, first)
    for _ in range(2):
        assert parts.registry.archive("gate", second, client="deployer").stage == "archived"
    assert problem_of(lambda: parts.registry.archive("gate", first, client="deployer")) == (409, "is-deployed")
    assert stages(parts) == {"a": "deployed", "b": "archived"}
    assert [action for action, _, _ in parts.actions()].count("bundle-archived") == 1


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda r: r.bundles("other"), id="bundles"),
        pytest.param(lambda r: r.deployed("other"), id="deployed"),
        pytest.param(lambda r: r.add("other", BundleRequest(description=description()), client="x"), id="add"),
        pytest.param(lambda r: r.promote("other", "b1", client="x"), id="promote"),
        pytest.param(lambda r: r.roll_back("other", client="x"), id="roll-back"),
        pytest.param(lambda r: r.archive("other", "b1", client="x"), id="archive"),
        pytest.param(lambda r: asyncio.run(r.wait_for_deployed("other", after=None, wait_s=9)), id="wait"),
    ],
)
def test_unknown_cameras(parts: Parts, call: Callable[[Any], object]) -> None:
    add_bundle(parts)
    assert problem_of(lambda: call(parts.registry)) == (404, "unknown-camera")


@pytest.mark.parametrize("action", ["promote", "archive"])
def test_a_bundle_belongs_to_its_camera(parts: Parts, action: str) -> None:
    bundle = add_bundle(parts, "gate")
    add_bundle(parts, "yard")
    change = getattr(parts.registry, action)
    assert problem_of(lambda: change("yard", bundle, client="x")) == (404, "unknown-bundle")
    assert problem_of(lambda: change("gate", "b0", client="x")) == (404, "unknown-bundle")


def test_a_change_that_cannot_be_logged_does_not_happen(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = add_bundle(parts, name="a"), add_bundle(parts, name="b")
    promote(parts, first)

    def fail(*_arguments: object, **_more: object) -> None:
        raise RuntimeError("no log")

    monkeypatch.setattr(parts.audit, "append", fail)
    calls: list[Callable[[], object]] = [
        lambda: parts.registry.promote("gate", second, client="x"),
        lambda: parts.registry.archive("gate", second, client="x"),
        lambda: add_bundle(parts, name="c"),
        lambda: parts.registry.put_camera("yard", CameraRequest(), client="x"),
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match="no log"):
            call()
    assert stages(parts) == {"a": "deployed", "b": "candidate"}
    assert [camera.camera for camera in parts.registry.cameras()] == ["gate"]


async def started(parts: Parts, after: str | None, wait_s: float = 3600) -> asyncio.Task[DeployedBundle | None]:
    """Begin to wait, and come back when the waiting request listens."""
    task = asyncio.create_task(parts.registry.wait_for_deployed("gate", after=after, wait_s=wait_s))
    while not parts.registry._news._waiting.get("gate"):
        await asyncio.sleep(0)
    return task


def test_who_waits_is_told_at_once(parts: Parts) -> None:
    first, second = add_bundle(parts, name="a"), add_bundle(parts, name="b")

    async def wait() -> list[DeployedBundle | None]:
        waiting = await started(parts, None)
        await asyncio.to_thread(promote, parts, first)
        found = [await waiting]
        waiting = await started(parts, first)
        await asyncio.to_thread(promote, parts, second)
        found.append(await waiting)
        waiting = await started(parts, second)
        await asyncio.to_thread(parts.registry.roll_back, "gate", client="deployer")
        found.append(await waiting)
        return found

    assert [found and found.id for found in asyncio.run(wait())] == [first, second, first]
    assert parts.registry._news._waiting == {}


def test_who_knows_another_bundle_does_not_wait(parts: Parts) -> None:
    bundle = add_bundle(parts)
    promote(parts, bundle)
    for after in (None, "b0"):
        found = asyncio.run(parts.registry.wait_for_deployed("gate", after=after, wait_s=3600))
        assert found is not None
        assert found.id == bundle


@pytest.mark.parametrize("is_deployed", [False, True])
def test_without_news_waiting_ends(parts: Parts, is_deployed: bool) -> None:
    bundle = add_bundle(parts)
    if is_deployed:
        promote(parts, bundle)
    after = bundle if is_deployed else None
    assert asyncio.run(parts.registry.wait_for_deployed("gate", after=after, wait_s=0)) is None


def test_news_of_another_process_are_found(parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "RECHECK_S", 0.001)
    bundle = add_bundle(parts)
    other = open_parts(tmp_path)

    async def wait() -> DeployedBundle | None:
        waiting = await started(parts, None)
        await asyncio.to_thread(promote, other, bundle)
        return await waiting

    found = asyncio.run(wait())
    other.close()
    assert found is not None
    assert found.id == bundle


def test_a_service_that_ends_does_not_wait(parts: Parts) -> None:
    add_bundle(parts)

    async def wait() -> list[DeployedBundle | None]:
        waiting = await started(parts, None)
        parts.registry.close()
        return [await waiting, await parts.registry.wait_for_deployed("gate", after=None, wait_s=3600)]

    assert asyncio.run(wait()) == [None, None]


@pytest.fixture
def service(parts: Parts) -> Iterator[TestClient]:
    with small_service(parts) as client:
        client.headers.update(bearer(parts, "everything", "admin"))
        yield client


def upload(service: TestClient, name: str = "street") -> str:
    for content in (b"model", b"weights"):
        service.put(f"/v1/blobs/{hashlib.sha256(content).hexdigest()}", content=content)
    reply = service.post("/v1/cameras/gate/bundles", json={"description": description(name)})
    assert reply.status_code == 200
    return str(reply.json()["id"])


def test_the_life_of_bundles_over_http(service: TestClient, parts: Parts) -> None:
    camera = service.put("/v1/cameras/gate", json={"place": "north", "shows": "street"})
    assert camera.json() == {"camera": "gate", "place": "north", "shows": "street", "deployed": None}
    first, second, third = upload(service, "a"), upload(service, "b"), upload(service, "c")
    assert service.get("/v1/cameras/gate/deployed").status_code == 204
    for bundle in (first, second):
        reply = service.post(f"/v1/cameras/gate/bundles/{bundle}/promote")
        assert reply.json() == {"id": bundle, "stage": "deployed"}
    deployed = service.get("/v1/cameras/gate/deployed", params={"after": first, "wait_s": 9}).json()
    assert (deployed["id"], deployed["description"], deployed["signature"]) == (second, description("b"), None)
    assert service.get("/v1/cameras/gate/deployed", params={"after": second, "wait_s": 0}).status_code == 204
    reply = service.post("/v1/cameras/gate/rollback", params={"leaving": second})
    assert reply.json() == {"id": first, "stage": "deployed"}
    assert service.post("/v1/cameras/gate/rollback", params={"leaving": second}).status_code == 409
    reply = service.post(f"/v1/cameras/gate/bundles/{third}/archive")
    assert reply.json() == {"id": third, "stage": "archived"}
    found = service.get("/v1/cameras/gate/bundles").json()["bundles"]
    assert {bundle["id"]: bundle["stage"] for bundle in found} == {
        first: "deployed",
        second: "archived",
        third: "archived",
    }
    assert service.get("/v1/cameras").json()["cameras"][0]["deployed"] == first
    assert service.post("/v1/collect-garbage").json() == {"bundles": [], "blobs": [], "n_bytes": 0}
    assert {client for action, client, _ in parts.actions() if action.startswith("bundle")} == {"everything"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("PUT", "/v1/cameras/a%2Fb", {}, id="camera-path"),
        pytest.param("PUT", "/v1/cameras/..", {}, id="dots"),
        pytest.param("PUT", "/v1/cameras/gate", {"place": "a\nb"}, id="two-lines"),
        pytest.param("PUT", "/v1/cameras/gate", {"place": "a\0b"}, id="nul"),
        pytest.param("PUT", "/v1/cameras/gate", {"city": "x"}, id="unknown-field"),
        pytest.param("POST", "/v1/cameras/gate/bundles", {"description": "{}", "signature": "x"}, id="signature"),
        pytest.param("POST", "/v1/cameras/gate/bundles", {"description": "{}", "parent": "../x"}, id="parent"),
        pytest.param("POST", "/v1/cameras/gate/bundles", {"description": "{}", "data_sha256": "x"}, id="data"),
        pytest.param("POST", "/v1/cameras/gate/bundles", {"description": '{"a":"\\ud800"}'}, id="surrogate"),
        pytest.param("GET", "/v1/cameras/gate/deployed?wait_s=61", None, id="long-wait"),
        pytest.param("GET", "/v1/cameras/gate/deployed?wait_s=nan", None, id="nan-wait"),
        pytest.param("GET", "/v1/cameras/gate/deployed?wait_s=-1", None, id="negative-wait"),
        pytest.param("GET", "/v1/cameras/gate/deployed?after=%00", None, id="after"),
        pytest.param("POST", "/v1/cameras/gate/bundles/..%2Fb/promote", None, id="bundle-path"),
    ],
)
def test_requests_are_checked(service: TestClient, parts: Parts, method: str, path: str, body: object) -> None:
    service.put("/v1/cameras/gate", json={})
    assert service.request(method, path, json=body).status_code in {404, 405, 422}
    assert parts.registry.cameras() == [CameraInfo(camera="gate", place="", shows="", deployed=None)]


READING = [("GET", "/v1/cameras"), ("GET", "/v1/cameras/gate/bundles"), ("GET", "/v1/cameras/gate/deployed")]
ADDING = [("PUT", "/v1/cameras/gate"), ("POST", "/v1/cameras/gate/bundles")]
DEPLOYING = [
    ("POST", "/v1/cameras/gate/rollback"),
    ("POST", "/v1/cameras/gate/bundles/b0/promote"),
    ("POST", "/v1/cameras/gate/bundles/b0/archive"),
]
OWNING = [("POST", "/v1/collect-garbage")]
EVERYTHING = [*READING, *ADDING, *DEPLOYING, *OWNING]


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        pytest.param(["annotate"], READING, id="annotate"),
        pytest.param(["train"], READING + ADDING, id="train"),
        pytest.param(["deploy"], READING + DEPLOYING, id="deploy"),
        pytest.param(["train", "deploy"], READING + ADDING + DEPLOYING, id="both"),
        pytest.param(["admin"], EVERYTHING, id="admin"),
    ],
)
def test_scopes(parts: Parts, scopes: list[str], allowed: list[tuple[str, str]]) -> None:
    add_bundle(parts)
    headers = bearer(parts, "client", *scopes)
    with small_service(parts) as service:
        for method, path in EVERYTHING:
            body = {"description": json.dumps({"format": "?"})} if path.endswith("/bundles") else {}
            status = service.request(method, path, json=body, headers=headers).status_code
            assert (status == 403) == ((method, path) not in allowed), (method, path, status)
            assert service.request(method, path, json=body).status_code == 401


def test_more_cameras_than_a_list_has_are_not_taken(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_rows, "MAX_CAMERAS", 2)
    for camera in ("gate", "alley"):
        parts.registry.put_camera(camera, CameraRequest(), client="trainer")
    with pytest.raises(Problem) as refused:
        parts.registry.put_camera("roof", CameraRequest(), client="trainer")
    assert (refused.value.status, refused.value.kind) == (409, "too-many-cameras")
    parts.registry.put_camera("gate", CameraRequest(place="south"), client="trainer")
    assert [camera.camera for camera in parts.registry.cameras()] == ["alley", "gate"]
