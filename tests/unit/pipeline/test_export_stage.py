"""Which bundles an export writes and deploys, by what the evaluation has recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_autotuner.config import RunConfig, load_config
from edge_autotuner.deployment import deploy, deployed_bundle, read_bundle
from edge_autotuner.errors import ModelBundleError
from edge_autotuner.pipeline import stages
from edge_autotuner.pipeline.loop import STAGES
from support.runs.run_samples import FinishedRun, state_of


def without_export(folder: Path, *, incumbent: str | None = None) -> Path:
    """Forget the export, and say what the candidate was compared with."""
    state = state_of(folder)
    del state["export"]
    state["evaluation"]["summary"]["incumbent"] = {"bundle": incumbent}
    (folder / "state.json").write_text(json.dumps(state))
    return folder


def test_bundles_say_what_the_last_evaluation_decided(finished_run: FinishedRun, tmp_path: Path) -> None:
    """The same model judged by another rule is another bundle; the same judgement is the same bundle."""
    folder = finished_run.copy(tmp_path / "run")
    before = {path.name for path in (folder / "bundles").iterdir()}
    settings = load_config(folder / "settings.yaml").model_dump(mode="json")
    settings["evaluation"]["confidence"] = 0.8
    config = RunConfig.model_validate(settings)
    evaluation = stages.evaluate(folder, config)
    stages.export(folder)
    candidate = state_of(folder)["export"]["summary"]["candidate"]
    assert candidate not in before
    assert read_bundle(folder / "bundles" / candidate).promotion == evaluation.promotion.to_json()
    assert read_bundle(folder / "bundles" / candidate).promotion["confidence"] == 0.8
    after = {path.name for path in (folder / "bundles").iterdir()}
    state = state_of(folder)
    (folder / "state.json").write_text(json.dumps({stage: state[stage] for stage in STAGES[:4]}))
    stages.export(folder)  # as if the export had been killed at its end
    assert {path.name for path in (folder / "bundles").iterdir()} == after


@pytest.mark.parametrize("promoted", [True, False])
def test_a_bundle_deployed_after_the_evaluation_stays(
    promoted: bool, finished_run: FinishedRun, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody rolled back meanwhile: the candidate was not compared with that bundle, so it does not replace it."""
    exported = state_of(finished_run.folder)["export"]["summary"]
    recorded = exported["candidate"]  # any bundle that is there
    folder = without_export(finished_run.copy(tmp_path / "run"), incumbent=recorded)
    evaluation = json.loads((folder / "evaluation.json").read_text())
    evaluation["promotion"]["promoted"] = promoted
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    deploy(folder, exported["start"])
    stages.export(folder)
    deployed = deployed_bundle(folder)
    summary = state_of(folder)["export"]["summary"]
    assert deployed is not None
    assert deployed.name == summary["deployed"] == exported["start"]
    assert summary["previous"] == recorded
    assert "evaluate again" in caplog.text


def test_the_recorded_incumbent_is_deployed_where_nothing_is(finished_run: FinishedRun, tmp_path: Path) -> None:
    recorded = state_of(finished_run.folder)["export"]["summary"]["candidate"]
    folder = without_export(finished_run.copy(tmp_path / "run"), incumbent=recorded)
    evaluation = json.loads((folder / "evaluation.json").read_text())
    evaluation["promotion"]["promoted"] = False
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    (folder / "bundle").unlink()
    stages.export(folder)
    deployed = deployed_bundle(folder)
    assert deployed is not None
    assert deployed.name == state_of(folder)["export"]["summary"]["previous"] == recorded


@pytest.mark.parametrize("name", ["gone", "../../elsewhere"])
def test_an_incumbent_that_is_gone(name: str, finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = without_export(finished_run.copy(tmp_path / "run"), incumbent=name)
    before = deployed_bundle(folder)
    with pytest.raises(ModelBundleError, match=r"remove the link .*bundle, then evaluate and export again"):
        stages.export(folder)
    assert deployed_bundle(folder) == before
