"""Longer recordings made of short ones, without encoding anything anew."""

from __future__ import annotations

import os
from pathlib import Path

import av
from av.video.stream import VideoStream


def repeated_clip(source: Path, path: Path, n_times: int) -> Path:
    """Return a video that shows another one over and over, made at `path` unless it is there.

    Args:
        source: a video of constant rate whose first frame can be decoded alone.
        path: the file to write; its suffix chooses the container.
        n_times: how often.
    """
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    with av.open(str(unfinished), mode="w") as target:
        for number in range(n_times):
            _append(source, target, number)
    unfinished.replace(path)
    return path


def _append(source: Path, target: av.container.OutputContainer, number: int) -> None:
    with av.open(str(source)) as video:
        template = video.streams.video[0]
        stream = target.streams.video[0] if number else target.add_stream_from_template(template)
        assert isinstance(stream, VideoStream), "video codecs make video streams"
        assert template.average_rate is not None, "the rate is constant"
        packets = [packet for packet in video.demux(template) if packet.size]
        length = round(len(packets) / template.average_rate / packets[0].time_base)
        for packet in packets:
            packet.stream = stream
            packet.pts = None if packet.pts is None else packet.pts + number * length
            packet.dts = None if packet.dts is None else packet.dts + number * length
            target.mux(packet)
