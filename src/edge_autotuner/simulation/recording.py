"""Writes a simulated camera as files that any tool reads: a video and COCO JSON."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError
from av.video.stream import VideoStream

from edge_autotuner.core import STREET_6, Detections, SourceInfo, xyxy_to_xywh
from edge_autotuner.core.types import ImageArray
from edge_autotuner.errors import StorageError

_ENCODERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"crf": "20", "preset": "veryfast"}),
    ("mpeg4", {"qscale": "3"}),
)
"""Best first; the second one is part of every FFmpeg."""


def write_video_file(path: Path, images_bgr: Iterable[ImageArray], info: SourceInfo) -> None:
    """Encode pictures; the suffix of `path` chooses the container.

    Raises:
        StorageError: the file cannot be written.
    """
    codec, options = next((name, opts) for name, opts in _ENCODERS if name in av.codecs_available)
    with _replaced_when_done(path) as unfinished, av.open(str(unfinished), mode="w") as container:
        stream = container.add_stream(codec, rate=Fraction(info.rate_hz).limit_denominator(1000), options=options)
        assert isinstance(stream, VideoStream), "video codecs make video streams"
        stream.width, stream.height = info.size_wh
        stream.pix_fmt = "yuv420p"
        for image_bgr in images_bgr:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image_bgr, format="bgr24")))
        container.mux(stream.encode(None))


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
    with _replaced_when_done(path) as unfinished:
        unfinished.write_text(json.dumps(content), encoding="utf-8")


@contextlib.contextmanager
def _replaced_when_done(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; it takes the place of `path` only after everything is written."""
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except (OSError, FFmpegError) as exc:
        raise StorageError(f"cannot write {path}: {exc}; check the folder's rights and the free space") from exc
    finally:
        unfinished.unlink(missing_ok=True)
