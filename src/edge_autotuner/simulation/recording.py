"""Writes a simulated camera as files that any tool reads: a video and COCO JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edge_autotuner.core import STREET_6, Detections, SourceInfo, xyxy_to_xywh
from edge_autotuner.core.types import ImageArray
from edge_autotuner.storage.outputs import write_output
from edge_autotuner.storage.video_writer import VideoWriter


def write_video_file(path: Path, images_bgr: Iterable[ImageArray], info: SourceInfo) -> None:
    """Encode pictures; the suffix of `path` chooses the container.

    Raises:
        ValueError: no container has this suffix.
        StorageError: the file cannot be written.
    """
    with VideoWriter(path, info.size_wh, rate_hz=info.rate_hz) as video:
        for image_bgr in images_bgr:
            video.add(image_bgr)
        video.finish()


def write_coco_truth(path: Path, truths: Iterable[Detections], info: SourceInfo) -> None:
    """Write one COCO image per frame, with `frame_index`, and its boxes; categories are `STREET_6` from 1 on.

    Raises:
        StorageError: the file cannot be written.
    """
    width, height = info.size_wh
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index, truth in enumerate(truths):
        name = f"{index:06d}"
        images.append({"id": index + 1, "file_name": name, "frame_index": index, "width": width, "height": height})
        for box_xywh, class_id in zip(xyxy_to_xywh(truth.boxes_xyxy).tolist(), truth.class_ids.tolist(), strict=True):
            annotations.append({
                "id": len(annotations) + 1, "image_id": index + 1, "category_id": class_id + 1,
                "bbox": box_xywh, "area": box_xywh[2] * box_xywh[3], "iscrowd": 0,
            })  # fmt: skip
    categories = [{"id": number, "name": name} for number, name in enumerate(STREET_6, start=1)]
    content = {
        "info": {"description": info.name},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    write_output(path, json.dumps(content))
