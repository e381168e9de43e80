"""The whole job with SSDLite as the edge model: an input that is no multiple of 32, trained, exported, deployed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_autotuner.core import STREET_6
from edge_autotuner.deployment import load_edge_detector, read_bundle
from edge_autotuner.models import Ssdlite, load_network, save_network
from edge_autotuner.models.torch_detector import TorchDetector
from support.runs.cli_runs import run_cli
from support.runs.run_samples import Samples, camera, candidate_of, state_of
from support.runs.trainable_cases import NARROW, add_narrow_networks, fresh_ssdlite

INPUT = (100, 75)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    add_narrow_networks(monkeypatch)


def save_edge_model(path: Path) -> None:
    """Write a narrow network that says "perhaps a car" at each small anchor."""
    network = fresh_ssdlite(len(STREET_6))
    with torch.no_grad():
        bias = network.class_heads[0].predict.bias
        bias.fill_(-5.0)
        bias[STREET_6.id_of("car")] = -1.0  # the first of three anchors
    save_network(path, network, STREET_6)


def test_a_run_ends_in_a_bundle_that_detects(samples: Samples, tmp_path: Path) -> None:
    edge, folder, found = tmp_path / "edge.safetensors", tmp_path / "run", tmp_path / "found.json"
    save_edge_model(edge)
    outcome = run_cli(
        "run", samples.video, "-o", folder, "-c", samples.config, "--edge-model", edge, "--input-size", "100x75",
        "--set", "annotation.zoom_input=90",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    trained = state_of(folder)["training"]["summary"]
    assert trained["history"][-1]["loss"] > 0
    assert {record["objectness_loss"] for record in trained["history"]} == {0}
    candidate, labels = load_network(candidate_of(folder))
    assert isinstance(candidate, Ssdlite)
    assert labels == STREET_6
    for name in ("start", "specialized"):
        (bundle_folder,) = (folder / "bundles").glob(f"{name}-*")
        bundle = read_bundle(bundle_folder)
        assert (bundle.architecture, bundle.detector.input_size_wh) == (NARROW, INPUT)
        assert (bundle.detector.resize, bundle.detector.colour) == ("stretch", "bgr")
        network, _ = load_network(bundle.weights_path)
        image = camera().frame(60).image_bgr
        in_torch = TorchDetector(network, labels, INPUT).detect(image)
        at_the_edge = load_edge_detector(bundle_folder, n_threads=1).detect(image)
        assert len(at_the_edge) == len(in_torch) > 0
        np.testing.assert_allclose(np.sort(at_the_edge.scores), np.sort(in_torch.scores), atol=1e-4)
    outcome = run_cli("detect", folder, samples.video, "-o", found)
    assert outcome.code == 0, outcome.err
    assert len(json.loads(found.read_text())) > 0


def test_the_edge_model_can_be_its_own_teacher(samples: Samples, tmp_path: Path) -> None:
    save_edge_model(tmp_path / "edge.safetensors")
    folder = tmp_path / "run"
    outcome = run_cli(
        "run", samples.video, "-o", folder, "-c", samples.config, "--edge-model", tmp_path / "edge.safetensors",
        "--input-size", "100x75", "--teacher", "zoom", "--set", "annotation.zoom_input=90", "--min-score", "0.2",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert state_of(folder)["annotation"]["summary"]["input_size_wh"] == [90, 90]


def test_frozen_layers_are_those_of_the_start(samples: Samples, tmp_path: Path) -> None:
    edge, folder = tmp_path / "edge.safetensors", tmp_path / "run"
    save_edge_model(edge)
    outcome = run_cli(
        "run", samples.video, "-o", folder, "-c", samples.config, "--edge-model", edge, "--input-size", "100",
        "--layers", "box",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert state_of(folder)["training"]["summary"]["layers"] == "box"
    start, candidate = load_network(edge)[0].state_dict(), load_network(candidate_of(folder))[0].state_dict()
    frozen = [name for name in start if not name.startswith(("box_heads.", "class_heads."))]
    assert len(frozen) > 100
    assert all(torch.equal(start[name], candidate[name]) for name in frozen)
