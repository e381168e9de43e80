"""A bundle that the settings name becomes a camera's first model, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.deployment import deploy, deployed_bundle, read_bundle
from edge_autotuner.deployment.acceptance import read_signature, sign_bundle
from edge_autotuner.deployment.signing import create_key, read_signing_key
from edge_autotuner.errors import ConfigError, ModelBundleError
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.node.named_bundle import NamedBundles, check_first_models
from unit.deployment.test_bundle import made


def node(folder: Path, edge_model: str, **changes: Any) -> NodeConfig:
    values = {
        "folder": folder / "node",
        "cameras": [{"name": "gate", "source": "street.mp4"}],
        "run": {"edge_model": edge_model},
        "learns": False,
    }
    return NodeConfig.model_validate(values | changes)


def install(config: NodeConfig) -> CameraFolder:
    folder = CameraFolder(config.folder / "gate")
    NamedBundles(config).install(folder, config.run)
    return folder


@pytest.mark.parametrize("learns", [False, True])
def test_it_runs_as_it_is(learns: bool, tmp_path: Path) -> None:
    named = made(tmp_path / "some folder")
    folder = install(node(tmp_path, str(named.folder), learns=learns))
    deployed = deployed_bundle(folder.path)
    assert deployed is not None
    assert deployed.name == read_bundle(deployed).name == "street"
    assert read_bundle(deployed).lineage == {"parent": "street-nano"}
    for path in named.folder.iterdir():
        assert (deployed / path.name).read_bytes() == path.read_bytes()


def test_the_deployed_bundle_of_a_run_is_meant_as_well(tmp_path: Path) -> None:
    made(tmp_path / "run" / "bundles" / "winner", name="winner")
    deploy(tmp_path / "run", "winner")
    deployed = deployed_bundle(install(node(tmp_path, str(tmp_path / "run"))).path)
    assert deployed is not None
    assert deployed.name == "winner"


def test_a_camera_that_has_a_model_keeps_it(tmp_path: Path) -> None:
    config = node(tmp_path, str(made(tmp_path / "named").folder))
    made(config.folder / "gate" / "bundles" / "learned", name="learned")
    deploy(config.folder / "gate", "learned")
    deployed = deployed_bundle(install(config).path)
    assert deployed is not None
    assert deployed.name == "learned"


def test_a_damaged_bundle_is_refused(tmp_path: Path) -> None:
    named = made(tmp_path / "named")
    named.model_path.write_bytes(b"other")
    with pytest.raises(ModelBundleError):
        install(node(tmp_path, str(named.folder)))
    assert not (tmp_path / "node" / "gate" / "bundle").exists()


def test_a_signature_has_to_be_of_a_trusted_key(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    named = made(tmp_path / "named")
    for name in ("own", "foreign"):
        create_key(tmp_path / f"{name}.pem")
    own, foreign = (read_signing_key(tmp_path / f"{name}.pem") for name in ("own", "foreign"))
    registry = {"service": {"url": "https://registry.example"}, "trusted_keys": [own.public.text]}
    config = node(tmp_path, str(named.folder), registry=registry)
    sign_bundle(named.folder, foreign)
    with pytest.raises(ModelBundleError, match="not signed by a trusted key"):
        install(config)
    signature = sign_bundle(named.folder, own)
    deployed = deployed_bundle(install(config).path)
    assert deployed is not None
    assert read_signature(deployed) == signature


def test_other_classes_are_left_to_the_learner(tmp_path: Path) -> None:
    named = made(tmp_path / "named")
    labels = named.detector.labels.names
    for classes, is_given in ((labels, True), (labels[:1], False), (None, True)):
        run = RunConfig.model_validate({"edge_model": str(named.folder), "annotation": {"classes": classes}})
        config = node(tmp_path, str(named.folder), learns=True)
        assert NamedBundles(config).gives_first_model(run) is is_given
    assert not NamedBundles(node(tmp_path, "street-nano")).gives_first_model(RunConfig(edge_model="street-nano"))


def test_a_node_that_only_detects_needs_a_model_for_every_camera(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="camera gate: with learns: false and without a registry"):
        check_first_models(node(tmp_path, "street-nano"))
    check_first_models(node(tmp_path, "street-nano", learns=True))
    check_first_models(node(tmp_path, str(made(tmp_path / "named").folder)))
    made(tmp_path / "node" / "gate" / "bundles" / "learned", name="learned")
    deploy(tmp_path / "node" / "gate", "learned")
    check_first_models(node(tmp_path, "street-nano"))
    shutil.rmtree(tmp_path / "node" / "gate" / "bundles")
    with pytest.raises(ConfigError, match="camera gate: with learns: false and without a registry"):
        check_first_models(node(tmp_path, "street-nano"))
