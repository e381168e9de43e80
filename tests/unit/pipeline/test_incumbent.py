"""Which bundle a candidate has to beat."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.core import STREET_6, LabelMap
from edge_autotuner.deployment import deploy, write_bundle
from edge_autotuner.errors import ModelBundleError
from edge_autotuner.models.catalogue import yolox_spec
from edge_autotuner.pipeline.incumbent import REPLACED, find_incumbent, recorded_incumbent
from edge_autotuner.pipeline.session import Session
from edge_autotuner.pipeline.stage_results import EvaluationResult, Incumbent
from support.runs.stage_samples import record_of
from support.service.registry_samples import smallest_model


def bundle(
    folder: Path, name: str, *, training: str, layers: str | None, replaced: str | None, labels: LabelMap = STREET_6
) -> None:
    write_bundle(
        folder / "bundles" / name,
        name=name,
        architecture="yolox-nano",
        detector=yolox_spec(name, (64, 64), labels),
        model=smallest_model(name),
        weights=b"weights",
        metrics={},
        promotion={},
        lineage={"training": training, "trained_layers": layers, REPLACED: replaced},
    )


def incumbent_name(folder: Path, training: str) -> str | None:
    found = find_incumbent(Session.open(folder, RunConfig()), training, STREET_6)
    return found.folder.name if found else None


def test_nothing_is_deployed(tmp_path: Path) -> None:
    assert incumbent_name(tmp_path, "a") is None


@pytest.mark.parametrize(
    ("deployed", "expected"),
    [
        pytest.param("start", None, id="the start model"),
        pytest.param("first", "first", id="of an earlier training"),
        pytest.param("second", "first", id="the candidate itself: what it replaced"),
        pytest.param("foreign", None, id="other classes"),
    ],
)
def test_the_deployed_bundle(deployed: str, expected: str | None, tmp_path: Path) -> None:
    bundle(tmp_path, "start", training="a", layers=None, replaced=None)
    bundle(tmp_path, "first", training="a", layers="all", replaced=None)
    bundle(tmp_path, "second", training="b", layers="all", replaced="first")
    bundle(tmp_path, "foreign", training="a", layers="all", replaced=None, labels=LabelMap(("cat",)))
    deploy(tmp_path, deployed)
    assert incumbent_name(tmp_path, "b") == expected


def test_a_first_candidate_has_replaced_the_start_model(tmp_path: Path) -> None:
    bundle(tmp_path, "first", training="a", layers="all", replaced=None)
    deploy(tmp_path, "first")
    assert incumbent_name(tmp_path, "a") is None


def test_the_name_in_the_lineage_cannot_lead_out(tmp_path: Path) -> None:
    bundle(tmp_path, "second", training="b", layers="all", replaced="../../elsewhere")
    deploy(tmp_path, "second")
    assert incumbent_name(tmp_path, "b") is None


def test_only_an_incumbent_has_to_be_intact(tmp_path: Path) -> None:
    bundle(tmp_path, "start", training="a", layers=None, replaced=None)
    bundle(tmp_path, "first", training="a", layers="all", replaced=None)
    for name in ("start", "first"):
        deploy(tmp_path, name)
        (tmp_path / "bundles" / name / "model.onnx").write_bytes(b"")
    with pytest.raises(
        ModelBundleError, match=r"copy or export the bundle again.*or remove the link .*bundle, then evaluate"
    ):
        incumbent_name(tmp_path, "b")
    (tmp_path / "bundle").unlink()
    assert incumbent_name(tmp_path, "b") is None
    (tmp_path / "bundle").symlink_to("bundles/start")
    assert incumbent_name(tmp_path, "b") is None


def recorded(folder: Path, incumbent: Incumbent | None) -> str | None:
    session = Session.open(folder, RunConfig())
    session.folder.finish("evaluation", record_of(EvaluationResult(True, 3, incumbent)))
    found = recorded_incumbent(session, "b", STREET_6)
    return found.folder.name if found else None


def test_what_the_evaluation_recorded_counts(tmp_path: Path) -> None:
    for name in ("first", "second"):
        bundle(tmp_path, name, training="a", layers="all", replaced=None)
    deploy(tmp_path, "second")
    assert recorded(tmp_path, Incumbent("first")) == "first"
    assert recorded(tmp_path, Incumbent(None)) is None
    assert recorded(tmp_path, None) == "second", "an earlier version recorded none"
