"""When frames are collected again, and when a camera need not be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_autotuner.capture import redact
from edge_autotuner.config import RunConfig, load_config
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import ConfigError
from edge_autotuner.pipeline import stages
from edge_autotuner.pipeline.capture_stage import check_places
from edge_autotuner.pipeline.loop import CAPTURE
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.session import Session
from support.runs.run_samples import FinishedRun, Samples, state_of
from support.runs.stage_samples import capture_result, record_of

CAMERA = "rtsp://admin:secret@127.0.0.1:1/stream"


def test_a_lost_dataset_is_captured_again(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    (folder / "dataset").rename(tmp_path / "elsewhere")
    dataset = stages.capture_frames(samples.video, folder, load_config(samples.config))
    with DatasetStore.open(dataset) as store, DatasetStore.open(tmp_path / "elsewhere") as before:
        assert store.frames() == before.frames()
    assert list(state_of(folder)) == ["capture"], "the labels are gone"


def watched(folder: Path, config: RunConfig) -> Session:
    """Return a session on a folder in which a camera was watched to the end."""
    run = RunFolder(folder)
    run.save_settings(config)
    run.dataset.mkdir()
    run.finish("capture", record_of(capture_result(redact(CAMERA)), "watched"))
    return Session.open(folder, config, source=CAMERA)


def test_a_camera_that_was_watched_is_not_asked_again(tmp_path: Path) -> None:
    with CAPTURE.prepare(watched(tmp_path, RunConfig())) as prepared:
        assert (prepared.work, prepared.fingerprint) == (None, "watched")


def test_a_run_writes_nothing_over_what_it_reads(samples: Samples, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    with pytest.raises(ConfigError, match="--output"):
        check_places(pictures, pictures / "run", RunConfig())
    check_places(samples.video, tmp_path / "run", RunConfig())
