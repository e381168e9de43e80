"""What a job's process does before it trains: pictures are checked, and the model gets a place that was made here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.errors import DatasetError, ModelBundleError
from edge_autotuner.server.jobs.events import JobSteps, is_new
from edge_autotuner.server.jobs.tuning import picture_check, place_start
from edge_autotuner.wire.job_messages import StartBundle, StartWeights
from support.service.registry_samples import description, smallest_model
from support.service.service_samples import png


def reader(*contents: bytes) -> Callable[[str], bytes]:
    known = {hashlib.sha256(content).hexdigest(): content for content in contents}

    def read(sha256: str) -> bytes:
        if sha256 not in known:
            raise DatasetError("it is gone")
        return known[sha256]

    return read


def test_a_picture_of_the_announced_size_passes() -> None:
    check = picture_check(40 * 30)
    check(png(), (40, 30))
    check(png(), None)


@pytest.mark.parametrize(
    ("data", "size_wh", "max_pixels", "message"),
    [
        (png(), (30, 40), 10_000, "expected"),
        (png(), (40, 30), 40 * 30 - 1, "the limit is"),
        (b"GIF89a", (40, 30), 10_000, "cannot be used"),
        (b"", None, 10_000, "cannot be used"),
    ],
)
def test_other_pictures_are_refused(data: bytes, size_wh: Any, max_pixels: int, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        picture_check(max_pixels)(data, size_wh)


def test_a_bundle_gets_its_folder(tmp_path: Path) -> None:
    start = StartBundle(description=description("street", model=smallest_model()), folder="batch-7")
    for _ in range(2):  # the second time after a kill
        path, architecture = place_start(start, tmp_path, reader(smallest_model(), b"weights"))
    assert (path, architecture) == (tmp_path / "batch-7", None)
    assert sorted(file.name for file in (tmp_path / "batch-7").iterdir()) == [
        "bundle.json",
        "model.onnx",
        "weights.safetensors",
    ]


def test_a_bundle_whose_files_were_changed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelBundleError):
        place_start(StartBundle(description=description()), tmp_path, lambda _: b"other")


def test_weights_keep_their_name(tmp_path: Path) -> None:
    start = StartWeights(name="mine", sha256=hashlib.sha256(b"w").hexdigest(), architecture="yolox-nano")
    assert place_start(start, tmp_path, reader(b"w")) == (tmp_path / "mine.safetensors", "yolox-nano")
    assert (tmp_path / "mine.safetensors").read_bytes() == b"w"


def test_progress_is_told_as_messages(tmp_path: Path) -> None:
    said: list[Any] = []
    steps = JobSteps(tmp_path, said.append)
    steps.start("evaluation", 2)
    steps.advance()
    steps.advance()
    steps.finish()
    steps.stage("evaluation")
    assert said[0] == {"progress": {"task": "evaluation", "done": 0, "total": 2}}
    assert said[-2] == {"progress": {"task": "evaluation", "done": 2, "total": 2}}
    assert said[-1] == {"event": {"kind": "stage", "name": "evaluation", "text": ""}}


def test_an_epoch_is_told_once_whatever_was_killed() -> None:
    event = {"kind": "epoch", "name": "first", "values": {"epoch": 2}}
    assert is_new(event, frozenset())
    assert is_new(event, {("second", 2), ("first", 1)})
    assert not is_new(event, {("first", 2)})
    assert is_new({"kind": "stage", "name": "first"}, {("first", 2)})
