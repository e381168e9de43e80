"""Stages on folders that are only partly done, and the zoom teacher."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from edge_autotuner.config import RunConfig, load_config
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import DatasetError
from edge_autotuner.pipeline import stages
from edge_autotuner.pipeline.loop import STAGES
from support.runs.run_samples import FinishedRun, Samples, state_of


def with_only(folder: Path, *kept: str) -> Path:
    """Forget that the other stages were done."""
    state = state_of(folder)
    (folder / "state.json").write_text(json.dumps({stage: state[stage] for stage in kept}))
    return folder


@pytest.mark.parametrize("n_stages", range(1, 6))
def test_a_report_shows_what_there_is(n_stages: int, finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = with_only(finished_run.copy(tmp_path / "run"), *STAGES[:n_stages])
    page = stages.report(folder, command="edge-autotuner run again").read_text(encoding="utf-8")
    assert "cam.mp4" in page
    assert "edge-autotuner run again" in page
    for heading, since in (
        ("What the camera saw</h2>", 1),
        ("How much of the frame moves</h3>", 1),
        ("What is worth sending</h3>", 1),
        ("squeezed to the teacher's input</h3>", 2),
        ("Promotion</h2>", 4),
        ("Reproduce it</h2>", 1),
    ):
        assert (heading in page) == (n_stages >= since), heading


def test_a_report_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is not the folder of a run"):
        stages.report(tmp_path)
    with pytest.raises(DatasetError, match="has no finished capture, which report needs"):
        stages.report(tmp_path, RunConfig())


def test_a_report_without_one_of_the_libraries(
    finished_run: FinishedRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = with_only(finished_run.copy(tmp_path / "run"), "capture")

    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert "edge-autotuner" in stages.report(folder).read_text(encoding="utf-8")


def test_the_zoom_teacher_needs_no_other_model(samples: Samples, tmp_path: Path) -> None:
    """The edge model itself looks; here it calls everything that it sees a label."""
    settings = load_config(samples.config).model_dump(mode="json")
    settings["annotation"] |= {"teacher": "zoom", "adapter": None, "min_score": 0.2, "look": "tiles", "tile_grid": 2}
    config = RunConfig.model_validate(settings)
    dataset = stages.capture_frames(samples.video, tmp_path / "run", config)
    assert stages.annotate(tmp_path / "run") == dataset
    with DatasetStore.open(dataset) as store:
        found = [store.annotation_of(record) for record in store.frames()]
    assert all(annotation is not None and annotation.n_calls == 5 for annotation in found), "the frame and four tiles"
    summary = state_of(tmp_path / "run")["annotation"]["summary"]
    assert (summary["teacher"], summary["input_size_wh"]) == ("zoom", [96, 96])
    assert len(list((tmp_path / "run" / "teacher").glob("zoom-*.onnx"))) == 1


def test_a_lost_training_is_done_again(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    weights = folder / "training" / state_of(folder)["training"]["fingerprint"] / "candidate.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    assert stages.tune(folder) == weights
    assert weights.read_bytes() == content
