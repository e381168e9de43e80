"""What a service signs by itself: promoted candidates of a start that it trusts, with the right one of its keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config.server import JobsConfig
from edge_autotuner.deployment.acceptance import signature_from_text, signature_to_text
from edge_autotuner.deployment.signing import PublicKey, SigningKey, create_key
from edge_autotuner.models.weights_store import locate
from edge_autotuner.server.jobs.signing_policy import JobKeys, SigningPolicy
from edge_autotuner.wire.job_messages import StartBundle, StartWeights, TuneRequest
from edge_autotuner.wire.registry_messages import BundleRequest, CameraRequest
from support.service.registry_samples import Parts, description, open_parts

CATALOGUE = "street-nano"


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """Registry and contents."""
    found = open_parts(tmp_path / "service")
    found.registry.put_camera("gate", CameraRequest(), client="admin")
    for content in (b"model", b"weights"):
        found.blobs.store(content)
    yield found
    found.close()


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    """The service's key."""
    return create_key(tmp_path / "service.pem")


def request(start: StartBundle | StartWeights, **changes: Any) -> TuneRequest:
    return TuneRequest(key="k", camera="gate", settings={}, start=start, dataset="0" * 64, **changes)


def own_weights() -> StartWeights:
    return StartWeights(name=CATALOGUE, sha256=hashlib.sha256(locate(CATALOGUE).read_bytes()).hexdigest())


def publish(parts: Parts, text: str, key: SigningKey | None) -> StartBundle:
    signature = signature_to_text(key.sign(text.encode())) if key is not None else None
    parts.registry.add("gate", BundleRequest(description=text, signature=signature), client="node")
    return StartBundle(description=text)


def signed(
    parts: Parts, policy: SigningPolicy, tune: TuneRequest, *, promoted: bool = True, client: str = "node"
) -> set[str]:
    """Return what of a job is signed; every signature is one of the key that is expected."""
    contents = {"candidate": b"candidate", "start": b"start"}
    found, reason = policy.signatures(
        tune, client=client, promoted=promoted, descriptions=contents, registry=parts.registry
    )
    assert (reason is None) == ("candidate" in found or policy.keys.of(client, tune.camera) is None)
    wanted = policy.keys.of(client, tune.camera)
    for name, text in found.items():
        assert wanted is not None
        assert wanted.public.verifies(contents[name], signature_from_text(text))
    return set(found)


def test_a_model_of_the_catalogue_is_a_trusted_start(parts: Parts, key: SigningKey) -> None:
    policy = SigningPolicy(JobKeys(others=key))
    assert signed(parts, policy, request(own_weights())) == {"candidate", "start"}
    assert signed(parts, policy, request(own_weights()), promoted=False) == {"start"}


@pytest.mark.parametrize(
    "start",
    [
        StartWeights(name=CATALOGUE, sha256="1" * 64),
        StartWeights(name="no-such-model", sha256="1" * 64),
        StartWeights(name="passwd", sha256="1" * 64),
        StartBundle(description=description()),
        StartBundle(description="{}"),
    ],
    ids=["another content under a known name", "unknown", "a file", "a bundle", "no bundle"],
)
@pytest.mark.parametrize("promoted", [True, False])
def test_nothing_is_signed_that_comes_of_anything_else(
    parts: Parts, key: SigningKey, start: StartBundle | StartWeights, promoted: bool
) -> None:
    assert signed(parts, SigningPolicy(JobKeys(others=key)), request(start), promoted=promoted) == set()


def test_a_bundle_is_trusted_by_its_signature_in_the_registry(parts: Parts, key: SigningKey, tmp_path: Path) -> None:
    node, stranger = create_key(tmp_path / "node.pem"), create_key(tmp_path / "stranger.pem")
    policy = SigningPolicy(JobKeys(others=key), trusted=(node.public,))
    assert signed(parts, policy, request(publish(parts, description("a"), key))) == {"candidate"}
    assert signed(parts, policy, request(publish(parts, description("b"), node))) == {"candidate"}
    assert signed(parts, policy, request(publish(parts, description("c"), stranger))) == set()
    assert signed(parts, policy, request(publish(parts, description("d"), None))) == set()
    assert signed(parts, policy, request(publish(parts, description("a"), None))) == {"candidate"}, "as it is there"
    assert signed(parts, policy, request(StartBundle(description="{}")), promoted=False) == set()


def test_a_signature_of_another_description_does_not_count(parts: Parts, key: SigningKey) -> None:
    text = description("a")
    wrong = signature_to_text(key.sign(description("b").encode()))
    parts.registry.add("gate", BundleRequest(description=text, signature=wrong), client="node")
    assert signed(parts, SigningPolicy(JobKeys(others=key)), request(StartBundle(description=text))) == set()


def test_a_client_and_a_camera_may_have_keys_of_their_own(parts: Parts, key: SigningKey, tmp_path: Path) -> None:
    camera, client = create_key(tmp_path / "camera.pem"), create_key(tmp_path / "client.pem")
    keys = JobKeys({"node": client}, {"gate": camera}, key)
    policy = SigningPolicy(keys)
    for name in ("node", "other"):
        assert signed(parts, policy, request(own_weights()), client=name) == {"candidate", "start"}
    assert keys.of("node", "gate") is client
    assert keys.of("other", "gate") is camera
    assert keys.of("other", "door") is key
    assert JobKeys({"node": client}).of("other", "gate") is None
    assert {each.raw for each in keys.public} == {each.public.raw for each in (camera, client, key)}


def test_without_a_key_nothing_is_signed_and_nothing_is_said(parts: Parts) -> None:
    assert signed(parts, SigningPolicy(), request(own_weights())) == set()


def test_keys_are_read_from_the_settings(tmp_path: Path) -> None:
    made: dict[str, PublicKey] = {name: create_key(tmp_path / name).public for name in ("one", "two", "three")}
    config = JobsConfig(
        signing_key=tmp_path / "one", camera_keys={"gate": tmp_path / "two"}, client_keys={"node": tmp_path / "three"}
    )
    keys = JobKeys.from_config(config)
    found = [keys.of(client, camera) for client, camera in (("x", "x"), ("x", "gate"), ("node", "gate"))]
    assert [each.public if each else None for each in found] == [made["one"], made["two"], made["three"]]
