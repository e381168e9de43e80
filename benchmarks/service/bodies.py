"""Builds hostile request bodies, and the largest valid ones, for every operation of the service."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from edge_autotuner.config import RunConfig
from edge_autotuner.pipeline.remote_training.portable_settings import portable_settings
from edge_autotuner.wire.annotation_messages import BatchRequest
from edge_autotuner.wire.registry_messages import MAX_DESCRIPTION, MAX_QUESTIONS

JSON = "application/json"
OCTETS = "application/octet-stream"
FORM = "multipart/form-data; boundary=b"
FAR_TOO_LARGE = 14_000_000  # bytes; below the limit of pictures, above those of messages

CAMERA = "gate"
WEIGHTS = b"weights"
N_PICTURES = 16


@dataclass(frozen=True)
class Body:
    """What is sent.

    Attributes:
        name: what is hostile about it.
        content: its bytes.
        kind: MIME type.
    """

    name: str
    content: bytes
    kind: str = JSON


FIELDS = {
    "find_missing": "sha256",
    "put_camera": "place",
    "add_bundle": "description",
    "create_tuning_job": "settings",
}
"""Operations that take a message, and the field that is filled with nonsense."""

PLAIN = ("annotate_picture", "annotate_batch", "put_blob")
"""Other operations that read a body."""


def hostile_bodies(operation: str) -> list[Body]:
    """Return bodies that shall cost little; for an operation that reads none, one that nobody wants."""
    if operation in FIELDS:
        sizes = (FAR_TOO_LARGE, 3_000_000, 900_000, 60_000)
        return [body for n_bytes in sizes for body in _messages(FIELDS[operation], n_bytes)]
    if operation == "annotate_batch":
        return list(_forms())
    return [Body("nonsense", b"x" * FAR_TOO_LARGE, OCTETS), Body("array", _repeat(b"1,", FAR_TOO_LARGE), JSON)]


def _messages(field: str, n_bytes: int) -> Iterator[Body]:
    items = {
        "numbers": b"1,",
        "empty arrays": b"[],",
        "empty objects": b"{},",
        "arrays of one": b"[1],",
        "texts": b'"",',
        "hashes, the last one wrong": b'"%s",' % (b"a" * 64),
        "huge numbers": b"9" * 4000 + b",",
    }
    head, tail = b'{"%s":[' % field.encode(), b"1]}"
    for name, item in items.items():
        yield Body(name, head + _repeat(item, n_bytes) + tail)
    yield Body("nested", b'{"%s":' % field.encode() + b"[" * n_bytes)
    yield Body("long text", b'{"%s":"%s"}' % (field.encode(), b"x" * n_bytes))
    yield Body("escaped text", b'{"%s":"%s"}' % (field.encode(), _repeat(b"\\u0000", n_bytes)))
    yield Body("text of an array", b'{"%s":"[%s"}' % (field.encode(), _repeat(b"[],", n_bytes)))
    yield Body("unknown fields", b"{" + b",".join(b'"%d":0' % n for n in range(n_bytes // 9)) + b"}")
    yield Body("spaces", b" " * n_bytes)


def _forms() -> Iterator[Body]:
    picture = _part(b"pictures", b"x", b"1")
    yield Body("parts", _repeat(picture, FAR_TOO_LARGE), FORM)
    yield Body("parts, as many as allowed", _part(b"pictures", b"x" * 800_000, b"1") * N_PICTURES + b"--b--\r\n", FORM)
    yield Body("one header", b"--b\r\nContent-Disposition: " + b"x" * FAR_TOO_LARGE, FORM)
    yield Body("headers", b"--b\r\n" + _repeat(b"a: b\r\n", FAR_TOO_LARGE), FORM)
    yield Body("ends of lines", picture[:-2] + _repeat(b"\r\n-", FAR_TOO_LARGE), FORM)
    yield Body("no part", _repeat(b"\r\n", FAR_TOO_LARGE), FORM)
    most = BatchRequest.json_limits.max_bytes - 100
    for item in (b"1,", b"[],", b"{},", b'{"offset_x":"x"},', b'{"":0},'):
        asked = b'{"placements":[%s1]}' % _repeat(item, most)
        yield Body(f"placements {item.decode()}", _part(b"request", asked) + picture + b"--b--\r\n", FORM)
    yield Body("a large field", _part(b"request", b"x" * FAR_TOO_LARGE) + b"--b--\r\n", FORM)


def _part(name: bytes, content: bytes, file_name: bytes | None = None) -> bytes:
    file = b"" if file_name is None else b'; filename="%s"\r\nContent-Type: image/png' % file_name
    return b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name, file, content)


def _repeat(piece: bytes, n_bytes: int) -> bytes:
    return piece * (n_bytes // len(piece))


def largest_bodies() -> Mapping[str, Body]:
    """Return the largest messages that are taken, by operation; what they name need not be there."""
    shas = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(MAX_QUESTIONS)]
    text = json.dumps(_bundle(), indent=2)
    text += " " * (MAX_DESCRIPTION - len(text))
    return {
        "find_missing": Body("hashes", json.dumps({"sha256": shas}).encode()),
        "put_camera": Body("texts", json.dumps({"place": "x" * 200, "shows": "y" * 200}).encode()),
        "add_bundle": Body("a description", json.dumps({"description": text}).encode()),
        "create_tuning_job": Body("a description", json.dumps(tune_request("a" * 64, text)).encode()),
        "annotate_picture": Body("a picture", _picture(), "image/png"),
        "annotate_batch": Body("pictures", _part(b"pictures", _picture(), b"1") * N_PICTURES + b"--b--\r\n", FORM),
        "put_blob": Body("a content", b"x" * FAR_TOO_LARGE, OCTETS),
    }


def tune_request(dataset: str, description: str | None = None) -> dict[str, Any]:
    """Return what asks for a job on a dataset."""
    weights = {"name": "street", "sha256": hashlib.sha256(WEIGHTS).hexdigest()}
    return {
        "key": f"k{dataset[:16]}",
        "camera": CAMERA,
        "settings": portable_settings(RunConfig()),
        "start": weights if description is None else {"description": description, "folder": "street"},
        "dataset": dataset,
    }


def _picture() -> bytes:
    rng = np.random.default_rng(0)
    ok, content = cv2.imencode(".png", rng.integers(0, 256, (480, 480, 3), np.uint8))
    assert ok
    return content.tobytes()


def _bundle() -> dict[str, Any]:
    return {"format": "edge-autotuner-bundle", "version": 1, "name": "street"}


def datasets() -> Mapping[str, Callable[[], bytes]]:
    """Return descriptions of datasets, by what they are: one that is taken, and hostile ones."""
    return {
        "valid": lambda: json.dumps(_dataset(_frames(6000)), separators=(",", ":")).encode(),
        **{f"frames: {item.decode()}": partial(_hostile_dataset, item) for item in (b"1", b"[]", b"{}", b"[1]")},
        "one wrong in each frame": lambda: json.dumps(_dataset(_frames(6000, split="neither"))).encode(),
        "frames: objects": partial(_hostile_dataset, b'{"":0}'),
    }


def _hostile_dataset(item: bytes) -> bytes:
    text = json.dumps(_dataset([])).encode()
    return text.replace(b'"frames": []', b'"frames": [%s%s]' % (_repeat(item + b",", 2_000_000), item))


def _frames(n_frames: int, split: str = "train") -> list[dict[str, Any]]:
    box = [10.5, 20.5, 30.5, 40.5]
    return [
        {
            "sha256": hashlib.sha256(b"%d" % number).hexdigest(), "n_bytes": 1000 + number, "split": split,
            "index": number, "time_s": number / 10, "size_wh": [1280, 720], "suffix": ".jpg", "file_name": None,
            "regions_xyxy": [box] * 4, "sent_xyxy": None, "motion_fraction": 0.5, "background": None,
            "reason": "motion", "captured_at": "2026-01-02T03:04:05+00:00", "hidden_xyxy": [],
        }
        for number in range(n_frames)
    ]  # fmt: skip


def _dataset(frames: list[dict[str, Any]]) -> dict[str, Any]:
    stage = {"fingerprint": "ab" * 8, "seconds": 1.0, "finished_at": "2026-01-02T03:04:05+00:00", "summary": {}}
    annotations = {"fingerprint": "ab" * 8, "teacher": "street", "min_score": 0.3, "uncertain_score": 0.5}
    found = [
        {
            "frame": number, "boxes_xyxy": [[1.5, 2.5, 3.5, 4.5]] * 5, "scores": [0.5] * 5, "class_ids": [0] * 5,
            "looked_xyxy": [], "n_calls": 1, "n_pixels": 1000,
        }
        for number in range(len(frames))
    ]  # fmt: skip
    return {
        "source": {
            "kind": "video", "name": "gate.mp4", "size_wh": [1280, 720], "n_frames": None, "rate_hz": 10.0,
            "sha256": "ab" * 32,
        },
        "labels": ["person"], "has_test_source": False, "created_at": "2026-01-02T03:04:05+00:00", "backgrounds": [],
        "frames": frames, "events": [], "annotations": [{**annotations, "annotations": found}],
        "stages": {"capture": stage, "annotation": stage}, "replay": None, "ground_truth": None,
    }  # fmt: skip
