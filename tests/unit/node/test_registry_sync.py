"""A camera's models here and at the registry: published, promoted, rolled back, and refused when nobody vouches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.client import Connection, RegistryClient
from edge_autotuner.config.node import CameraConfig, RegistryConfig
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.deployment import deploy, deployed_bundle
from edge_autotuner.deployment.signing import SigningKey, create_key
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.node.registry_sync import CameraSync, RegistrySync
from support.service.registry_samples import Parts, open_parts, small_service, stages
from unit.deployment.test_bundle import made

CAMERA = CameraConfig(name="gate", source="gate.mp4", place="north gate")
MakeSync = Callable[..., CameraSync]


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """The service's side."""
    found = open_parts(tmp_path / "service")
    yield found
    found.close()


@pytest.fixture
def client(parts: Parts, tmp_path: Path) -> Iterator[RegistryClient]:
    """The camera's connection to it."""
    token = tmp_path / "token"
    token.write_text(parts.tokens.add("node", ["annotate", "train", "deploy"]).text, encoding="utf-8")
    token.chmod(0o600)
    with small_service(parts) as served:
        config = ServiceConfig(url="http://testserver", allow_http=True, token_file=token)
        with Connection(config, transport=served._transport) as connection:
            yield RegistryClient(connection)


def test_advice_names_the_settings_of_the_registry() -> None:
    service = ServiceConfig(url="https://registry.example")
    sync = RegistrySync({}, (), RegistryConfig(service=service, allow_unsigned=True))
    try:
        assert sync._connection._setting_of("url") == "registry.service.url"
    finally:
        sync.stop()


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    """The key of whoever tunes."""
    return create_key(tmp_path / "key.pem")


@pytest.fixture
def make_sync(client: RegistryClient, key: SigningKey, tmp_path: Path) -> MakeSync:
    """Makes the node's side: a folder of its own for each name."""

    def make(node: str = "node", *, signs: bool = True, trusts: bool = True, **config: Any) -> CameraSync:
        service = ServiceConfig(url="http://127.0.0.1:1")
        values = RegistryConfig(service=service, allow_unsigned=True, **config)
        trusted = (key.public,) if trusts else (create_key(tmp_path / f"other-{node}.pem").public,)
        folder = CameraFolder(tmp_path / node)
        return CameraSync(CAMERA, folder, client, values, trusted=trusted, key=key if signs else None)

    return make


def own(folder: Path, name: str, *, parent: str = "street-nano", age: int = 0) -> None:
    """Make a bundle in a camera's folder, as an export or a batch does."""
    made(folder / "bundles" / name, name=name, lineage={"edge_model": parent}, weights=name.encode())
    os.utime(folder / "bundles" / name / "bundle.json", (1000 - age, 1000 - age))


def deployed_name(folder: Path) -> str | None:
    found = deployed_bundle(folder)
    return found.name if found else None


def test_the_first_model_is_published_and_promoted(make_sync: MakeSync, parts: Parts, tmp_path: Path) -> None:
    own(tmp_path / "node", "start")
    deploy(tmp_path / "node", "start")
    sync = make_sync()
    sync.step()
    assert stages(parts) == {"start": "deployed"}
    (camera,) = parts.registry.cameras()
    assert camera.place == "north gate"
    assert all(bundle.is_signed for bundle in parts.registry.bundles("gate"))


def test_a_winner_follows_and_knows_its_parent(make_sync: MakeSync, parts: Parts, tmp_path: Path) -> None:
    own(tmp_path / "node", "start", age=1)
    deploy(tmp_path / "node", "start")
    sync = make_sync()
    sync.step()
    own(tmp_path / "node", "batch-00000001", parent="start")
    deploy(tmp_path / "node", "batch-00000001")
    sync.step()
    assert stages(parts) == {"start": "archived", "batch-00000001": "deployed"}
    child, parent = sorted(parts.registry.bundles("gate"), key=lambda bundle: bundle.name)
    assert child.parent == parent.id


def test_doing_it_again_changes_nothing(make_sync: MakeSync, parts: Parts, tmp_path: Path) -> None:
    own(tmp_path / "node", "start")
    deploy(tmp_path / "node", "start")
    for _ in range(3):
        make_sync().step()
    n_entries = len(parts.actions())
    make_sync().step()
    assert len(parts.actions()) == n_entries
    assert len(parts.registry.bundles("gate")) == 1


def test_a_rollback_at_the_registry_is_carried_out(make_sync: MakeSync, parts: Parts, tmp_path: Path) -> None:
    own(tmp_path / "node", "start", age=1)
    deploy(tmp_path / "node", "start")
    sync = make_sync()
    sync.step()
    own(tmp_path / "node", "batch-00000001")
    deploy(tmp_path / "node", "batch-00000001")
    sync.step()
    deployed = parts.registry.deployed("gate")
    assert deployed is not None
    parts.registry.roll_back("gate", leaving=deployed.id, client="operator")
    sync.step()
    assert deployed_name(tmp_path / "node") == "start"
    sync.step()
    assert stages(parts) == {"start": "deployed", "batch-00000001": "archived"}


def test_where_the_registry_decides_a_winner_waits(make_sync: MakeSync, parts: Parts, tmp_path: Path) -> None:
    own(tmp_path / "node", "start", age=1)
    own(tmp_path / "node", "batch-00000001")
    deploy(tmp_path / "node", "start")
    sync = make_sync(decides="registry")
    sync.step()
    assert stages(parts) == {"start": "candidate", "batch-00000001": "candidate"}
    candidate = next(bundle for bundle in parts.registry.bundles("gate") if bundle.name == "batch-00000001")
    parts.registry.promote("gate", candidate.id, client="operator")
    sync.step()
    assert deployed_name(tmp_path / "node") == "batch-00000001"


def test_another_node_fetches_what_is_deployed(make_sync: MakeSync, parts: Parts, tmp_path: Path) -> None:
    own(tmp_path / "node", "start")
    deploy(tmp_path / "node", "start")
    make_sync().step()
    new = make_sync("new")
    new.step()
    deployed = deployed_bundle(tmp_path / "new")
    assert deployed is not None
    assert (deployed / "weights.safetensors").read_bytes() == b"start"
    new.step()
    assert len(parts.registry.bundles("gate")) == 1, "what was fetched is not published again"
    assert not list((tmp_path / "new" / "incoming").iterdir())


@pytest.mark.parametrize(("signs", "trusts"), [(False, True), (True, False)], ids=["unsigned", "another signer"])
def test_what_nobody_vouches_for_is_refused_and_the_old_model_stays(
    make_sync: MakeSync, parts: Parts, tmp_path: Path, signs: bool, trusts: bool
) -> None:
    own(tmp_path / "node", "start")
    deploy(tmp_path / "node", "start")
    make_sync(signs=signs).step()
    own(tmp_path / "new", "mine")
    deploy(tmp_path / "new", "mine")
    new = make_sync("new", trusts=trusts, decides="registry")
    for _ in range(2):
        new.step()
        assert deployed_name(tmp_path / "new") == "mine"
        assert new.problem is not None
        assert "is refused: the bundle" in new.problem
    assert not (tmp_path / "new" / "incoming").exists(), "nothing is downloaded before the signature was checked"


def test_a_refused_bundle_does_not_stand_in_the_way_of_the_next(
    make_sync: MakeSync, parts: Parts, tmp_path: Path
) -> None:
    own(tmp_path / "node", "unsigned", age=1)
    deploy(tmp_path / "node", "unsigned")
    make_sync(signs=False).step()
    new = make_sync("new")
    new.step()
    assert new.problem is not None
    own(tmp_path / "node", "signed")
    deploy(tmp_path / "node", "signed")
    make_sync().step()
    new.step()
    assert new.problem is None
    deployed = deployed_bundle(tmp_path / "new")
    assert deployed is not None
    assert (deployed / "weights.safetensors").read_bytes() == b"signed"


def test_a_damaged_bundle_is_not_published(make_sync: MakeSync, parts: Parts, tmp_path: Path) -> None:
    own(tmp_path / "node", "start", age=1)
    own(tmp_path / "node", "damaged")
    (tmp_path / "node/bundles/damaged/model.onnx").write_bytes(b"other")
    deploy(tmp_path / "node", "start")
    make_sync().step()
    assert stages(parts) == {"start": "deployed"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": 3}', "\0"])
def test_a_damaged_note_is_found_out_again(make_sync: MakeSync, parts: Parts, tmp_path: Path, text: str) -> None:
    own(tmp_path / "node", "start")
    deploy(tmp_path / "node", "start")
    make_sync().step()
    for note in (tmp_path / "node").rglob("registry.json"):
        note.write_text(text, encoding="utf-8")
    make_sync().step()
    assert stages(parts) == {"start": "deployed"}
    assert len(parts.registry.bundles("gate")) == 1
    assert deployed_name(tmp_path / "node") == "start"
