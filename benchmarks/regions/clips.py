"""Clips with a time line and boxes: the gate watches all of it, some frames are scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.scenes import data_folder
from benchmarks.simulation.accuracy import AS_CAR, true_boxes
from edge_autotuner.capture import VideoFile
from edge_autotuner.core import STREET_6, Frame
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset import load_coco_truth
from edge_autotuner.evaluation import Truth
from edge_autotuner.simulation.world import SimulatedWorld

N_LEARNED = 60
"""Frames at the start of each clip that show the background and are not scored."""

_GRID_WH, _CELL_WH = (4, 3), (320, 240)


@dataclass(frozen=True)
class Clip:
    """A clip.

    Attributes:
        name: how tables call it.
        frames: yields frames in order, each with its truth, None where it is not scored.
        map_classes: classes that are scored as another.
        recall_only: whether the truth is too rough for average precision.
    """

    name: str
    frames: Callable[[], Iterator[tuple[Frame, Truth | None]]]
    map_classes: dict[str, str] = field(default_factory=lambda: dict(AS_CAR))
    recall_only: bool = False


def all_clips() -> list[Clip]:
    """Return the clips of the table; none of them chose a setting."""
    motorways = [Clip(f"simulated motorway {camera}", partial(_simulated, camera)) for camera in range(3)]
    return [
        *motorways,
        Clip("4x3 mosaic of half-size NGSIM pictures", _mosaic),
        Clip("PETS, frames 504-794", _pets, {}),
        Clip("highway (rough boxes)", _highway, {"moving_vehicle": "car", **AS_CAR}, recall_only=True),
    ]


def _simulated(camera: int) -> Iterator[tuple[Frame, Truth | None]]:
    world = SimulatedWorld("motorway", camera=camera, size_wh=(1280, 720), n_frames=10_000)
    for index in range(N_LEARNED + 100):
        is_scored = index >= N_LEARNED and index % 5 == 0
        truth = true_boxes(world.truth(index).objects(0.02)) if is_scored else None
        yield frame_of(world.image(index), index, index / 10), truth


def _pets() -> Iterator[tuple[Frame, Truth | None]]:
    folder = data_folder() / "scenes" / "pets2009_s2l1"
    yield from _video(folder, "vtest.avi", range(504 - N_LEARNED, 795), lambda index: index >= 504 and index % 6 == 0)


def _highway() -> Iterator[tuple[Frame, Truth | None]]:
    folder = data_folder() / "scenes" / "cdnet_highway"
    frames = range(1000 - N_LEARNED, 1300)
    yield from _video(folder, "highway.avi", frames, lambda index: index >= 1000 and index % 6 == 0)


def _video(
    folder: Path, name: str, frames: range, is_scored: Callable[[int], bool]
) -> Iterator[tuple[Frame, Truth | None]]:
    maps = {"moving_vehicle": "car"} if "highway" in name else {}
    truth = load_coco_truth(folder / "gt_coco.json", labels=STREET_6, map_classes=maps)
    for frame in VideoFile(folder / name).frames():
        if frame.index in frames:
            boxes = truth.for_frame(frame.index, None) if is_scored(frame.index) else None
            yield frame, None if boxes is None else Truth(*boxes)
        if frame.index >= frames.stop:
            return


def _mosaic() -> Iterator[tuple[Frame, Truth | None]]:
    """Yield mosaics; each cell shows a stretch of its own, the training pictures first, for the background."""
    folder = data_folder() / "scenes" / "ngsim_us101_seq1"
    truth = load_coco_truth(folder / "gt_coco.json", labels=STREET_6, map_classes={})
    index = 0
    for split in ("train", "test"):
        paths = sorted((folder / "images" / split).glob("*.jpg"), key=lambda path: int(path.stem))
        n_columns, n_rows = _GRID_WH
        length = len(paths) // (n_columns * n_rows)
        for step in range(length):
            cells = [paths[cell * length + step] for cell in range(n_columns * n_rows)]
            boxes = _mosaic_truth([truth.for_frame(-1, path.name) for path in cells]) if split == "test" else None
            yield frame_of(_joined([_read(path) for path in cells]), index, float(index)), boxes
            index += 1


def _read(path: Path) -> ImageArray:
    image = cv2.imread(str(path))
    assert image is not None, path
    return np.asarray(image, np.uint8)


def _joined(images: list[ImageArray]) -> ImageArray:
    half = [cv2.resize(image, _CELL_WH, interpolation=cv2.INTER_AREA) for image in images]
    n_columns = _GRID_WH[0]
    return np.vstack([np.hstack(half[row * n_columns : (row + 1) * n_columns]) for row in range(_GRID_WH[1])])


def _mosaic_truth(cells: list[tuple[np.ndarray, np.ndarray, np.ndarray] | None]) -> Truth:
    parts: list[Truth] = []
    for number, cell in enumerate(cells):
        assert cell is not None, "every test picture has boxes"
        row, column = divmod(number, _GRID_WH[0])
        boxes, class_ids, is_ignored = cell
        corner = np.array([column * _CELL_WH[0], row * _CELL_WH[1]] * 2, np.float32)
        parts.append(Truth(np.asarray(boxes / 2 + corner, np.float32), class_ids, is_ignored))
    return Truth(
        np.concatenate([part.boxes_xyxy for part in parts]),
        np.concatenate([part.class_ids for part in parts]),
        np.concatenate([part.is_ignored for part in parts]),
    )


def frame_of(image_bgr: ImageArray, index: int, time_s: float) -> Frame:
    """Return a picture as a source would give it."""
    return Frame(index, time_s, np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), np.uint8), lambda: image_bgr)
