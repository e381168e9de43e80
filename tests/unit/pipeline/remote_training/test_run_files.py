"""A run that travels is there what it was here, under names that were made there; what does not fit is refused."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.core.types import SizeWH
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.dataset.records import annotation_to_json
from edge_autotuner.dataset.replay import ReplayReservoir
from edge_autotuner.errors import DatasetError
from edge_autotuner.pipeline.remote_training.run_files import (
    RESERVOIR_FOLDER,
    describe_run,
    read_replay_offers,
    rebuild_run,
    replay_offers,
)
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.storage import written_bytes
from edge_autotuner.wire.run_description import RunDescription, parse_description
from support.runs.dataset_folders import annotation
from support.runs.described_runs import LABELS, PERSON, RAW, described, write_reservoir, write_run


def accept(_data: bytes, _size_wh: SizeWH | None) -> None:
    """Take every picture."""


def rebuilt(tmp_path: Path) -> RunFolder:
    description, contents, _ = described(tmp_path / "here")
    folder = RunFolder(tmp_path / "there")
    rebuild_run(description, contents.__getitem__, folder, check=accept)
    return folder


def test_the_rebuilt_dataset_is_the_same(tmp_path: Path) -> None:
    there = rebuilt(tmp_path)
    with DatasetStore.open(tmp_path / "here" / "run" / "dataset") as old, DatasetStore.open(there.dataset) as new:
        assert new.frames() == old.frames()
        assert (new.labels, new.source, new.fingerprint, new.events()) == (
            old.labels,
            old.source,
            old.fingerprint,
            old.events(),
        )
        for record in old.frames():
            assert (new.read_image(record) == old.read_image(record)).all()
            said = [
                annotation_to_json(store.annotation_of(record, LABELS) or annotation(), store.labels)
                for store in (old, new)
            ]
            assert said[0] == said[1]
        background = old.frames("train")[0].background or ""
        assert (new.read_background(background) == old.read_background(background)).all()
        assert new.annotation_run == old.annotation_run


def test_the_teachers_own_answers_travel_for_training_frames_only(tmp_path: Path) -> None:
    there = rebuilt(tmp_path)
    with DatasetStore.open(there.dataset) as store:
        assert [store.annotation_of(record, RAW) is not None for record in store.frames()] == [False, True, True, True]
    without, _, _ = described(tmp_path / "b", training={"second_look": {"enabled": False}})
    assert [one.fingerprint for one in without.annotations] == [LABELS]


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run, reservoir = write_run(tmp_path / "run"), write_reservoir(tmp_path)
    texts = {describe_run(run, RunConfig(), replay=reservoir)[0] for _ in range(2)}
    assert len(texts) == 1
    assert b"/films" not in texts.pop(), "where the film lay is nobody's business"


def test_stages_keep_their_records(tmp_path: Path) -> None:
    there, here = rebuilt(tmp_path), RunFolder(tmp_path / "here" / "run")
    assert there.stage("annotation") == here.stage("annotation")
    captured = here.require("capture", before="training")
    assert there.stage("capture") == replace(captured, summary=captured.summary | {"source": "gate.mp4"})


def test_the_reservoir_has_the_same_content(tmp_path: Path) -> None:
    there = rebuilt(tmp_path)
    new, old = ReplayReservoir(there.path / RESERVOIR_FOLDER), ReplayReservoir(tmp_path / "here" / "reservoir")
    assert new.digest() == old.digest()
    assert [new.read_bytes(picture) for picture in new.pictures()] == [old.read_bytes(p) for p in old.pictures()]


def test_a_rebuilding_that_was_killed_goes_on(tmp_path: Path) -> None:
    description, contents, _ = described(tmp_path / "here")
    folder, left = RunFolder(tmp_path / "there"), 3

    def read(sha256: str) -> bytes:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        return contents[sha256]

    with pytest.raises(KeyboardInterrupt):
        rebuild_run(description, read, folder, check=accept)
    assert folder.stage("annotation") is None
    rebuild_run(description, read, folder, check=accept)
    with DatasetStore.open(folder.dataset) as store:
        assert len(store.frames()) == 4
    rebuild_run(description, {}.__getitem__, folder, check=accept)  # nothing is read once it is there


def test_a_content_that_is_another_one_is_refused(tmp_path: Path) -> None:
    description, contents, _ = described(tmp_path / "here")
    wrong = {sha256: content[:-1] + b"x" for sha256, content in contents.items()}
    with pytest.raises(DatasetError, match="was modified"):
        rebuild_run(description, wrong.__getitem__, RunFolder(tmp_path / "there"), check=accept)


def test_every_picture_is_checked_before_anything_reads_it(tmp_path: Path) -> None:
    description, contents, _ = described(tmp_path / "here")
    seen: list[SizeWH | None] = []
    folder = RunFolder(tmp_path / "there")
    rebuild_run(description, contents.__getitem__, folder, check=lambda _, size_wh: seen.append(size_wh))
    assert sorted(seen, key=str) == [*[(64, 48)] * 6, None]


def test_what_the_training_offers_comes_back(tmp_path: Path) -> None:
    description, contents, _ = described(tmp_path / "here")
    folder = RunFolder(tmp_path / "there")
    rebuild_run(description, contents.__getitem__, folder, check=accept)
    assert replay_offers(folder, description) == b""
    reservoir = ReplayReservoir(folder.path / RESERVOIR_FOLDER)
    from edge_autotuner.config import AnnotationConfig
    from edge_autotuner.pipeline.replay_offers import offer_of

    with DatasetStore.open(folder.dataset) as store:
        record = store.frames("train")[0]
        offer = offer_of(store, record, annotation(PERSON), AnnotationConfig(), origin="replay")
        reservoir.offer([offer])
    data = replay_offers(folder, description)
    with DatasetStore.open(tmp_path / "here" / "run" / "dataset") as store:
        (back,) = read_replay_offers(data, store)
        assert back.read() == (store.folder / record.file).read_bytes()
        assert back.picture.to_json() == offer.picture.to_json()


@pytest.mark.parametrize("data", [b"{}\n", b"\xff\n", b'{"frame_id": 1}\n', b"[" * 100_000 + b"\n"])
def test_offers_that_make_no_sense_are_refused(tmp_path: Path, data: bytes) -> None:
    write_run(tmp_path)
    with DatasetStore.open(tmp_path / "dataset") as store, pytest.raises(DatasetError, match="cannot be read"):
        read_replay_offers(data, store)


def test_an_offer_of_a_picture_of_nobody_is_refused(tmp_path: Path) -> None:
    picture = write_reservoir(tmp_path).pictures()[0]
    write_run(tmp_path / "run")
    line = json.dumps(picture.to_json()).encode()
    with DatasetStore.open(tmp_path / "run" / "dataset") as store, pytest.raises(DatasetError, match="not a training"):
        read_replay_offers(line, store)


def test_a_run_without_labels_cannot_travel(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no finished capture"):
        describe_run(RunFolder(tmp_path), RunConfig())


def many_frames(text: bytes, n: int) -> RunDescription:
    """Return a description whose first frame is there so many times."""
    values = json.loads(text)
    first = values["frames"][0]
    values["frames"] += [first | {"index": 1000 + number} for number in range(n - 1)]
    return parse_description(json.dumps(values).encode())


def test_a_picture_that_is_named_often_counts_often_and_is_written_once(tmp_path: Path) -> None:
    _, contents, text = described(tmp_path / "here")
    description = many_frames(text, 500)
    once = parse_description(text)
    assert description.n_bytes == once.n_bytes + 499 * once.frames[0].n_bytes
    assert description.files() == once.files()
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for sha256, content in contents.items():
        (blobs / sha256).write_bytes(content)
    read: list[str] = []

    def read_one(sha256: str) -> bytes:
        read.append(sha256)
        return contents[sha256]

    folder = RunFolder(tmp_path / "there")
    rebuild_run(description, read_one, folder, check=accept, link=lambda sha256, path: os.link(blobs / sha256, path))
    assert max(Counter(read).values()) == 1
    frames = list((folder.dataset / "frames").iterdir())
    assert len(frames) == 503
    assert len({path.stat().st_ino for path in frames}) == 4
    assert written_bytes(folder.dataset / "frames") == 0


def test_without_links_each_is_written(tmp_path: Path) -> None:
    _, contents, text = described(tmp_path / "here")
    folder = RunFolder(tmp_path / "there")
    rebuild_run(many_frames(text, 3), contents.__getitem__, folder, check=accept)
    paths = list((folder.dataset / "frames").iterdir())
    assert len({path.stat().st_ino for path in paths}) == 6
    assert all(path.read_bytes() in contents.values() for path in paths)
