"""The node benchmarks: the proxy that counts, the clip that repeats, the sums, the tables."""

from __future__ import annotations

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.node import tables, uplink
from benchmarks.node.clips import repeated_clip
from benchmarks.node.counting_proxy import CountingProxy
from benchmarks.node.process import Line
from benchmarks.node.rate import summarize
from benchmarks.node.results import RESULTS
from benchmarks.service import tables as service_tables
from edge_autotuner.capture import VideoFile
from edge_autotuner.config.node import BatchConfig
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.simulation import SimulatedCamera

MACHINE = {"cpu": "Fast 9000", "cores": 4, "python": "3.11.2", "opencv": "5.0", "pyav": "18.1"}


class Echo(BaseHTTPRequestHandler):
    """Gives back what was sent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def test_every_byte_of_a_connection_is_counted() -> None:
    server = HTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with CountingProxy(server.server_address[1]) as proxy:
        host, port = proxy.url.removeprefix("http://").split(":")
        client = http.client.HTTPConnection(host, int(port))
        client.putrequest("POST", "/", skip_host=True, skip_accept_encoding=True)
        client.putheader("Content-Length", "100000")
        client.endheaders(bytes(100_000))
        assert client.getresponse().read() == bytes(100_000)
        client.close()
    server.shutdown()
    server.server_close()
    thread.join()
    assert proxy.n_up == len("POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n") + 100_000
    assert proxy.n_down == len("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n") + 100_000


def test_a_repeated_clip_shows_the_same_pictures_again(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    SimulatedCamera((64, 64), 7, rate_hz=10.0).write_video(clip)
    once = [frame.luma.copy() for frame in VideoFile(clip).frames()]
    twice = VideoFile(repeated_clip(clip, tmp_path / "twice.mp4", 2))
    assert twice.info.n_frames == 14
    shown = [(frame.time_s, frame.luma.copy()) for frame in twice.frames()]
    assert [time_s for time_s, _ in shown] == pytest.approx([index / 10 for index in range(14)])
    assert all(np.array_equal(luma, once[index % 7]) for index, (_, luma) in enumerate(shown))


def line(arrived_s: float, index: int, captured_at: str | None) -> Line:
    return Line(arrived_s, json.dumps({"frame_index": index, "captured_at": captured_at}))


def test_reports_become_rate_latency_and_drops() -> None:
    lines = [
        line(0.05, 10, "1970-01-01T00:00:00+00:00"),
        line(0.15, 11, "1970-01-01T00:00:00.100+00:00"),
        line(0.45, 14, "1970-01-01T00:00:00.400+00:00"),
    ]
    measured = summarize(lines, tuning_cores=0.5, other_cores=0.0)
    assert measured.frames_per_s == pytest.approx(2 / 0.4)
    assert measured.p50_ms == pytest.approx(50)
    assert measured.p99_ms == pytest.approx(50)
    assert (measured.n_frames, measured.n_dropped) == (3, 2)


def test_a_recording_that_is_not_live_has_no_latency() -> None:
    measured = summarize([line(1.0, 0, None), line(1.5, 1, None)], tuning_cores=0.0, other_cores=0.0)
    assert (measured.frames_per_s, measured.p50_ms, measured.p99_ms) == (2.0, None, None)


def test_a_node_that_says_nothing_is_not_measured() -> None:
    with pytest.raises(EdgeAutotunerError, match="reported 1 frames"):
        summarize([line(1.0, 0, None)], tuning_cores=0.0, other_cores=0.0)


def rate(**one: Any) -> dict[str, Any]:
    return {
        "frames_per_s": 10.0, "p50_ms": 20.4, "p99_ms": 40.0, "gap_p99_ms": 110.0, "n_frames": 100, "n_dropped": 0,
        "tuning_cores": 0.0, "other_cores": 0.02, **one,
    }  # fmt: skip


RATE = {
    "rate": {
        "machine": MACHINE,
        "window_s": 10.0,
        "max_cpu_percent": 50.0,
        "load_before": 0.1,
        "rounds": {
            "annotation": [
                rate(pace="own pace", tuning=None),
                rate(pace="own pace", tuning="idle", frames_per_s=9.9, n_dropped=1, tuning_cores=0.95),
            ],
            "training": [
                rate(pace="own pace", tuning=None),
                rate(pace="own pace", tuning="idle", frames_per_s=9.5, tuning_cores=1.0),
            ],
        },
    }
}
UPLINK = {
    "uplink": {
        "jpeg_quality": 90,
        "batch": {"max_frames": 300, "max_test_images": 200, "max_age_s": 21600.0, "pause_s": 86400.0},
        "rows": [
            {
                "clip": "PETS",
                "plain": {
                    "n_frames": 795, "video_s": 79.5, "n_moving": 700, "frame_bytes": 79_500_000,
                    "moving_bytes": 70_000_000,
                },
                "sent": {
                    "defaults": {"n_train": 300, "n_test": 190, "up_bytes": 588_000_000, "down_bytes": 1},
                    "jpg": {"n_train": 300, "n_test": 190, "up_bytes": 58_800_000, "down_bytes": 1},
                },
            }
        ],
    }
}  # fmt: skip


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines()[2:]]


def test_bytes_are_per_hour_of_the_camera() -> None:
    """490 frames were counted; a full batch has 500, in 6 hours, and then there is a pause of 24."""
    assert rows(tables.uplink_table(UPLINK)) == [
        ["PETS", "every frame as JPEG", "795", "80", "3,600", "", "3,600"],
        ["", "frames with motion as JPEG", "700", "70", "3,170", "88 %", "3,170"],
        ["", "**node, defaults** (PNG, full resolution)", "490", "588", "100", "2.8 %", "20"],
        ["", "node, `picture_format: jpg`", "490", "59", "10", "0.28 %", "2.0"],
    ]
    note = tables.uplink_note(UPLINK)
    assert "PETS 79.5 s" in note
    assert "(300 for training, 200 for the evaluation)" in note
    assert "the 6 hours that a batch takes" in note
    assert "the pause of 24 hours" in note


def test_the_committed_bytes_are_of_a_full_run() -> None:
    stored = json.loads(RESULTS.read_text(encoding="utf-8"))["uplink"]
    assert [row["clip"] for row in stored["rows"]] == list(uplink.CLIPS)
    assert all(list(row["sent"]) == list(uplink.WAYS) for row in stored["rows"])
    assert stored["batch"]["max_frames"] == BatchConfig().max_frames


def test_the_rate_is_compared_within_its_round() -> None:
    table = rows(tables.rate_table(RATE))
    assert table[1] == ["own pace", "annotation", "idle", "9.9", "0.99", "20", "40", "1", "0.95", "0.02"]
    assert table[3][1:5] == ["training", "idle", "9.5", "0.95"]
    assert table[0][1:5] == ["nothing", "", "10.0", ""]
    assert tables.kept_rate(RATE, pace="own pace", tuning="idle") == pytest.approx(0.95), "the worst of all rounds"
    assert tables.kept_rate(RATE, pace="own pace", tuning="low") is None


@pytest.mark.parametrize(("overhead_ms", "is_met"), [(1.99, "yes"), (2.0, "**no**")])
def test_aims_are_met_or_not(overhead_ms: float, is_met: str) -> None:
    service = {"load": {"overhead_ms_p50": overhead_ms}}
    found = {row[0]: row[1:] for row in rows(service_tables.aim_table(service, RATE))}
    assert found["what the service adds to a request, p50, ms"][-1] == is_met
    kept = found["detection beside tuning at default priority, share of its rate without"]
    assert kept == [">= 0.99", "0.95", "**no**"]
    assert found["memory over 100,000 requests"] == ["flat", "not measured", ""]


@pytest.mark.parametrize(
    "write",
    [
        tables.uplink_table, tables.uplink_note, tables.rate_table, tables.rate_note, service_tables.load_table,
        service_tables.overhead_line, service_tables.memory_line, service_tables.machine_note,
    ],
    ids=lambda write: write.__name__,
)  # fmt: skip
def test_what_is_missing_is_not_measured(write: Any) -> None:
    text = write({})
    assert "not measured" in text.lower()
    assert len({row.count("|") for row in text.splitlines()}) == 1
