"""The load benchmark of the service: its pictures, its sums, its tables."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.service import load, tables
from benchmarks.service.cameras import CROP_SIZE_WH, Crops, Measured
from benchmarks.service.stub import N_BOXES, CallCost, StubTeacher
from edge_autotuner.core import Detector
from edge_autotuner.dataset.picture_header import read_header


def test_every_crop_is_another_file_with_the_same_picture() -> None:
    crops = Crops()
    one, two = crops.next(), crops.next()
    assert one != two
    assert read_header(one).size_wh == CROP_SIZE_WH
    decoded = [cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) for content in (one, two)]
    assert np.array_equal(*decoded)


def test_the_stub_sees_boxes_in_every_picture_of_a_batch() -> None:
    stub = StubTeacher(CallCost(0, 0))
    assert isinstance(stub, Detector)
    image = np.zeros((10, 10, 3), np.uint8)
    assert [len(found) for found in stub.detect_batch([image] * 3)] == [N_BOXES] * 3


def test_more_cameras_make_more_requests() -> None:
    plan = load.Plan(n_requests=100)
    assert [plan.requests_of(n) for n in load.N_CAMERAS] == [100, 200, 400]


def test_percentiles_are_in_milliseconds() -> None:
    assert Measured(latencies_s=[0.001, 0.002, 0.003]).percentile_ms(50) == 2.0


def row(mode: str, cameras: int) -> dict[str, object]:
    return {
        "mode": mode, "cameras": cameras, "requests_per_s": 80.4, "p50_ms": 12.34, "p99_ms": 20.0,
        "pictures_per_call": 1.0, "cpu_ms_per_request": 1.5, "memory_mb": 120.0,
    }  # fmt: skip


def test_tables_say_what_was_measured() -> None:
    results = {
        "load": {
            "rows": [row("batching", 1)],
            "cost": {"per_call_ms": 10.0, "per_picture_ms": 2.0},
            "overhead_ms_p50": 1.234,
            "floor": {"tcp_ms": 0.141, "thread_ms": 0.09},
        },
        "memory": {
            "n_requests": 100_000, "settled_after_requests": 30_000, "growth_mb": -0.26, "highest_mb": 150.0,
        },
    }  # fmt: skip
    assert tables.load_table(results).splitlines()[-1] == "| 1 | batching | 80 | 12.3 | 20.0 | 1.0 | 1.50 | 120 |"
    assert "adds 1.23 ms" in tables.overhead_line(results)
    assert "takes 0.14 ms over TCP and 0.09 ms to another thread" in tables.overhead_line(results)
    assert "Over 100,000 requests, memory changed by -0.3 MB after the first 30,000" in tables.memory_line(results)
