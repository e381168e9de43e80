"""The command line with a package that adds one implementation of each seam."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.machine.installed_plugin import installed_example
from support.runs.cli_runs import run_cli
from support.runs.run_samples import N_FRAMES, Samples, settings, state_of
from unit.deployment.test_bundle import made


@pytest.fixture
def example(tmp_path: Path) -> Iterator[None]:
    with installed_example(tmp_path / "site"):
        yield


def config_file(samples: Samples, folder: Path, *, background: str = "first") -> Path:
    values = settings(samples)
    values["capture"]["background"]["method"] = background
    values["annotation"] = {"look": "full", "tile_grid": 1}
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


@pytest.mark.usefixtures("example")
def test_a_background_and_a_teacher_of_another_package(samples: Samples, tmp_path: Path) -> None:
    config = ("--config", config_file(samples, tmp_path, background="acme"))
    captured = run_cli("capture", samples.video, "--output", tmp_path / "run", *config)
    assert captured.code == 0, captured.err
    annotated = run_cli("annotate", tmp_path / "run", *config, "--teacher", "acme:120")
    assert annotated.code == 0, annotated.err
    state = state_of(tmp_path / "run")
    assert state["capture"]["summary"]["n_train"] > 0
    summary = state["annotation"]["summary"]
    assert summary["teacher"] == "acme:120"
    assert summary["boxes_per_class"]["car"] > 0
    assert summary["n_calls"] == sum(summary["n_frames"].values()) > 0


@pytest.mark.usefixtures("example")
def test_a_camera_of_another_package(tmp_path: Path) -> None:
    seen = run_cli("watch", "acme://192x128", "--background", "acme")
    assert seen.code == 0, seen.err
    assert "watching acme://192x128" in seen.err + seen.out


@pytest.mark.usefixtures("example")
def test_a_node_with_an_output_a_runtime_and_a_trigger_of_another_package(samples: Samples, tmp_path: Path) -> None:
    made(tmp_path / "bundle", name="street-v3", lineage={"edge_model": "street-nano"})
    values = {
        "folder": str(tmp_path / "node"),
        "cameras": [{"name": "gate", "source": str(samples.video)}],
        "learns": False,
        "run": {"edge_model": str(tmp_path / "bundle")},
        "detect": {"max_rate_hz": 100, "runtime": "acme"},
        "batch": {"trigger": "acme"},
        "outputs": {"plugins": {"acme": {"path": str(tmp_path / "seen.txt")}}},
    }
    node = tmp_path / "node.yaml"
    node.write_text(yaml.safe_dump(values), encoding="utf-8")
    outcome = run_cli("edge", node)
    assert outcome.code == 0, outcome.err
    reports = [json.loads(line) for line in (tmp_path / "seen.txt").read_text().splitlines()]
    assert [report["frame_index"] for report in reports] == list(range(N_FRAMES))
    for change, message in (
        ({"outputs": {"plugins": {"acme": {}}}}, "outputs.plugins.acme: give a path, and nothing else"),
        ({"outputs": {"plugins": {"bcme": {}}}}, "no output 'bcme'; choose from json_lines, mqtt, webhook, acme"),
        ({"outputs": {"plugins": {"mqtt": {}}}}, "mqtt is no plug-in; write outputs.mqtt"),
        ({"detect": {"runtime": "tensorrt"}}, "no runtime 'tensorrt'; choose from onnxruntime, acme"),
        ({"batch": {"trigger": "drift"}}, "no learning trigger 'drift'; choose from closed, acme"),
    ):
        node.write_text(yaml.safe_dump(values | change), encoding="utf-8")
        for option in ((), ("--check",)):
            refused = run_cli("edge", node, *option)
            assert refused.code == 2, refused.err
            assert message in " ".join((refused.err + refused.out).split())


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("--background", "acme-broken", "background method acme-broken of the package acme-edge 1.2 cannot be loaded"),
        ("--background", "mean", "there is no background method 'mean'; choose from median, percentile"),
        ("--teacher", "acmeee", "unknown model 'acmeee'; known models: "),
        ("--teacher", "acmeee", "other teachers: zoom, remote, acme"),
        ("--teacher", "acme:much", "teacher acme:much: a level is a number in 0..255"),
    ],
)
@pytest.mark.usefixtures("example")
def test_mistakes(samples: Samples, tmp_path: Path, option: str, name: str, message: str) -> None:
    config = config_file(samples, tmp_path)
    outcome = run_cli("run", samples.video, "--output", tmp_path / "run", "--config", config, option, name)
    assert outcome.code == 2, outcome.err
    assert message in " ".join(outcome.err.split())
