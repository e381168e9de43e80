"""Incremental tuning: a second video is learnt from beside a reservoir of the first, whatever happens in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config import RunConfig, load_config
from edge_autotuner.core.progress import NoProgress
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.dataset.replay import ReplayReservoir
from edge_autotuner.pipeline.replay_offers import add_dataset
from edge_autotuner.pipeline.stages import annotate, capture_frames, tune
from edge_autotuner.simulation import SimulatedCamera
from support.runs.run_samples import SEED, SIZE_WH, Samples, state_of


class KilledError(Exception):
    """Stands for a kill."""


class KilledAt(NoProgress):
    """Dies in a training step."""

    def __init__(self, step: int) -> None:
        self._left = step

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        self._left -= bool(note)
        if self._left == 0:
            raise KilledError


def settings(samples: Samples, memory: Path, **changes: Any) -> RunConfig:
    values = load_config(samples.config).model_dump(mode="json") | changes
    values["training"] |= {"replay": {"folder": str(memory), "share": 0.5}, "n_epochs": 2}
    return RunConfig.model_validate(values)


def labelled_run(video: Path, folder: Path, config: RunConfig) -> Path:
    capture_frames(video, folder, config)
    annotate(folder, config)
    return folder


def training_of(folder: Path) -> dict[str, Any]:
    return dict(state_of(folder)["training"])


def forget_training(folder: Path) -> None:
    """Leave the folder as a kill between the offer and the stage's record does."""
    state = state_of(folder)
    del state["training"]
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")


def test_a_second_video_adds_to_what_the_first_taught(samples: Samples, tmp_path: Path) -> None:
    memory, config = tmp_path / "memory", settings(samples, tmp_path / "memory")
    first = labelled_run(samples.video, tmp_path / "first", config)
    weights = tune(first, config)
    summary = training_of(first)["summary"]
    reservoir = ReplayReservoir(memory)
    assert summary["n_replayed_frames"] == 0
    assert len(reservoir.pictures()) == summary["n_training_frames"] > 0
    assert {picture.origin for picture in reservoir.pictures()} == {"replay"}
    with DatasetStore.open(first / "dataset") as store:
        test_hashes = {record.sha256 for record in store.frames("test")}
    assert not test_hashes & {picture.sha256 for picture in reservoir.pictures()}

    digest, fingerprint = reservoir.digest(), training_of(first)["fingerprint"]
    tune(first, config)
    forget_training(first)
    assert tune(first, config) == weights
    assert (reservoir.digest(), training_of(first)["fingerprint"]) == (digest, fingerprint)

    later = SimulatedCamera(SIZE_WH, n_frames=70, rate_hz=10.0, seed=SEED)
    later.write_video(tmp_path / "later.mp4")
    incremental = settings(samples, memory, edge_model=str(weights))
    second = labelled_run(tmp_path / "later.mp4", tmp_path / "second", incremental)
    with pytest.raises(KilledError):
        tune(second, incremental, progress=KilledAt(3))
    n_before = len(reservoir.pictures())
    add_dataset(memory, first, origin="generic", max_pictures=n_before + 40)  # the same frames: nothing is taken
    reservoir.offer([], max_pictures=n_before - 1)  # somebody else makes it smaller in the meantime
    tune(second, incremental)
    summary = training_of(second)["summary"]
    assert summary["n_replayed_frames"] == n_before
    assert len(reservoir.pictures()) == n_before - 1
    sources = {picture.frame_id.partition(":")[0] for picture in reservoir.pictures()}
    assert len(sources) == 2


def test_another_empty_reservoir_is_filled_as_the_first_was(samples: Samples, tmp_path: Path) -> None:
    """It is the same training, which makes no step again; and the pictures are not lost to whoever moves on."""
    plain = settings(samples, tmp_path / "one")
    folder = labelled_run(samples.video, tmp_path / "run", plain)
    tune(folder, plain)
    before = training_of(folder)
    tune(folder, settings(samples, tmp_path / "other"), progress=KilledAt(1))
    after = training_of(folder)
    assert (after["fingerprint"], after["summary"]["n_steps"]) == (before["fingerprint"], before["summary"]["n_steps"])
    kept, others = (ReplayReservoir(tmp_path / name).pictures() for name in ("one", "other"))
    assert kept
    assert [picture.sha256 for picture in others] == [picture.sha256 for picture in kept]
