"""What the way of a picture to the service does to the labels of a real teacher, and how many bytes travel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_autotuner.annotation import RegionTeacher
from edge_autotuner.client import Connection, RemoteDetector, find_remote_model
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core import STREET_6, Annotation, Detections, iou_matrix
from edge_autotuner.core.types import ImageArray
from edge_autotuner.models import describe_onnx
from edge_autotuner.models.onnx_detector import OnnxDetector
from helpers import shared_data
from support.service.annotation_stub import MODEL, TOKEN, StubService

CONFIG = AnnotationConfig()
FRAMES = range(60, 780, 60)  # 12, with 121 labels


@dataclass(frozen=True)
class Way:
    """What one way to send pictures leads to.

    Attributes:
        is_same: whether all boxes, scores and classes are equal to the last bit.
        n_labels: of the local teacher, from `min_score` on.
        n_found: of these, how many the remote teacher gives as well (same class, overlap of 0.5).
        n_new: labels of the remote teacher that the local one does not give.
        max_shift_px: largest difference of a corner of a label that both give.
        n_bytes: sent per frame.
    """

    is_same: bool
    n_labels: int
    n_found: int
    n_new: int
    max_shift_px: float
    n_bytes: int


@pytest.fixture(scope="module")
def model() -> Path:
    return shared_data("models/deimv2_femto_416/deimv2_femto.onnx")


@pytest.fixture(scope="module")
def frames() -> list[ImageArray]:
    video = cv2.VideoCapture(str(shared_data("scenes/pets2009_s2l1/vtest.avi")))
    found = []
    for index in FRAMES:
        video.set(cv2.CAP_PROP_POS_FRAMES, index)
        found.append(np.asarray(video.read()[1], np.uint8))
    video.release()
    return found


@pytest.fixture(scope="module")
def stub(model: Path) -> Iterator[StubService]:
    with StubService(model, adapter="deim") as running:
        yield running


@pytest.fixture(scope="module")
def local(model: Path, frames: list[ImageArray]) -> list[Annotation]:
    detector = OnnxDetector(
        model, describe_onnx(model, "deim"), n_threads=1, min_score=CONFIG.uncertain_score, max_detections=300
    )
    teacher = RegionTeacher(detector, CONFIG, labels=STREET_6, name="local")
    return [teacher.annotate(frame, None) for frame in frames]


def sent_as(stub: StubService, frames: list[ImageArray], local: list[Annotation], **settings: Any) -> Way:
    config = ServiceConfig(url=stub.url, **settings)
    before = stub.n_bytes
    with Connection(config) as connection:
        info = find_remote_model(connection, MODEL)
        detector = RemoteDetector(
            connection, info, config, min_score=CONFIG.uncertain_score, max_detections=CONFIG.max_detections
        )
        teacher = RegionTeacher(detector, CONFIG, labels=STREET_6, name="remote")
        remote = [teacher.annotate(frame, None) for frame in frames]
    pairs = [(a.detections, b.detections) for a, b in zip(local, remote, strict=True)]
    differences = [compared(a.above(CONFIG.min_score), b.above(CONFIG.min_score)) for a, b in pairs]
    return Way(
        is_same=all(map(same, pairs)),
        n_labels=sum(len(a.above(CONFIG.min_score)) for a, _ in pairs),
        n_found=sum(n_found for n_found, _, _ in differences),
        n_new=sum(n_new for _, n_new, _ in differences),
        max_shift_px=max(shift_px for _, _, shift_px in differences),
        n_bytes=(stub.n_bytes - before) // len(frames),
    )


def same(pair: tuple[Detections, Detections]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(*(vars(found).values() for found in pair), strict=True))


def compared(a: Detections, b: Detections) -> tuple[int, int, float]:
    """Return how many of `a` are in `b`, how many of `b` are not in `a`, and the largest shift of a corner."""
    overlap = iou_matrix(a.boxes_xyxy, b.boxes_xyxy) * (a.class_ids[:, None] == b.class_ids[None, :])  # (A, B)
    partner = overlap.argmax(axis=1)
    found = overlap.max(axis=1) >= 0.5
    shift_px = np.abs(a.boxes_xyxy - b.boxes_xyxy[partner])[found].max(initial=0.0)
    return int(found.sum()), int((overlap.max(axis=0) < 0.5).sum()), float(shift_px)


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AUTOTUNER_TOKEN", TOKEN)


@pytest.mark.slow
def test_pngs_change_nothing(stub: StubService, frames: list[ImageArray], local: list[Annotation]) -> None:
    way = sent_as(stub, frames, local)
    assert way.is_same
    assert way.n_labels > 50


@pytest.mark.slow
@pytest.mark.parametrize("quality", [90, 95])
def test_jpegs_change_little(
    quality: int, stub: StubService, frames: list[ImageArray], local: list[Annotation]
) -> None:
    """Measured: 114 of 121 labels at 90, 117 at 95, 10 and 6 new ones; no corner moves by more than 2 px."""
    way = sent_as(stub, frames, local, picture_format="jpg", jpeg_quality=quality)
    assert not way.is_same
    assert way.n_found >= 0.9 * way.n_labels
    assert way.n_new <= 0.12 * way.n_labels
    assert way.max_shift_px < 4
    assert way.n_bytes < 400_000


@pytest.mark.slow
def test_pictures_shrunk_here(stub: StubService, frames: list[ImageArray], local: list[Annotation]) -> None:
    """The teacher sees the same pixels; its boxes are scaled here instead of there, which rounds otherwise."""
    way = sent_as(stub, frames, local, send="input size")
    assert (way.n_found, way.n_new) == (way.n_labels, 0)
    assert way.max_shift_px < 1e-3
    assert way.n_bytes < 1_200_000
