"""What decoding a picture costs the service beside OpenCV alone: usual pictures, and hostile ones.

CPU time, of the thread that asks and of its decoder process together, so that other work on the machine changes little.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.result_file import store_result
from benchmarks.service.hostile_pictures import png_bomb, scan_bomb, text_bomb
from benchmarks.service.load import RESULTS
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.server.annotation.decoders import Decoders
from edge_autotuner.server.annotation.pictures import Upload, check_picture
from edge_autotuner.server.problems import Problem

MAX_PIXELS = 25_000_000
_N_TIMES = 40
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}


@dataclass(frozen=True)
class Case:
    """A picture to decode.

    Attributes:
        name: what it is.
        content: the file.
        suffix: of its kind.
        n_times: how often.
    """

    name: str
    content: bytes
    suffix: str
    n_times: int = 1


def run_decoding(*, quick: bool = False) -> dict[str, Any]:
    """Measure, store unless quick, and return the results."""
    rows = [_measured(case) for case in (*usual(quick=quick), *hostile(quick=quick))]
    results: dict[str, Any] = {"machine": describe_machine(), "rows": rows}
    if not quick:
        store_result(RESULTS, "decoding", results)
    return results


def usual(*, quick: bool) -> list[Case]:
    """Return pictures as nodes send them: frames and crops of a blurred, noisy scene."""
    n_times = 2 if quick else _N_TIMES
    return [
        Case(f"{size_wh[0]}x{size_wh[1]} {suffix[1:]}", _encoded(scene(size_wh), suffix), suffix, n_times)
        for size_wh in ((416, 416), (1920, 1080))
        for suffix in _KINDS
    ]


def hostile(*, quick: bool) -> list[Case]:
    """Return pictures that cost as much as their format allows."""
    n_mb, n_texts = (64, 10) if quick else (14_000, 900)
    return [
        Case("64x64 png, rows of 14 GB", png_bomb((64, 64), n_mb), ".png"),
        Case("5000x5000 png, rows of 14 GB", png_bomb((5000, 5000), n_mb), ".png"),
        Case("64x64 png, texts of 7 GB", text_bomb((64, 64), n_texts), ".png"),
        Case("1000x1000 png, texts of 7 GB", text_bomb((1000, 1000), n_texts), ".png"),
        Case("500x500 jpg, 100 scans", scan_bomb((500, 500), 100), ".jpg"),
        Case("1600x1600 jpg, 100 scans", scan_bomb((1600, 1600), 100), ".jpg"),
    ]


def scene(size_wh: SizeWH) -> ImageArray:
    """Return a picture that compresses as those of a camera do."""
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8), (0, 0), 3)
    return np.asarray(image // 2 + rng.integers(0, 12, image.shape, np.uint8), np.uint8)


def _encoded(image: ImageArray, suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, image)[1])


def _measured(case: Case) -> dict[str, Any]:
    decoders = Decoders(max_pixels=MAX_PIXELS, max_wait_s=600)
    answer = "decoded"

    def decode() -> None:
        nonlocal answer
        try:
            decoders.decode(check_picture(Upload(case.content, _KINDS[case.suffix]), max_pixels=MAX_PIXELS))
        except Problem as exc:
            answer = f"refused ({exc.status})"

    decode()  # starts the process
    cpu_s = _cpu_s(decode, case.n_times, decoders)
    alone_s = _cpu_s(lambda: _decode_alone(case.content), case.n_times)
    return {
        "name": case.name,
        "n_bytes": len(case.content),
        "opencv_ms": round(1000 * alone_s, 2),
        "service_ms": round(1000 * cpu_s, 2),
        "answer": answer,
    }


def _decode_alone(content: bytes) -> None:
    cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def _cpu_s(work: Callable[[], None], n_times: int, decoders: Decoders | None = None) -> float:
    """Return the CPU time of some work, this process and the decoder's together, mean of so many times."""
    process = None if decoders is None else getattr(decoders._own, "process", None)
    started_s = time.process_time() + _cpu_of(process)
    for _ in range(n_times):
        work()
    return (time.process_time() + _cpu_of(process) - started_s) / n_times


def _cpu_of(process: Any) -> float:  # noqa: ANN401 (private to the decoders)
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S
