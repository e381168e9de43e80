"""Every field of every file that another program may have written: the wrong type is refused, or changes nothing.

Each file is valid; then each of its fields in turn gets each wrong value. Either an error names the file and the field,
or what is read equals what was read before. Nothing is taken for a number, a flag or a name that is none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_autotuner.core import LabelMap
from edge_autotuner.core.json_fields import parse_json
from edge_autotuner.dataset import DatasetStore, load_coco_truth
from edge_autotuner.dataset.replay_records import ReplayPicture
from edge_autotuner.deployment.bundle import parse_description
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.models import transformers_folder
from edge_autotuner.pipeline.evaluation_result import read_evaluation
from edge_autotuner.pipeline.loop import STAGES
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.storage.journal import encode_line

JSON = Any
Place = tuple[str | int, ...]

WRONG: list[JSON] = [
    None, True, False, "", "0", "1", "1.5", "true", "null", "ä\u0000", -1, 0.5, 10**30, -(10**400),
    float("nan"), float("inf"), float("-inf"), [], [[]], [1], ["1"], {}, {"a": 1},
]  # fmt: skip


@dataclass(frozen=True)
class File:
    """A file that is read.

    Attributes:
        name: of the file.
        valid: its content.
        read: reads the file at a path and returns what was understood.
        free: keys whose values may be anything, because nobody reads them or they are passed on as they are.
        optional: keys for which null stands for "not said".
    """

    name: str
    valid: JSON
    read: Callable[[Path], object]
    free: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    is_journal: bool = False

    def write(self, folder: Path, content: JSON) -> Path:
        path = folder / self.name
        if self.is_journal:
            path.write_bytes(b"".join(encode_record(record) for record in content))
        else:
            path.write_text(json.dumps(content), encoding="utf-8")
        return path


def encode_record(record: JSON) -> bytes:
    """Return a line of a journal as somebody would who makes the checksum anew."""
    try:
        return encode_line(record)
    except ValueError:  # our own writer refuses a NaN before anybody could read it
        return encode_line({"kind": "refused"})


BOX = [1.0, 2.0, 11.0, 22.0]
COCO = {
    "images": [
        {"id": 10, "file_name": "a/1.jpg", "frame_index": 5, "width": 64, "height": 48},
        {"id": 11, "file_name": "a/2.jpg"},
    ],
    "categories": [{"id": 3, "name": "car"}, {"id": 7, "name": "truck"}],
    "annotations": [
        {"id": 1, "image_id": 10, "category_id": 7, "bbox": [1, 2, 10, 20], "iscrowd": 0, "ignore": 0},
        {"id": 2, "image_id": 11, "category_id": 3, "bbox": [0, 0.5, 4, 4], "iscrowd": 1},
    ],
}
SCORES = {
    "ap50": 0.5,
    "ap": None,
    "per_class": {"car": {"ap50": 0.5, "ap": 0.25, "n_truths": 3}},
    "n_frames": 2,
    "n_truths": 3,
}
PROMOTION = {
    "promoted": True, "reason": "promoted: it is better", "ap_candidate": 0.5, "ap_deployed": 0.25, "difference": 0.25,
    "lower_bound": 0.1, "upper_bound": None, "probability_better": 1.0, "confidence": 0.95, "n_frames": 2,
    "metric": "AP50:75",
}  # fmt: skip
FOUND = {"n_truths": 3, "n_found": 2, "n_false": 1}
EVALUATION = {
    "comparison": {"teacher": {"old": SCORES}}, "promotion": PROMOTION, "found_before": FOUND, "found_after": FOUND,
    "ms_before": 1.5, "ms_after": 2, "n_frames": 2, "n_human_frames": 1, "incumbent": "start", "candidate": "new",
    "contenders": {"start": {"found": FOUND, "ms": 1.5}, "new": {"found": FOUND, "ms": 2}},
    "shown": [{"index": 3, "task": "boxes", "found": {"new": {
        "boxes_xyxy": [[1, 2, 3, 4]], "scores": [0.5], "class_ids": [1]}}}],
}  # fmt: skip
STAGE = {"fingerprint": "f", "seconds": 1.5, "finished_at": "2026-01-01T00:00:00+00:00", "summary": {"n": 1}}
DETECTOR = {
    "name": "edge", "labels": ["car", "bus"], "input_size_wh": [96, 64], "resize": "stretch", "colour": "bgr",
    "decode": "boxes_scores", "scale": 1.0, "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "nms_iou": 0.6,
    "pad_value": 114,
}  # fmt: skip
BUNDLE_FILE = {"n_bytes": 5, "sha256": "0" * 64}
BUNDLE = {
    "format": "edge-autotuner-bundle", "version": 1, "name": "start", "architecture": "yolox-nano",
    "detector": DETECTOR,
    "metrics": {}, "promotion": {}, "lineage": {}, "created_at": "2026-01-01T00:00:00+00:00",
    "files": {"model": {"name": "model.onnx", **BUNDLE_FILE}, "weights": {"name": "w.safetensors", **BUNDLE_FILE}},
}  # fmt: skip
ANNOTATION = {"boxes_xyxy": [BOX], "scores": [0.5], "class_ids": [1], "looked_xyxy": [BOX], "n_calls": 1, "n_pixels": 9}
JOURNAL = [
    {
        "kind": "dataset",
        "format_version": 1,
        "source": {"kind": "video", "name": "a.mp4", "size_wh": [64, 48], "n_frames": 9, "rate_hz": 10.0,
        "sha256": "5f"},
        "labels": ["person", "car"],
        "settings": {},
        "created_at": "2026-01-01T00:00:00+00:00",
    },
    {"kind": "background", "name": "backgrounds/000000.png", "pixels_sha256": "ab"},
    {
        "kind": "frame",
        "frame": {
            "file": "frames/train_00000001.png", "split": "train", "index": 1, "time_s": 0.1, "size_wh": [64, 48],
            "sha256": "ab", "file_name": None, "regions_xyxy": [BOX], "motion_fraction": 0.5,
            "background": "backgrounds/000000.png", "reason": "moves", "captured_at": "2026-01-01T00:00:00+00:00",
            "sent_xyxy": [BOX], "hidden_xyxy": [BOX],
        },
    },
    {"kind": "annotation_run", "teacher": "t", "fingerprint": "f", "min_score": 0.3, "uncertain_score": 0.1},
    {"kind": "annotation", "split": "train", "index": 1, "teacher": "t", "fingerprint": "f", "annotation": ANNOTATION},
    {"kind": "event", "event": {"kind": "stalled", "time_s": 1.0, "captured_at": None, "detail": "d"}},
    {"kind": "note", "key": "k", "value": 1},
]  # fmt: skip
REPLAY = {
    "frame_id": "s:1", "origin": "replay", "era": "e", "suffix": ".jpg", "sha256": "0" * 64, "n_bytes": 5,
    "size_wh": [64, 48],
    "labels": {
        "boxes_xyxy": [BOX], "class_ids": [0], "scores": [0.5], "ignored_xyxy": [BOX], "looked_xyxy": [BOX],
        "weights": [0.5], "labels": ["car"],
    },
}  # fmt: skip


def read_coco(path: Path) -> object:
    truth = load_coco_truth(path, labels=LabelMap(("car", "truck")), map_classes={})
    return truth.pictures, truth.category_ids


def read_run(path: Path) -> object:
    return [RunFolder(path.parent).stage(name) for name in STAGES]


def read_journal(path: Path) -> object:
    store = DatasetStore.open(path.parent)
    frames = store.frames()
    facts = store.source, store.labels, store.created_at, store.annotation_runs, store.events()
    return facts, frames, [store.annotation_of(frame) for frame in frames], store.note("k")


def read_replay(path: Path) -> object:
    try:
        picture = ReplayPicture.from_json(parse_json(path.read_bytes()))  # type: ignore[arg-type]
    except ValueError as exc:  # as the reservoir says it, with its own file and line
        raise EdgeAutotunerError(f"{path}: {exc}") from exc
    return picture


def read_folder(path: Path) -> object:
    folder = path.parent
    for name, content in (("config.json", CONFIG), ("preprocessor_config.json", PIXELS)):
        if name != path.name:
            (folder / name).write_text(json.dumps(content), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"")
    found = transformers_folder.read_detector_folder(folder)
    return found.architecture, found.labels, found.input_size_wh, found.pixels


CONFIG = {"model_type": "d_fine", "id2label": {"0": "car", "1": "bus"}}
PIXELS = {
    "size": {"height": 64, "width": 96}, "do_rescale": True, "rescale_factor": 0.5, "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1], "do_pad": False,
}  # fmt: skip

FILES = [
    File("gt.json", COCO, read_coco, optional=frozenset({"file_name", "frame_index"})),
    File("evaluation.json", EVALUATION, read_evaluation, optional=frozenset({"ap50", "ap", *PROMOTION})),
    File("state.json", {"capture": STAGE, "training": STAGE}, read_run, free=frozenset({"summary"})),
    File(
        "bundle.json",
        BUNDLE,
        lambda path: parse_description(path.read_bytes(), path.parent),
        free=frozenset({"metrics", "promotion", "lineage"}),
        optional=frozenset({"nms_iou"}),
    ),
    File(
        "journal.jsonl",
        JOURNAL,
        read_journal,
        free=frozenset({"value", "settings"}),
        optional=frozenset(
            {"n_frames", "file_name", "background", "captured_at", "sent_xyxy", "hidden_xyxy", "min_score"}
            | {"uncertain_score"}
        ),
        is_journal=True,
    ),
    File("replay.json", REPLAY, read_replay, optional=frozenset({"weights"})),
    File("config.json", CONFIG, read_folder),
    File("preprocessor_config.json", PIXELS, read_folder, optional=frozenset({"do_pad"})),
]


def places(content: JSON, at: Place = ()) -> Iterator[Place]:
    """Yield every value inside, the whole included."""
    yield at
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inner:
        yield from places(value, (*at, key))


def changed(content: JSON, at: Place, value: JSON) -> JSON:
    if not at:
        return value
    inner = content = json.loads(json.dumps(content))  # no part is shared
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return content


def value_at(content: JSON, at: Place) -> JSON:
    for key in at:
        content = content[key]
    return content


def is_another_good_value(before: JSON, value: JSON) -> bool:
    """Whether a value has the type that stands there: another number, text or list may be right, and then counts."""
    if isinstance(before, bool) or isinstance(value, bool) or value is None:
        return isinstance(before, bool) and isinstance(value, bool)
    if isinstance(before, int | float):
        return isinstance(value, int | float) and math.isfinite(value if abs(value) < 2**53 else math.inf)
    if isinstance(before, list) and isinstance(value, list) and before and value:
        return is_another_good_value(before[0], value[0])
    return type(before) is type(value) and (isinstance(value, str) or not value)


def plain(value: object) -> object:
    """Return something that can be compared and says the same."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain({"": type(value).__name__, **{name: getattr(value, name) for name in asdict_names(value)}})
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.tolist()]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return repr(value)


def asdict_names(value: Any) -> list[str]:
    return list(asdict(value)) if not hasattr(value, "__dataclass_fields__") else list(value.__dataclass_fields__)


@pytest.fixture(autouse=True)
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers_folder.importlib.util, "find_spec", lambda _: object())


def read_or_complaint(file: File, path: Path) -> tuple[object, str | None]:
    """Return what was understood, or what the error says."""
    try:
        return plain(file.read(path)), None
    except EdgeAutotunerError as exc:
        return None, str(exc)


def names_of(content: JSON, at: Place) -> set[str]:
    """Return what may stand for a place in an error: its key, a key inside it, or its line in a journal."""
    keys = [key for key in at if isinstance(key, str)]
    before = value_at(content, at)
    inside = set(before) if isinstance(before, dict) else set()
    return {*keys[-1:], *inside, f":{at[0] + 1}: " if isinstance(at[0], int) else at[0], "is not a JSON number"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_wrong_value_is_refused_by_name_or_changes_nothing(file: File, tmp_path: Path) -> None:
    expected, _ = read_or_complaint(file, file.write(tmp_path, file.valid))
    assert expected is not None
    n_refused = 0
    for at in places(file.valid):
        if not at or file.free.intersection(at):
            continue
        before = value_at(file.valid, at)
        for value in WRONG:
            if is_another_good_value(before, value) or (at[-1] in file.optional and None in (before, value)):
                continue
            if at[-1] in {"iscrowd", "ignore"} and isinstance(value, bool):
                continue  # another way to write 0 and 1
            found, complaint = read_or_complaint(file, file.write(tmp_path, changed(file.valid, at, value)))
            if complaint is None:
                assert found == expected, f"{at} = {value!r} was read as something else"
                continue
            n_refused += 1
            assert file.name in complaint, (at, value, complaint)
            assert any(name in complaint for name in names_of(file.valid, at)), (at, value, complaint)
    assert n_refused > 10


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_missing_key_is_refused_by_name_or_has_its_default(file: File, tmp_path: Path) -> None:
    for at in places(file.valid):
        if not at or not isinstance(at[-1], str) or file.free.intersection(at):
            continue
        content = json.loads(json.dumps(file.valid))
        del value_at(content, at[:-1])[at[-1]]
        _, complaint = read_or_complaint(file, file.write(tmp_path, content))
        names = {at[-1], *(key for key in at[-2:-1] if isinstance(key, str))}
        assert complaint is None or any(name in complaint for name in names), (at, complaint)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_another_whole_is_refused(file: File, tmp_path: Path) -> None:
    for value in WRONG:
        if isinstance(value, dict) and file.name == "state.json" and not value:
            continue
        with pytest.raises(EdgeAutotunerError):
            file.read(file.write(tmp_path, [value] if file.is_journal else value))
