r"""The 1080p clip of the speed benchmark: a real scene enlarged, with a little sensor noise.

The same pictures come from

    ffmpeg -i vtest.avi -frames:v 240 -an \
        -vf "scale=1920:1080:flags=bicubic,noise=all_seed=1:alls=4:allf=t,format=yuv420p" \
        -c:v libx264 -preset veryfast -crf 23 -threads 1 clip.mp4
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge_autotuner.errors import MissingDependency

SOURCE = "scenes/pets2009_s2l1/vtest.avi"
SIZE_WH = (1920, 1080)
_FILTERS = (("scale", f"{SIZE_WH[0]}:{SIZE_WH[1]}:flags=bicubic"), ("noise", "all_seed=1:alls=4:allf=t"),
            ("format", "yuv420p"))  # fmt: skip
_ENCODER = {"preset": "veryfast", "crf": "23", "threads": "1"}


def clip_of(data: Path, folder: Path, n_frames: int) -> Path:
    """Return the clip with so many frames, made in `folder` unless it is there.

    Raises:
        MissingDependency: PyAV was built without the H.264 encoder.
    """
    path = folder / f"clip-1080p-{n_frames}.mp4"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
        _encode(data / SOURCE, unfinished, n_frames)
        unfinished.replace(path)
    return path


def _encode(source: Path, path: Path, n_frames: int) -> None:
    if "libx264" not in av.codecs_available:
        raise MissingDependency("the clip needs FFmpeg's encoder libx264; install a PyAV wheel from PyPI")
    with av.open(str(source)) as video, av.open(str(path), mode="w") as container:
        stream = container.add_stream("libx264", rate=video.streams.video[0].average_rate, options=_ENCODER)
        assert isinstance(stream, VideoStream), "video codecs make video streams"
        (stream.width, stream.height), stream.pix_fmt = SIZE_WH, "yuv420p"
        for picture in _filtered(video.decode(video=0), video.streams.video[0], n_frames):
            picture.pict_type = 0  # the encoder chooses, not the source
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _filtered(pictures: Iterator[VideoFrame], template: VideoStream, n_frames: int) -> Iterator[VideoFrame]:
    graph = Graph()
    nodes = [graph.add_buffer(template=template), *(graph.add(name, options) for name, options in _FILTERS)]
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes).configure()
    for picture in islice(pictures, n_frames):
        graph.push(picture)
        yield graph.vpull()
