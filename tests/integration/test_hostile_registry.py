"""A registry that lies, over real HTTP: nothing of a node is deleted or written outside, and it says what is wrong."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.client import Connection, RegistryClient
from edge_autotuner.config.node import CameraConfig, RegistryConfig
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.deployment import deploy, deployed_bundle
from edge_autotuner.deployment.signing import create_key
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.node.registry_sync import CameraSync, RegistrySync
from support.service.registry_samples import description, smallest_model
from support.service.scripted_server import ScriptedServer, read_request, reply
from unit.deployment.test_bundle import made

CAMERA = CameraConfig(name="gate", source="gate.mp4")
MODEL, WEIGHTS = smallest_model(), b"weights"


def deployed_reply(**changes: Any) -> dict[str, Any]:
    """What a good registry answers, with changes."""
    text = description("street", model=MODEL, weights=WEIGHTS)
    files = [
        {"name": name, "n_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in (("model.onnx", MODEL), ("weights.safetensors", WEIGHTS))
    ]
    values = {
        "id": "b0123456789abcdef", "camera": "gate", "stage": "deployed", "name": "street", "metrics": {"ap": 0.5},
        "files": files, "is_signed": False, "parent": None, "data_sha256": None, "added_at": "2026-01-01T00:00:00Z",
        "added_by": "trainer", "description": text, "signature": None,
    }  # fmt: skip
    values |= changes
    return {"description_sha256": hashlib.sha256(values["description"].encode()).hexdigest()} | values


def with_file(**changes: Any) -> dict[str, Any]:
    files = deployed_reply()["files"]
    return {"files": [files[0] | changes, files[1]]}


BAD_IDS = [
    "../../precious", "..", ".", "", "/etc", "a/b", "../gate/bundles", "a\0b", "a\\b", "C:\\x", "x" * (10 << 20),
    "batches", "~", "a\nb", "\x1b[2J", "-rf",
]  # fmt: skip
HOSTILE: dict[str, dict[str, Any]] = {
    **{f"id {text[:12]!r}": {"id": text} for text in BAD_IDS if text != "batches"},
    **{f"parent {text[:12]!r}": {"parent": text} for text in BAD_IDS if text != "batches"},
    **{f"file {text[:12]!r}": with_file(name=text) for text in BAD_IDS if text != "batches"},
    "file bundle.json": with_file(name="bundle.json"),
    "file bundle.json.sig": with_file(name="bundle.json.sig"),
    "file of another size": with_file(n_bytes=1 << 50),
    "file of another hash": with_file(sha256="0" * 64),
    "hash that is a path": with_file(sha256="../../../../etc/passwd"),
    "two files of one name": {"files": [deployed_reply()["files"][0]] * 2},
    "no files": {"files": []},
    "signature that is none": {"signature": "../../x"},
    "description that is none": {"description": "{}"},
    "description nested deep": {"description": "[" * 100_000},
    "metrics nested deep": {"metrics": json.loads('{"a":' * 100 + "1" + "}" * 100)},
    "description of other files": {"description": description("street", model=b"other")},
    "number as id": {"id": 7},
    "list as id": {"id": ["a"]},
    "null as id": {"id": None},
}


class HostileRegistry(ScriptedServer):
    """Answers as a registry does, but for the deployed bundle."""

    def __init__(self, deployed: dict[str, Any]) -> None:
        self.asked: list[str] = []
        self._deployed = deployed
        super().__init__(self._answer)

    def _answer(self, link: Any) -> None:
        while head := read_request(link):
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            if path.endswith("/cameras/gate"):
                body = {"camera": "gate", "place": "", "shows": "", "deployed": None}
            elif path.endswith("/bundles"):
                body = {"id": "b0000000000000001", "stage": "candidate"}
            elif "/deployed" in path:
                body = self._deployed
            elif path.endswith("/missing"):
                body = {"missing": []}
            else:
                content = {hashlib.sha256(c).hexdigest(): c for c in (MODEL, WEIGHTS)}.get(path.rpartition("/")[2])
                link.sendall(reply(content or b"x", headers="Content-Type: application/octet-stream"))
                continue
            link.sendall(reply(json.dumps(body).encode()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A camera's folder with a deployed model, and things around it that must stay."""
    camera = tmp_path / "node" / "gate"
    made(camera / "bundles" / "mine", name="mine")
    deploy(camera, "mine")
    (camera / "batches" / "00000001").mkdir(parents=True)
    (camera / "batches" / "00000001" / "picture").write_text("precious")
    for place in (tmp_path / "precious", tmp_path / "node" / "precious", camera / "precious"):
        place.mkdir()
        (place / "file").write_text("precious")
    return camera


def snapshot(path: Path, *, but: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.is_relative_to(but) and file.name != "registry.json":
            yield str(file), file.read_bytes()


def step(folder: Path, url: str, *, trusts: bool) -> str | None:
    """Synchronize once; return what the node says is wrong."""
    service = ServiceConfig(url=url, allow_http=True, max_attempts=1)
    config = RegistryConfig(service=service, allow_unsigned=True, decides="registry")
    key = create_key(folder.parent / f"key-{secrets.token_hex(4)}.pem")
    with Connection(service) as connection:
        trusted = (key.public,) if trusts else ()
        sync = CameraSync(CAMERA, CameraFolder(folder), RegistryClient(connection), config, trusted=trusted, key=None)
        try:
            sync.step()
        except EdgeAutotunerError as exc:
            return str(exc)
        return sync.problem


UNSIGNED: dict[str, dict[str, Any]] = {"no signature": {}, "signature of nobody": {"signature": "A" * 86 + "=="}}
CASES = [
    *(pytest.param(changes, False, id=f"{name}, trusts all") for name, changes in HOSTILE.items()),
    *(pytest.param(changes, True, id=f"{name}, trusts a key") for name, changes in (HOSTILE | UNSIGNED).items()),
]


@pytest.mark.parametrize(("changes", "trusts"), CASES)
def test_nothing_is_deleted_and_nothing_is_written_outside(
    folder: Path, tmp_path: Path, changes: dict[str, Any], trusts: bool
) -> None:
    incoming = folder / "incoming"
    before = dict(snapshot(tmp_path, but=incoming))
    with HostileRegistry(deployed_reply(**changes)) as registry:
        problem = step(folder, registry.url, trusts=trusts)
    after = {name: content for name, content in snapshot(tmp_path, but=incoming) if "key-" not in name}
    assert after == before
    assert problem is not None
    assert len(problem) < 1000
    assert problem.isprintable()
    assert (deployed := deployed_bundle(folder)) is not None
    assert deployed.name == "mine"
    if trusts:
        assert not incoming.exists()
        assert not [path for path in registry.asked if "/blobs/" in path and "missing" not in path]
    assert not [path for path in tmp_path.rglob("*") if path.name in {"passwd", "b", "x"}]


def test_an_id_that_names_a_folder_of_the_node_hits_nothing(folder: Path, tmp_path: Path) -> None:
    before = dict(snapshot(tmp_path, but=folder / "incoming"))
    with HostileRegistry(deployed_reply(id="batches")) as registry:
        assert step(folder, registry.url, trusts=False) is None  # a plain name like any other
    after = dict(snapshot(tmp_path, but=folder / "incoming"))
    assert {name: after[name] for name in before if "key-" not in name} == before
    assert (folder / "bundles" / "batches" / "model.onnx").read_bytes() == MODEL


def test_a_link_in_place_of_the_arrivals_leads_nowhere(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    (folder / "incoming").mkdir()
    (folder / "incoming" / "b0123456789abcdef").symlink_to(outside)
    with HostileRegistry(deployed_reply()) as registry:
        problem = step(folder, registry.url, trusts=False)
    assert problem is not None
    assert "points outside" in problem
    assert [path.name for path in outside.iterdir()] == ["file"]


def test_the_node_reports_it_as_its_problem(folder: Path) -> None:
    with HostileRegistry(deployed_reply(id="../../precious")) as registry:
        service = ServiceConfig(url=registry.url, allow_http=True, max_attempts=1)
        config = RegistryConfig(service=service, allow_unsigned=True, decides="registry")
        sync = RegistrySync({"gate": CameraFolder(folder)}, (CAMERA,), config)
        try:
            problem = sync._round()
        finally:
            sync.stop()
    assert problem is not None
    assert "gate: " in problem
    assert "DeployedBundle: id" in problem


def test_what_an_honest_registry_says_is_carried_out(folder: Path) -> None:
    with HostileRegistry(deployed_reply()) as registry:
        assert step(folder, registry.url, trusts=False) is None
    deployed = deployed_bundle(folder)
    assert deployed is not None
    assert deployed.name == "b0123456789abcdef"
    assert not list((folder / "incoming").iterdir())


def test_what_began_to_arrive_ends_with_the_next_decision(folder: Path) -> None:
    broken = deployed_reply(id="b1", **with_file(n_bytes=1 << 20))  # a file that does not come
    text = description("street", edit=lambda d: d["files"]["model"].update(n_bytes=1 << 20))
    broken |= {"description": text, "description_sha256": hashlib.sha256(text.encode()).hexdigest()}
    broken["files"] = [{"name": name} | facts for name, facts in _files_of(text).items()]
    with HostileRegistry(broken) as registry:
        assert step(folder, registry.url, trusts=False) is not None
    parts = [path.name for path in (folder / "incoming").iterdir()]
    assert len(parts) == 1
    assert parts[0].startswith(".b1.")
    with HostileRegistry(deployed_reply(id="b2")) as registry:
        assert step(folder, registry.url, trusts=False) is None
    assert not list((folder / "incoming").iterdir())


def _files_of(text: str) -> dict[str, dict[str, Any]]:
    return {
        values["name"]: {"n_bytes": values["n_bytes"], "sha256": values["sha256"]}
        for values in json.loads(text)["files"].values()
    }
