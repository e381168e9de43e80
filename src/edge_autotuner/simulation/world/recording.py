"""Writes a simulated world as files that any tool reads: a video, and COCO JSON with tracks, visibility and joints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

from edge_autotuner.core import STREET_6
from edge_autotuner.simulation.recording import write_video_file
from edge_autotuner.simulation.world.companions import COMPANION_KINDS
from edge_autotuner.simulation.world.people import BONES, JOINTS
from edge_autotuner.simulation.world.truth import MIN_VISIBLE, TrueObject
from edge_autotuner.simulation.world.world import SimulatedWorld
from edge_autotuner.storage.outputs import open_output

_HARDLY_VISIBLE = 0.02  # from here to `MIN_VISIBLE` objects are crowd regions: neither to be found nor wrong
_MIN_HEIGHT_PX = 6
_CATEGORY_IDS = {name: number for number, name in enumerate((*STREET_6, *COMPANION_KINDS), 1)}


def write_world_video(world: SimulatedWorld, path: Path) -> None:
    """Encode all frames; the codec adds its own artefacts.

    Raises:
        ValueError: no container has this suffix.
        StorageError: the file cannot be written.
    """
    write_video_file(path, (world.image(index) for index in range(world.n_frames)), world.info)


def write_world_truth(world: SimulatedWorld, path: Path) -> None:
    """Write the truth of all frames, one after the other, so that memory does not grow.

    Categories are `STREET_6` from 1 on, then dogs and pushchairs if there are any, which no class stands for. Boxes
    enclose the whole object, cut at the border. Every annotation has `track_id` and `visibility`; people have
    `keypoints` in COCO's order. Objects that are hardly seen, or lower than 6 pixels, have `iscrowd` 1.

    Raises:
        StorageError: the file cannot be written.
    """
    with open_output(path) as file:
        _write_truth(world, file)


def _write_truth(world: SimulatedWorld, file: TextIO) -> None:
    file.write(f'{{"info": {json.dumps({"description": f"{world.info.name}, simulated"})},\n"images": [')
    width, height = world.info.size_wh
    for index in range(world.n_frames):
        image = {
            "id": index + 1,
            "file_name": f"{index:06d}",
            "frame_index": index,
            "width": width,
            "height": height,
        }
        _write_item(file, image, is_first=index == 0)
    file.write('],\n"annotations": [')
    n_written, kinds = 0, set[str]()
    for index in range(world.n_frames):
        truth = world.truth(index)
        strangers = truth.strangers(_HARDLY_VISIBLE)
        kinds.update(one.kind for one in strangers)
        for one in (*truth.objects(_HARDLY_VISIBLE), *strangers):
            _write_item(file, _annotation(one, n_written + 1, index + 1), is_first=n_written == 0)
            n_written += 1
    categories = [_category(category_id, name) for name, category_id in _CATEGORY_IDS.items()
                  if name in STREET_6 or name in kinds]  # fmt: skip
    file.write(f'],\n"categories": {json.dumps(categories)}}}\n')


def _write_item(file: TextIO, item: dict[str, Any], *, is_first: bool) -> None:
    file.write(("\n" if is_first else ",\n") + json.dumps(item))


def _category(number: int, name: str) -> dict[str, Any]:
    category: dict[str, Any] = {"id": number, "name": name}
    if name == "person":
        category |= {"keypoints": list(JOINTS), "skeleton": [[a + 1, b + 1] for a, b in BONES]}
    return category


def is_counted(one: TrueObject) -> bool:
    """Whether a detector must find an object: enough of it is visible, and it is at least 6 pixels high."""
    return one.visible >= MIN_VISIBLE and one.box_xyxy[3] - one.box_xyxy[1] >= _MIN_HEIGHT_PX


def _annotation(one: TrueObject, number: int, image_id: int) -> dict[str, Any]:
    x1, y1, x2, y2 = one.box_xyxy
    annotation: dict[str, Any] = {
        "id": number, "image_id": image_id, "category_id": _CATEGORY_IDS[one.kind], "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1), "iscrowd": int(not is_counted(one)), "track_id": one.track_id,
        "visibility": round(one.visible, 3),
    }  # fmt: skip
    if one.joints is not None:
        annotation["keypoints"] = [round(float(value), 1) for value in one.joints.reshape(-1)]
        annotation["num_keypoints"] = int((one.joints[:, 2] > 0).sum())
    return annotation
