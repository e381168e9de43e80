"""What a node sends for one batch, over real HTTP, beside every frame and every frame with motion as JPEG.

The node, the service and the connection are real; only the service's model is a stub, because its answers change
nothing that is sent. A batch of the default settings is spread over six hours. A clip is shorter, so it stands for
these hours: `batch.max_age_s` is its length, everything else is the default, and frames are chosen from all of it. The
node reads the recording as fast as it can and misses no frame, so the same bytes are sent in every run.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.node.counting_proxy import CountingProxy
from benchmarks.node.process import NodeProcess
from benchmarks.node.results import store
from benchmarks.scenes import data_folder
from benchmarks.service.load import Server, stub_server
from benchmarks.service.stub import MODEL, CallCost
from edge_autotuner.capture import MotionGate, VideoFile
from edge_autotuner.client.pictures import encode_for_travel
from edge_autotuner.config import BackgroundConfig, CaptureConfig, MotionConfig
from edge_autotuner.config.annotation import REMOTE
from edge_autotuner.config.node import BatchConfig
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core import NoProgress, Progress

CLIPS = {
    "PETS": "scenes/pets2009_s2l1/vtest.avi",
    "highway": "scenes/cdnet_highway/highway.avi",
    "one by one (unlabelled)": "scenes/unlabelled/intel_one-by-one.mp4",
}

WAYS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "jpg": {"picture_format": "jpg"},
    "jpg, input size": {"picture_format": "jpg", "send": "input size"},
}
"""How pictures travel: settings of `annotation.service`."""

_AS_JPEG = ServiceConfig(picture_format="jpg")
_LONGEST_S = 1800.0  # for one batch, on a busy machine
_DEFAULT = BatchConfig()


@dataclass(frozen=True)
class BatchSize:
    """How many frames a batch may have.

    Attributes:
        max_frames: for training.
        max_test_images: for the evaluation.
    """

    max_frames: int = _DEFAULT.max_frames
    max_test_images: int = CaptureConfig().max_test_images


_QUICK = BatchSize(20, 20)


@dataclass(frozen=True)
class Plain:
    """What a camera without a node would send.

    Attributes:
        n_frames: of the clip.
        video_s: its length.
        n_moving: frames in which the gate, with its defaults, sees motion.
        frame_bytes: of all frames as JPEG.
        moving_bytes: of those with motion.
    """

    n_frames: int
    video_s: float
    n_moving: int
    frame_bytes: int
    moving_bytes: int


@dataclass(frozen=True)
class Sent:
    """What the node sent for one batch.

    Attributes:
        n_train: training frames.
        n_test: frames for the evaluation.
        up_bytes: all that went to the service, HTTP included.
        down_bytes: all that came back.
    """

    n_train: int
    n_test: int
    up_bytes: int
    down_bytes: int


def run_uplink(*, quick: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Measure all clips in all ways, store the results, and return them.

    Args:
        quick: one clip, batches of a few frames, nothing stored: to see that it works.
        progress: told of clips.

    Raises:
        ConfigError: there is no data folder.
    """
    progress = progress or NoProgress()
    clips = dict(list(CLIPS.items())[:1]) if quick else CLIPS
    size = _QUICK if quick else BatchSize()
    progress.start("clips", len(clips) * (1 + len(WAYS)))
    rows = []
    for name, path in clips.items():
        clip = data_folder() / path
        plain = measure_plain(clip)
        progress.advance()
        sent = {}
        for way, service in WAYS.items():
            sent[way] = asdict(measure_batch(clip, plain.video_s, size, service))
            progress.advance()
        rows.append({"clip": name, "plain": asdict(plain), "sent": sent})
    progress.finish()
    results = {
        "machine": describe_machine(),
        "jpeg_quality": _AS_JPEG.jpeg_quality,
        "batch": {**asdict(size), "max_age_s": _DEFAULT.max_age_s, "pause_s": _DEFAULT.pause_s},
        "rows": rows,
    }
    if not quick:
        store("uplink", results)
    return results


def measure_plain(clip: Path) -> Plain:
    """Encode every frame as the node would, and count; frames with motion once more by themselves."""
    n_frames = n_moving = frame_bytes = moving_bytes = 0
    video = VideoFile(clip)
    for has_motion, n_bytes in _encoded(video):
        n_frames, frame_bytes = n_frames + 1, frame_bytes + n_bytes
        if has_motion:
            n_moving, moving_bytes = n_moving + 1, moving_bytes + n_bytes
    return Plain(n_frames, n_frames / video.info.rate_hz, n_moving, frame_bytes, moving_bytes)


def measure_batch(clip: Path, video_s: float, size: BatchSize, service: dict[str, Any]) -> Sent:
    """Let a node collect a batch and have it labelled; return what was sent until then.

    Args:
        clip: what the camera shows.
        video_s: its length, which is the batch's age as well.
        size: of the batch.
        service: how pictures travel.
    """
    with (
        tempfile.TemporaryDirectory(prefix="node-") as folder,
        stub_server(CallCost(0.0, 0.0)) as server,
        CountingProxy(int(server.url.rpartition(":")[2])) as proxy,
    ):
        settings = _settings(Path(folder), server, proxy.url, video_s, size, service)
        with NodeProcess(Path(folder), clip, settings) as node:
            run = node.folder.lock / "00000001"
            node.wait_until(lambda: _is_labelled(run), longest_s=_LONGEST_S)
            up_bytes, down_bytes = proxy.n_up, proxy.n_down
        summary = json.loads((run / "state.json").read_text(encoding="utf-8"))["capture"]["summary"]
    return Sent(summary["n_train"], summary["n_test"], up_bytes, down_bytes)


def _settings(
    folder: Path, server: Server, url: str, video_s: float, size: BatchSize, service: dict[str, Any]
) -> dict[str, Any]:
    token_file = folder / "token"
    token_file.touch(0o600)
    token_file.write_text(server.token, encoding="ascii")
    reach = {"url": url, "token_file": str(token_file), **service}
    return {
        "run": {
            "annotation": {"teacher": f"{REMOTE}{MODEL}", "service": reach},
            "capture": {"max_test_images": size.max_test_images},
        },
        "batch": {
            "max_frames": size.max_frames,
            "min_frames": min(_DEFAULT.min_frames, size.max_frames),
            "max_age_s": video_s,
        },
        "detect": {"max_rate_hz": 0.1},  # what the deployed model sees changes nothing that is sent
        "background": {"priority": "normal", "max_cpu_percent": 100},  # neither does this
    }


def _is_labelled(run: Path) -> bool:
    try:
        return "annotation" in json.loads((run / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False


def _encoded(video: VideoFile) -> Iterator[tuple[bool, int]]:
    gate = MotionGate(MotionConfig(), BackgroundConfig())
    for frame in video.frames():
        motion = gate.look(frame)
        yield motion.has_motion, len(encode_for_travel(frame.image_bgr, frame.size_wh, _AS_JPEG).content)
