"""The whole job with detectors of the transformers library: one teaches, one learns and becomes a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.core import STREET_6, LabelMap
from edge_autotuner.deployment import load_edge_detector, read_bundle
from edge_autotuner.models import load_network
from edge_autotuner.models.torch_detector import TorchDetector
from edge_autotuner.pipeline.edge_model import open_edge_model
from support.runs.cli_runs import run_cli
from support.runs.run_samples import Samples, camera, candidate_of, state_of
from support.runs.tiny_transformers import ARE_INSTALLED, D_FINE, NOT_INSTALLED, RT_DETR, write_folder

pytestmark = pytest.mark.skipif(not ARE_INSTALLED, reason=NOT_INSTALLED)
INPUT = (96, 64)


@pytest.mark.slow
def test_a_folder_learns_and_its_bundle_can_be_tuned_again(samples: Samples, tmp_path: Path) -> None:
    edge, folder = tmp_path / "my-detr", tmp_path / "run"
    write_folder(edge, RT_DETR, LabelMap((*STREET_6, "tv")))
    outcome = run_cli(
        "run", samples.video, "-o", folder, "-c", samples.config, "--edge-model", edge, "--input-size", "96x64",
        "--set", f"annotation.classes=[{','.join(STREET_6)}]", "--set", "training.n_epochs=1",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    candidate, labels = load_network(candidate_of(folder))
    assert (candidate.architecture, labels) == (RT_DETR, STREET_6)
    assert state_of(folder)["training"]["summary"]["history"][-1]["loss"] > 0
    (start,) = (folder / "bundles").glob("start-*")
    bundle = read_bundle(start)
    assert (bundle.architecture, bundle.lineage["edge_model"]) == (RT_DETR, "my-detr")
    assert (bundle.detector.input_size_wh, bundle.detector.resize) == (INPUT, "stretch")
    again = open_edge_model(RunConfig.model_validate({"edge_model": str(start)}))
    assert (again.labels, again.network.architecture) == (STREET_6, RT_DETR)
    image = camera().frame(60).image_bgr
    in_torch = TorchDetector(again.network, labels, INPUT).detect(image)
    at_the_edge = load_edge_detector(start, n_threads=1).detect(image)
    assert len(at_the_edge) == len(in_torch) > 0
    np.testing.assert_allclose(np.sort(at_the_edge.scores), np.sort(in_torch.scores), atol=1e-4)


def test_a_folder_teaches(samples: Samples, tmp_path: Path) -> None:
    write_folder(tmp_path / "teacher", D_FINE, LabelMap(("tv", *STREET_6)))
    folder = tmp_path / "run"
    assert run_cli("capture", samples.video, "-o", folder, "-c", samples.config).code == 0
    outcome = run_cli(
        "annotate", folder, "-c", samples.config, "--teacher", tmp_path / "teacher", "--min-score", "0.15"
    )
    assert outcome.code == 0, outcome.err
    summary = state_of(folder)["annotation"]["summary"]
    assert (summary["teacher"], summary["input_size_wh"]) == ("teacher", [64, 64])
    assert set(summary["boxes_per_class"]) <= set(STREET_6)
    assert sum(summary["boxes_per_class"].values()) > 0


def test_what_is_wrong_is_said_before_the_capture(samples: Samples, tmp_path: Path) -> None:
    write_folder(tmp_path / "teacher", RT_DETR, STREET_6)
    (tmp_path / "teacher" / "model.safetensors").rename(tmp_path / "teacher" / "pytorch_model.bin")
    outcome = run_cli(
        "run", samples.video, "-o", tmp_path / "run", "-c", samples.config, "--teacher", tmp_path / "teacher"
    )
    assert outcome.code == 7
    assert "pickled weights can run code" in outcome.err
    assert not (tmp_path / "run" / "dataset").exists()
