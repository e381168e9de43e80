"""Takes a run to another machine for its training, and builds it up there: the two ends of a tuning job's input.

What is read there is exactly what is read here, so that the training gives the same weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_autotuner.annotation import AnnotationSummary
from edge_autotuner.config import RunConfig
from edge_autotuner.core import Annotation
from edge_autotuner.core.json_limits import load_json
from edge_autotuner.core.types import SizeWH
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.dataset.pictures import hash_bytes, hash_pixels, read_file
from edge_autotuner.dataset.records import annotation_to_json, event_to_json, source_to_json
from edge_autotuner.dataset.replay import ReplayOffer, ReplayReservoir
from edge_autotuner.dataset.replay_records import ReplayPicture
from edge_autotuner.errors import DatasetError
from edge_autotuner.pipeline.loop import ANNOTATION, CAPTURE, TRAINING
from edge_autotuner.pipeline.remote_training.treated_copy import outgoing_dataset
from edge_autotuner.pipeline.run_folder import RunFolder, StageRecord
from edge_autotuner.storage import child_path
from edge_autotuner.storage.atomic import atomic_write_bytes, make_folder, sync_folder
from edge_autotuner.storage.journal import JOURNAL_NAME, encode_line
from edge_autotuner.wire.run_description import (
    MAX_BYTES,
    PICTURE_SUFFIXES,
    ContentPart,
    FramePart,
    RunDescription,
    parse_description,
)

RESERVOIR_FOLDER = "reservoir"
GROUND_TRUTH_FILE = "ground-truth.json"

CheckPicture = Callable[[bytes, SizeWH | None], None]
"""Raises `DatasetError` for bytes that are not a picture of this size (None: of any) that may be decoded."""


def describe_run(
    folder: RunFolder, config: RunConfig, *, replay: ReplayReservoir | None = None
) -> tuple[bytes, dict[str, Path]]:
    """Describe an annotated run for training elsewhere; the same run gives the same bytes.

    Args:
        folder: of the run.
        config: its settings.
        replay: the pictures that are replayed, as they shall stay for this training: a snapshot of the reservoir. None:
            nothing is replayed, and nothing is offered afterwards. Pictures are replayed only without privacy settings.

    Returns:
        The description, and all files that it names, by their SHA-256.

    Raises:
        DatasetError: the run is not annotated, something in it is damaged, or cannot travel.
    """
    captured = folder.require(CAPTURE.name, before=TRAINING.name)
    annotated = folder.require(ANNOTATION.name, before=TRAINING.name)
    said = folder.result(ANNOTATION, before=TRAINING.name).numbers
    if config.privacy.is_on:
        replay = None  # nobody knows what of its pictures may be seen
    with DatasetStore.open(outgoing_dataset(folder, config)) as store:
        frames = store.frames()
        names = sorted({record.background for record in frames if record.background is not None})
        backgrounds = [_background(store, name) for name in names]
        files = {part["sha256"]: store.picture_path(name) for name, part in zip(names, backgrounds, strict=True)}
        files |= {record.sha256: store.picture_path(record.file) for record in frames}
        values = {
            "source": source_to_json(store.source),
            "labels": list(store.labels),
            "has_test_source": store.settings.get("test_source") is not None,
            "created_at": annotated.finished_at,
            "backgrounds": backgrounds,
            "frames": [_frame(store, record, names) for record in frames],
            "events": [event_to_json(event) for event in store.events()],
            "annotations": _annotations(store, frames, annotated.fingerprint, said, config),
            "stages": {"capture": _stage(captured, store.source.name), "annotation": asdict(annotated)},
            "replay": None if replay is None else [picture.to_json() for picture in replay.pictures()],
            "ground_truth": _content(config.evaluation.ground_truth),
        }
    if replay is not None:
        files |= {picture.sha256: replay.picture_path(picture) for picture in replay.pictures()}
    if config.evaluation.ground_truth is not None:
        files[values["ground_truth"]["sha256"]] = config.evaluation.ground_truth  # type: ignore[index]
    text = json.dumps(values, allow_nan=False).encode("ascii")
    if len(text) > MAX_BYTES:
        raise DatasetError(f"{folder.path} is too large for a tuning job: its description has {len(text)} bytes")
    return parse_description(text).to_bytes(), files


def rebuild_run(
    description: RunDescription,
    read: Callable[[str], bytes],
    folder: RunFolder,
    *,
    check: CheckPicture,
    link: Callable[[str, Path], None] | None = None,
) -> None:
    """Build the run that was described; one that is there already stays as it is.

    Every file gets a name that is made here. A kill leaves a part, and the next call goes on.

    Args:
        description: checked.
        read: returns the content with a hash.
        folder: of the run; new, or left by a call before.
        check: what pictures must be.
        link: gives the content with a hash a name in the run; None: what was read is written there.

    Raises:
        DatasetError: a content is not what the description says.
        StorageError: the disk refused.
    """
    if folder.stage(ANNOTATION.name) is not None:
        return
    for name in ("frames", "backgrounds"):
        make_folder(folder.dataset / name)
    placing = _Placing(read, link, check)
    names = [f"backgrounds/{position:06d}.png" for position in range(len(description.backgrounds))]
    for name, background in zip(names, description.backgrounds, strict=True):
        placing.place(background, None, child_path(folder.dataset, *name.split("/")))
    records = [_record(frame, names) for frame in description.frames]
    for record, frame in zip(records, description.frames, strict=True):
        placing.place(frame, frame.size_wh, child_path(folder.dataset, *record.file.split("/")))
    for name in ("frames", "backgrounds"):
        sync_folder(folder.dataset / name)
    if description.replay is not None:
        _rebuild_reservoir(description, read, folder.path / RESERVOIR_FOLDER, check)
    if description.ground_truth is not None:
        atomic_write_bytes(folder.path / GROUND_TRUTH_FILE, _read(read, description.ground_truth))
    journal = b"".join(encode_line(record) for record in _journal(description, names, records))
    atomic_write_bytes(folder.dataset / JOURNAL_NAME, journal)
    stages = description.stages
    folder.finish(CAPTURE.name, StageRecord(**stages.capture.model_dump()))
    folder.finish(ANNOTATION.name, StageRecord(**stages.annotation.model_dump()))


def replay_offers(folder: RunFolder, description: RunDescription) -> bytes:
    """Return the pictures that training in a rebuilt run added to its reservoir, JSON lines; empty without one."""
    if description.replay is None:
        return b""
    before = {picture.frame_id for picture in description.replay}
    reservoir = ReplayReservoir(folder.path / RESERVOIR_FOLDER)
    pictures = reservoir.pictures() if reservoir.exists else []
    lines = [json.dumps(picture.to_json(), allow_nan=False) for picture in pictures if picture.frame_id not in before]
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def read_replay_offers(data: bytes, store: DatasetStore) -> list[ReplayOffer]:
    """Read what `replay_offers` wrote elsewhere, taking the pictures from this machine's dataset.

    Raises:
        DatasetError: it is damaged, or names a picture that is not a training frame of the dataset.
    """
    paths = {record.sha256: store.picture_path(record.file) for record in store.frames("train")}
    try:
        pictures = [ReplayPicture.from_json(load_json(line)) for line in data.decode("ascii").splitlines()]
    except (KeyError, TypeError, ValueError, RecursionError) as exc:
        raise DatasetError(f"the pictures for the reservoir cannot be read: {exc!r:.200}") from exc
    unknown = [picture.sha256 for picture in pictures if picture.sha256 not in paths]
    if unknown:
        raise DatasetError(f"a picture for the reservoir is not a training frame of {store.folder}: {unknown[0]}")
    return [ReplayOffer(picture, _reader(paths[picture.sha256])) for picture in pictures]


def _reader(path: Path) -> Callable[[], bytes]:
    return lambda: read_file(path)


def _content(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    data = read_file(path)
    return {"sha256": hash_bytes(data), "n_bytes": len(data)}


def _background(store: DatasetStore, name: str) -> dict[str, Any]:
    data = read_file(store.picture_path(name))
    return {
        "sha256": hash_bytes(data),
        "n_bytes": len(data),
        "pixels_sha256": hash_pixels(store.read_background(name)),
    }


def _frame(store: DatasetStore, record: FrameRecord, backgrounds: list[str]) -> dict[str, Any]:
    path = store.picture_path(record.file)
    if path.suffix not in PICTURE_SUFFIXES:
        raise DatasetError(f"{path}: only {', '.join(PICTURE_SUFFIXES)} pictures can be uploaded for training")
    values = record.to_json() | {
        "suffix": path.suffix,
        "n_bytes": len(read_file(path)),
        "background": None if record.background is None else backgrounds.index(record.background),
    }
    del values["file"]
    values.pop("hidden_xyxy", None)  # the labels know: nothing is said about it
    return values


def _annotations(
    store: DatasetStore, frames: list[FrameRecord], labels: str, said: AnnotationSummary, config: RunConfig
) -> list[dict[str, Any]]:
    """Return the labels, and before them the teacher's own answers where a second look starts from these."""
    wanted = [labels]
    if config.training.second_look.enabled and said.fingerprint != labels:
        wanted.insert(0, said.fingerprint)
    return [
        {
            "fingerprint": fingerprint,
            "teacher": said.teacher,
            "min_score": config.annotation.min_score,
            "uncertain_score": config.annotation.uncertain_score,
            "annotations": [
                {"frame": position, **annotation_to_json(annotation, store.labels)}
                for position, record in enumerate(frames)
                if (annotation := _annotation(store, record, fingerprint, labels)) is not None
            ],
        }
        for fingerprint in wanted
    ]


def _annotation(store: DatasetStore, record: FrameRecord, fingerprint: str, labels: str) -> Annotation | None:
    """Describe a frame; the teacher's raw answers are included for training frames only."""
    if fingerprint != labels and record.split != "train":
        return None
    return store.annotation_of(record, fingerprint)


def _stage(record: StageRecord, source: str) -> dict[str, Any]:
    """Return the record of the capture without the path of its source."""
    return asdict(record) | {"summary": record.summary | {"source": source}}


def _record(frame: FramePart, backgrounds: list[str]) -> FrameRecord:
    values = frame.model_dump(exclude={"suffix", "n_bytes", "background"})
    background = None if frame.background is None else backgrounds[frame.background]
    file = f"frames/{frame.split}_{frame.index:08d}{frame.suffix}"
    return FrameRecord.from_json(values | {"file": file, "background": background})


def _journal(
    description: RunDescription, backgrounds: list[str], records: list[FrameRecord]
) -> Iterable[dict[str, Any]]:
    """Yield the records of a dataset, as its store would have written them."""
    yield {
        "kind": "dataset",
        "format_version": 1,
        "source": description.source.model_dump(mode="json"),
        "labels": list(description.labels),
        "settings": {"test_source": "another" if description.has_test_source else None},
        "created_at": description.created_at,
    }
    for name, background in zip(backgrounds, description.backgrounds, strict=True):
        yield {"kind": "background", "name": name, "pixels_sha256": background.pixels_sha256}
    for record in records:
        yield {"kind": "frame", "frame": record.to_json()}
    for event in description.events:
        yield {"kind": "event", "event": event.model_dump(mode="json")}
    for one in description.annotations:
        yield {"kind": "annotation_run", **one.model_dump(mode="json", exclude={"annotations"})}
        for annotation in one.annotations:
            record = records[annotation.frame]
            yield {
                "kind": "annotation",
                "split": record.split,
                "index": record.index,
                "teacher": one.teacher,
                "fingerprint": one.fingerprint,
                "annotation": annotation.model_dump(mode="json", exclude={"frame"}),
            }


def _rebuild_reservoir(
    description: RunDescription, read: Callable[[str], bytes], folder: Path, check: CheckPicture
) -> None:
    offers = []
    for part in description.replay or ():
        try:
            picture = ReplayPicture.from_json(part.model_dump(mode="json"))
        except (KeyError, TypeError, ValueError) as exc:
            raise DatasetError(f"invalid replayed picture: {exc}") from exc
        offers.append(ReplayOffer(picture, lambda part=part: _checked(read, part, part.size_wh, check)))  # type: ignore[misc]
    if offers:
        ReplayReservoir(folder).offer(offers, max_pictures=1_000_000, max_mb=1_000_000.0)


def _checked(read: Callable[[str], bytes], content: ContentPart, size_wh: SizeWH | None, check: CheckPicture) -> bytes:
    data = _read(read, content)
    check(data, size_wh)
    return data


def _read(read: Callable[[str], bytes], content: ContentPart) -> bytes:
    data = read(content.sha256)
    if len(data) != content.n_bytes or hash_bytes(data) != content.sha256:
        raise DatasetError(f"the blob {content.sha256} was modified: expected {content.n_bytes} bytes, got {len(data)}")
    return data


class _Placing:
    """Puts contents where a run has them; one that many frames name is read and checked once."""

    def __init__(
        self, read: Callable[[str], bytes], link: Callable[[str, Path], None] | None, check: CheckPicture
    ) -> None:
        self._read, self._link, self._check = read, link, check
        self._checked: set[tuple[str, SizeWH | None]] = set()

    def place(self, content: ContentPart, size_wh: SizeWH | None, path: Path) -> None:
        """Put a content there, if it is what is said of it."""
        data = None
        if (content.sha256, size_wh) not in self._checked:
            data = _checked(self._read, content, size_wh, self._check)
            self._checked.add((content.sha256, size_wh))
        if path.is_file() and path.stat().st_size == content.n_bytes:
            return
        if self._link is not None:
            self._link(content.sha256, path)
        else:
            atomic_write_bytes(path, data if data is not None else _read(self._read, content))
