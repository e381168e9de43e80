"""The scenes that the gate is measured on, in memory: frames, true boxes, and which of them move."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from edge_autotuner.capture import VideoFile
from edge_autotuner.core import Frame, box_areas, iou_matrix, xywh_to_xyxy
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, SizeWH
from edge_autotuner.simulation import Conditions, SimulatedCamera

MIN_AREA_PX = 60.0
"""Smaller objects are not scored."""

_MOVED_PX, _MOVED_SIZES = 2.0, 0.1  # within a second; whichever is less
_MIN_LINK_IOU = 0.3  # of the same object in successive frames, where the annotation does not say who is who


@dataclass(frozen=True, eq=False)
class Truth:
    """The true objects of one frame, at least `MIN_AREA_PX` large.

    Attributes:
        boxes_xyxy: (T, 4) frame pixels.
        is_moving: (T,) whether the middle of the box has moved by 2 pixels, or by a tenth of its longer side, since
            a second ago. An object that was not there then counts as moving.
    """

    boxes_xyxy: FloatArray
    is_moving: BoolArray


@dataclass(frozen=True, eq=False)
class MeasuredScene:
    """A recording with its truth.

    Attributes:
        name: how tables call it.
        lumas: (H, W) uint8 brightness of every frame from the first on: the gate learns from all of them.
        rate_hz: frames per second.
        truths: frame index -> what is there, for the frames that are scored.
    """

    name: str
    lumas: Sequence[ImageArray]
    rate_hz: float
    truths: dict[int, Truth]

    @property
    def size_wh(self) -> SizeWH:
        """Width and height in pixels."""
        return self.lumas[0].shape[1], self.lumas[0].shape[0]

    def frames(self) -> Iterator[Frame]:
        """Yield the frames, without colours."""
        for index, luma in enumerate(self.lumas):
            yield Frame(index, index / self.rate_hz, luma, _no_colours)


def highway(data: Path, n_frames: int | None = None) -> MeasuredScene:
    """Return CDnet's highway, of which the frames 470 to 1700 of its own count are labelled."""
    return _recorded("highway", data / "scenes" / "cdnet_highway", "highway.avi", n_frames)


def pets(data: Path, n_frames: int | None = None) -> MeasuredScene:
    """Return PETS 2009 S2.L1, labelled from the first frame on."""
    return _recorded("PETS", data / "scenes" / "pets2009_s2l1", "vtest.avi", n_frames)


def simulated(data: Path, n_frames: int | None = None) -> MeasuredScene:
    """Return two minutes of the simulated camera: noise, trees in the wind, long shadows; `data` is not needed."""
    conditions = Conditions(noise_levels=4.0, sway=0.5, cast_shadows=0.7)
    camera = SimulatedCamera((480, 272), n_frames or 1200, 10.0, seed=0, conditions=conditions)
    boxes = {index: camera.truth(index).boxes_xyxy for index in range(n_frames or 1200)}
    lumas = [frame.luma for frame in camera.frames()]
    return MeasuredScene("simulated", lumas, 10.0, _with_movement(boxes, None, 10.0))


SCENES: dict[str, Callable[[Path, int | None], MeasuredScene]] = {
    "highway": highway,
    "PETS": pets,
    "simulated": simulated,
}
"""Name -> reads it; the second argument shortens it."""


def _recorded(name: str, folder: Path, video: str, n_frames: int | None) -> MeasuredScene:
    source = VideoFile(folder / video)
    lumas = [frame.luma.copy() for frame in islice(source.frames(), n_frames)]
    values = json.loads((folder / "gt_coco.json").read_text(encoding="utf-8"))
    index_of = {image["id"]: image["frame_index"] for image in values["images"]}
    boxes = {index: np.zeros((0, 4), np.float32) for index in index_of.values() if index < len(lumas)}
    tracks: dict[int, list[int]] = defaultdict(list)
    grouped = defaultdict(list)
    for annotation in values["annotations"]:
        index = index_of[annotation["image_id"]]
        grouped[index].append(annotation["bbox"])
        tracks[index].append(annotation.get("track_id", -1))
    boxes |= {index: xywh_to_xyxy(np.array(grouped[index], np.float32)) for index in boxes if index in grouped}
    has_tracks = all(track >= 0 for of_frame in tracks.values() for track in of_frame)
    truths = _with_movement(boxes, tracks if has_tracks else None, source.info.rate_hz)
    return MeasuredScene(name, lumas, source.info.rate_hz, truths)


def _with_movement(
    boxes: dict[int, FloatArray], tracks: dict[int, list[int]] | None, rate_hz: float
) -> dict[int, Truth]:
    """Tell moving from resting objects by following them over a second."""
    tracks = follow(boxes) if tracks is None else tracks
    places = {
        (index, track): box for index in boxes for track, box in zip(tracks.get(index, []), boxes[index], strict=True)
    }
    n_back = max(1, round(rate_hz))
    truths = {}
    for index, of_frame in boxes.items():
        earlier = [places.get((index - n_back, track)) for track in tracks.get(index, [])]
        is_moving = [old is None or _has_moved(old, new) for old, new in zip(earlier, of_frame, strict=True)]
        is_large = box_areas(of_frame) >= MIN_AREA_PX
        truths[index] = Truth(of_frame[is_large], np.array(is_moving, bool)[is_large])
    return truths


def _has_moved(old_xyxy: FloatArray, new_xyxy: FloatArray) -> bool:
    step = (new_xyxy[:2] + new_xyxy[2:] - old_xyxy[:2] - old_xyxy[2:]) / 2
    longer_side = float((new_xyxy[2:] - new_xyxy[:2]).max())
    return bool(np.hypot(*step) >= min(_MOVED_PX, _MOVED_SIZES * longer_side))


def follow(boxes: dict[int, FloatArray]) -> dict[int, list[int]]:
    """Return a number per box that stays with an object from frame to frame.

    The pair that overlaps most is linked first, each box at most once; what is left is a new object.

    Args:
        boxes: frame index -> (T, 4) corners; objects are not followed across missing frames.
    """
    tracks: dict[int, list[int]] = {}
    n_known = 0
    for index in sorted(boxes):
        before = boxes.get(index - 1, np.zeros((0, 4), np.float32))
        linked = _link(before, boxes[index])
        numbers = []
        for position in range(len(boxes[index])):
            if position in linked:
                numbers.append(tracks[index - 1][linked[position]])
            else:
                numbers.append(n_known)
                n_known += 1
        tracks[index] = numbers
    return tracks


def _link(before_xyxy: FloatArray, now_xyxy: FloatArray) -> dict[int, int]:
    """Return position now -> position before."""
    iou = iou_matrix(before_xyxy, now_xyxy)  # (B, T)
    linked: dict[int, int] = {}
    for flat in np.argsort(-iou, axis=None, kind="stable").tolist():
        old, new = divmod(flat, iou.shape[1])
        if iou[old, new] < _MIN_LINK_IOU:
            break
        if new not in linked and old not in linked.values():
            linked[new] = old
    return linked


def _no_colours() -> ImageArray:
    raise NotImplementedError("the benchmark keeps brightness only")
