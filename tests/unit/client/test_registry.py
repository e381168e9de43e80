"""The registry's client against the registry: bundles arrive whole, with their hashes, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from edge_autotuner.client import Connection, RegistryClient
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.deployment import read_bundle
from edge_autotuner.errors import ModelBundleError, ServiceBadReply, ServiceRefused, ServiceUnreachable, StorageError
from edge_autotuner.wire.registry_messages import DeployedBundle
from support.service.registry_samples import Parts, description, open_parts, small_service, smallest_model

CAMERA = "gate"


class Link(httpx2.BaseTransport):
    """Hands requests to an app; may lose replies, and keeps what was asked."""

    def __init__(self, inner: httpx2.BaseTransport) -> None:
        self._inner = inner
        self.asked: list[str] = []
        self.lost: set[str] = set()
        self.changes: dict[str, bytes] = {}

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        line = f"{request.method} {request.url.path}"
        self.asked.append(line)
        reply = self._inner.handle_request(request)
        for part in [part for part in self.lost if part in line]:
            self.lost.remove(part)
            raise httpx2.ReadError("reset")
        for part, content in self.changes.items():
            if part in line:
                return httpx2.Response(200, stream=httpx2.ByteStream(content))
        return reply


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    (tmp_path / "service").mkdir()
    parts = open_parts(tmp_path / "service")
    yield parts
    parts.close()


@pytest.fixture
def link(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Iterator[Link]:
    token = parts.tokens.add("node", ["annotate", "train", "deploy"])
    monkeypatch.setenv("EDGE_AUTOTUNER_TOKEN", token.text)
    with small_service(parts) as app:
        yield Link(app._transport)


@pytest.fixture
def registry(link: Link) -> Iterator[RegistryClient]:
    config = ServiceConfig(url="http://localhost", first_retry_s=0.001)
    with Connection(config, transport=link, sleep=lambda _: None) as connection:
        yield RegistryClient(connection)


def publish(registry: RegistryClient, folder: Path, name: str = "street", **more: Any) -> str:
    """Publish a small bundle from a folder, and return its id."""
    contents = {"model": smallest_model(name), "weights": b"weights"}
    folder.mkdir(exist_ok=True)
    files = {}
    for file_name, content in contents.items():
        (folder / file_name).write_bytes(content)
        files[hashlib.sha256(content).hexdigest()] = folder / file_name
    return registry.publish(CAMERA, description(name, **contents).encode(), files, **more).id


def test_from_one_side_to_the_other(registry: RegistryClient, link: Link, tmp_path: Path) -> None:
    assert registry.put_camera(CAMERA, place="north gate").place == "north gate"
    assert [camera.camera for camera in registry.cameras()] == [CAMERA]
    first = publish(registry, tmp_path / "made")
    assert publish(registry, tmp_path / "made") == first, "again, and nothing changes"
    assert sum(line.startswith("PUT /v1/blobs/") for line in link.asked) == 2, "each content travels once"
    second = publish(registry, tmp_path / "made", "street-2", parent=first)
    assert sum(line.startswith("PUT /v1/blobs/") for line in link.asked) == 3, "the weights are there"
    assert registry.promote(CAMERA, first).stage == "deployed"
    assert registry.promote(CAMERA, second).id == second
    there = registry.deployed(CAMERA, after=first)
    assert there is not None
    assert (there.id, there.parent) == (second, first)
    registry.fetch(there, tmp_path / "bundles" / "new")
    bundle = read_bundle(tmp_path / "bundles" / "new")
    assert (bundle.name, bundle.read_model()) == ("street-2", smallest_model("street-2"))
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == ["new"], "nothing else is left"
    assert registry.deployed(CAMERA, after=second) is None
    assert registry.roll_back(CAMERA, leaving=second).id == first
    with pytest.raises(ServiceRefused, match="409"):
        registry.roll_back(CAMERA, leaving=second)
    assert registry.archive(CAMERA, second).stage == "archived"
    assert {bundle.id: bundle.stage for bundle in registry.bundles(CAMERA)} == {first: "deployed", second: "archived"}


def deployed(registry: RegistryClient, folder: Path) -> DeployedBundle:
    registry.put_camera(CAMERA)
    registry.promote(CAMERA, publish(registry, folder / "made"))
    found = registry.deployed(CAMERA)
    assert found is not None
    return found


def test_lost_replies_change_nothing(registry: RegistryClient, link: Link, tmp_path: Path) -> None:
    link.lost = {"PUT /v1/cameras", "POST /v1/blobs/missing", "PUT /v1/blobs", "/bundles", "/promote", "GET /v1/blobs"}
    bundle = deployed(registry, tmp_path)
    registry.fetch(bundle, tmp_path / "new")
    assert link.lost == set()
    assert read_bundle(tmp_path / "new").name == "street"
    assert [(b.id, b.stage) for b in registry.bundles(CAMERA)] == [(bundle.id, "deployed")]


def test_only_the_missing_file_is_fetched_again(registry: RegistryClient, link: Link, tmp_path: Path) -> None:
    bundle = deployed(registry, tmp_path)
    model, weights = (f"GET /v1/blobs/{file.sha256}" for file in bundle.files)
    link.changes = {weights: b"damaged"}
    with pytest.raises(ServiceBadReply, match="not the expected file"):
        registry.fetch(bundle, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    link.changes = {}
    registry.fetch(bundle, tmp_path / "new")
    assert [line for line in link.asked if line.startswith("GET /v1/blobs")] == [model, weights, weights]
    assert read_bundle(tmp_path / "new").name == "street"


def test_a_bundle_is_never_overwritten(registry: RegistryClient, tmp_path: Path) -> None:
    bundle = deployed(registry, tmp_path)
    registry.fetch(bundle, tmp_path / "new")
    with pytest.raises(ModelBundleError, match="already exists"):
        registry.fetch(bundle, tmp_path / "new")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"description": "{}"}, "does not match its hash", id="another description"),
        pytest.param({"files": ()}, "cannot be none", id="no files"),
        pytest.param({"name": "bundle.json"}, r"cannot be bundle\.json", id="a file in the place of the description"),
        pytest.param({"n_bytes": 0}, "invalid size", id="empty"),
        pytest.param({"n_bytes": 1 << 40}, "invalid size", id="huge"),
    ],
)
def test_what_the_registry_says_is_checked(
    changes: dict[str, Any], why: str, registry: RegistryClient, link: Link, tmp_path: Path
) -> None:
    bundle = deployed(registry, tmp_path)
    of_file = {key: changes[key] for key in changes if key in {"name", "n_bytes"}}
    files = (bundle.files[0].model_copy(update=of_file), bundle.files[1])
    changed = bundle.model_copy(update={"files": files, **changes} if not of_file else {"files": files})
    link.asked.clear()
    with pytest.raises(ServiceBadReply, match=why):
        registry.fetch(changed, tmp_path / "new")
    assert link.asked == []
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", ".hidden", "a/b", ""])
def test_no_name_leads_out_of_the_folder(name: str, registry: RegistryClient, tmp_path: Path) -> None:
    values = deployed(registry, tmp_path).model_dump()
    values["files"][0]["name"] = name
    with pytest.raises(ValueError, match="should match pattern"):
        DeployedBundle.model_validate(values)


def test_the_wait_for_news(registry: RegistryClient, link: Link, tmp_path: Path) -> None:
    bundle = deployed(registry, tmp_path)
    assert registry.deployed(CAMERA, after=bundle.id) is None
    link.lost = {"/deployed"}
    found = registry.deployed(CAMERA, after="b0", wait_s=5)
    assert found is not None
    assert found.id == bundle.id


def test_uploads_need_their_files(registry: RegistryClient, tmp_path: Path) -> None:
    registry.put_camera(CAMERA)
    missing = {hashlib.sha256(b"model").hexdigest(): tmp_path / "none"}
    with pytest.raises(StorageError, match=r"cannot read .*none"):
        registry.publish(CAMERA, description().encode(), missing)
    with pytest.raises(ModelBundleError, match="UTF-8"):
        registry.publish(CAMERA, b"\xff", {})


def test_an_unknown_camera(registry: RegistryClient, tmp_path: Path) -> None:
    with pytest.raises(ServiceRefused) as caught:
        publish(registry, tmp_path / "made")
    assert caught.value.status == 404


def test_a_link_that_stays_dead(registry: RegistryClient, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    monkeypatch.setattr(link, "handle_request", fail)
    with pytest.raises(ServiceUnreachable):
        registry.cameras()
