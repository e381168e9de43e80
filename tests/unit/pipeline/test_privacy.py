"""One way out for pictures, and models that find what is to be hidden."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.annotation import ProtectedTeacher, RegionTeacher
from edge_autotuner.config import RunConfig
from edge_autotuner.errors import ConfigError, ModelBundleError
from edge_autotuner.pipeline.privacy import (
    export_hiding_model,
    guard_teacher,
    guarding_fingerprint,
    hiding_bundle,
    needs_hiding_model,
    open_filter,
    open_ready_filter,
    stored_settings,
)
from helpers import REPOSITORY
from support.cameras.plain_scene import LABELS, GreyDetector
from support.cameras.private_scene import write_figure_finder
from support.runs.run_samples import Samples

SOURCE = REPOSITORY / "src" / "edge_autotuner"
AT_SERVICE = {"teacher": "remote:big", "service": {"url": "http://127.0.0.1:1"}}

ONLY_IN = {
    "RemoteDetector": {"pipeline/remote_teacher.py"},  # its teacher is opened by the annotation stage, which guards it
    "encode_for_travel": {"client/annotation.py"},
    "remote_teachers": {"pipeline/annotation_stage.py"},
    "guard_teacher": {"pipeline/annotation_stage.py"},
    "outgoing_dataset": {
        "pipeline/remote_training/run_files.py"
    },  # all that `describe_run` names as files comes from there
}


def calls(name: str) -> set[str]:
    """Return the files of the package that call a function of this name."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if name in text else ():
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None)) == name:
                found.add(path.relative_to(SOURCE).as_posix())
    return found


@pytest.mark.parametrize("name", ONLY_IN)
def test_pictures_have_one_way_out(name: str) -> None:
    assert calls(name) == ONLY_IN[name]


def settings(**values: Any) -> RunConfig:
    return RunConfig.model_validate(values)


def teacher(config: RunConfig) -> RegionTeacher:
    return RegionTeacher(GreyDetector(), config.annotation, labels=LABELS, name="grey")


@pytest.mark.parametrize(
    ("annotation", "privacy", "is_guarded"),
    [
        ({}, {"outside": "blur"}, False),
        (AT_SERVICE, {}, False),
        (AT_SERVICE, {"outside": "blur"}, True),
        (AT_SERVICE | {"teacher": "zoom,remote:big"}, {"outside": "blur"}, True),
        (AT_SERVICE | {"look": "crops"}, {"send": "crops"}, True),
    ],
)
def test_a_teacher_at_a_service_is_guarded(
    annotation: dict[str, Any], privacy: dict[str, Any], is_guarded: bool, tmp_path: Path
) -> None:
    config = settings(annotation=annotation, privacy=privacy)
    assert isinstance(guard_teacher(config, tmp_path, teacher(config)), ProtectedTeacher) == is_guarded
    assert bool(guarding_fingerprint(config)) == is_guarded


def test_labels_depend_on_what_was_hidden_but_not_on_when() -> None:
    def fingerprint(**privacy: Any) -> tuple[str, ...]:
        return guarding_fingerprint(settings(annotation=AT_SERVICE | {"classes": ["car"]}, privacy=privacy))

    assert fingerprint(outside="blur") != fingerprint(outside="background")
    assert fingerprint(outside="blur") == fingerprint(outside="blur", apply="at_rest")
    assert fingerprint(hide_classes=["bus"], hide_with="a") != fingerprint(hide_classes=["bus"], hide_with="b")


def test_pictures_are_stored_as_they_come_unless_the_settings_say_so() -> None:
    assert stored_settings(settings(privacy={"outside": "blur"})) == {}
    assert stored_settings(settings(privacy={"send": "crops", "apply": "at_rest"})) == {}
    stored = stored_settings(settings(privacy={"outside": "blur", "apply": "at_rest"}, annotation={"crop_margin": 0.5}))
    assert stored["privacy"]["crop_margin"] == 0.5  # type: ignore[index]


def test_the_edge_model_is_exported_to_find_what_is_hidden(samples: Samples, tmp_path: Path) -> None:
    config = settings(
        edge_model=str(samples.edge_model),
        input_size=96,
        annotation={"classes": ["car"]},
        privacy={"hide_classes": ["person", "bicycle"]},
    )
    assert needs_hiding_model(config, tmp_path)
    with pytest.raises(ModelBundleError):
        open_ready_filter(config, tmp_path, n_threads=1)
    export_hiding_model(config, tmp_path)
    assert not needs_hiding_model(config, tmp_path)
    written = {path: path.stat().st_mtime_ns for path in hiding_bundle(config, tmp_path).iterdir()}
    open_filter(config, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in hiding_bundle(config, tmp_path).iterdir()} == written
    other = config.model_copy(update={"privacy": config.privacy.model_copy(update={"hide_classes": ("person",)})})
    assert hiding_bundle(other, tmp_path) != hiding_bundle(config, tmp_path)


def test_a_bundle_is_used_as_it_is(tmp_path: Path) -> None:
    bundle = write_figure_finder(tmp_path / "finder")
    privacy = {"hide_classes": ["person"], "hide_with": str(bundle)}
    config = settings(annotation={"classes": ["car"]}, privacy=privacy)
    assert not needs_hiding_model(config, tmp_path)
    open_ready_filter(config, tmp_path, n_threads=1)
    dogs = settings(annotation={"classes": ["car"]}, privacy=privacy | {"hide_classes": ["dog"]})
    with pytest.raises(ConfigError, match="dog"):
        open_ready_filter(dogs, tmp_path, n_threads=1)


def test_without_torch_only_a_bundle_can_find_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    config = settings(annotation={"classes": ["car"]}, privacy={"hide_classes": ["person"]})
    with pytest.raises(ConfigError, match="the folder of a bundle"):
        export_hiding_model(config, tmp_path)
