"""The command line before cameras that film now: real servers that go away, and a user who stops it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest

from edge_autotuner.core import CaptureEvent
from edge_autotuner.dataset import DatasetStore, FrameRecord
from support.cameras.live_servers import CameraServer
from support.runs.cli_runs import CliProcess, run_cli
from support.runs.run_samples import Samples, state_of

PASSWORD = "kl3in!es Geheimnis"
IMPATIENT = [
    *("--set", "capture.stream.read_timeout_s=1"),
    *("--set", "capture.stream.first_retry_s=0.1"),
    *("--set", "capture.stream.longest_retry_s=0.3"),
    *("--set", "capture.selection.empty_fraction=0"),
]
MANY = ("--set", "capture.max_images=5000")  # so that the next frame is due within a second, also in a long watch


def frames_of(folder: Path, split: str | None = None) -> list[FrameRecord]:
    with DatasetStore.open(folder / "dataset") as store:
        return store.frames(split)


def events_of(folder: Path) -> list[CaptureEvent]:
    with DatasetStore.open(folder / "dataset") as store:
        return store.events()


def has(folder: Path, n_frames: int) -> Callable[[], bool]:
    """Return whether the dataset has so many frames by now."""

    def look() -> bool:
        time.sleep(0.05)
        journal = folder / "dataset" / "journal.jsonl"
        return journal.exists() and journal.read_bytes().count(b'"kind":"frame"') >= n_frames

    return look


def told(folder: Path, *kinds: str) -> Callable[[], bool]:
    """Return whether the dataset has these events by now, in this order, with others between them."""

    def look() -> bool:
        time.sleep(0.05)
        happened = iter(event.kind for event in events_of(folder))
        return all(kind in happened for kind in kinds)

    return look


def require_no_secret(folder: Path, *texts: str) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for secret in (PASSWORD, quote(PASSWORD)):
        assert not [path for path in files if secret.encode() in path.read_bytes()]
        assert not [text for text in texts if secret in text]


@pytest.mark.slow
def test_the_whole_job_from_a_source_that_plays_now(samples: Samples, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    outcome = run_cli("run", samples.video, "--realtime", "-o", folder, "-c", samples.config)
    assert outcome.code == 0, outcome.err
    train, test = frames_of(folder, "train"), frames_of(folder, "test")
    assert train
    assert test
    assert max(record.time_s for record in train) < 7.2 <= min(record.time_s for record in test)  # 9 s, a fifth kept
    stamps = [datetime.fromisoformat(record.captured_at or "") for record in (*train, *test)]
    for (a, b), (at_a, at_b) in zip(pairwise((*train, *test)), pairwise(stamps), strict=True):
        assert abs((at_b - at_a).total_seconds() - (b.time_s - a.time_s)) < 2.0  # the two clocks are read in turn
    capture = state_of(folder)["capture"]["summary"]
    assert capture["is_live"]
    assert capture["n_frames"] + capture["n_dropped"] >= 85
    assert "watched" in (folder / "report.html").read_text()

    again = run_cli("run", samples.video, "--realtime", "-o", folder, "-c", samples.config)
    assert again.code == 0, again.err
    assert frames_of(folder, "train") == train


@pytest.mark.slow
def test_an_interrupted_watch_of_a_camera_goes_on(samples: Samples, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with CameraServer("mjpeg_server.py", CAMERA_PASSWORD=PASSWORD) as camera:
        address = f"http://viewer:{quote(PASSWORD)}@127.0.0.1:{camera.port}/private/moving"
        command = ("capture", address, "-o", folder, "-c", samples.config, "--duration", "8s", *IMPATIENT)
        first = CliProcess(tmp_path / "log1", *command)
        first.wait_until(has(folder, n_frames=2))
        first.send(signal.SIGINT)
        stopped = first.end()
        assert stopped.code == 130, stopped.err
        early = frames_of(folder)
        finished = CliProcess(tmp_path / "log2", *command).end()
        assert finished.code == 0, finished.err
    frames = frames_of(folder)
    assert early
    assert set(early) <= set(frames)
    assert len({record.key for record in frames}) == len(frames) > len(early)
    assert frames_of(folder, "test")
    require_no_secret(folder, stopped.out, stopped.err, finished.out, finished.err)

    gone = run_cli(*command)  # the camera is not needed any more
    assert gone.code == 0, gone.err


@pytest.mark.slow
def test_a_camera_that_goes_away_is_waited_for(samples: Samples, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with CameraServer("mjpeg_server.py") as camera:
        address = f"http://127.0.0.1:{camera.port}/moving"
        command = ("capture", address, "-o", folder, "-c", samples.config, "--duration", "1h", *IMPATIENT, *MANY)
        process = CliProcess(tmp_path / "log", *command)
        process.wait_until(has(folder, n_frames=2))
        camera.kill()
        process.wait_until(
            told(folder, "connected", "connection lost", "connection failed")
        )  # it stays away until then
        n_before = len(frames_of(folder))
        camera.start_again()
        process.wait_until(told(folder, "connected", "connection lost", "connection failed", "connected"))
        process.wait_until(has(folder, n_frames=n_before + 1))
        process.send(signal.SIGINT)
        outcome = process.end()
    assert outcome.code == 130, outcome.err
    assert len(frames_of(folder)) > n_before
    assert "next attempt within" in outcome.err


def test_wrong_credentials_end_at_once(samples: Samples, tmp_path: Path) -> None:
    with CameraServer("mjpeg_server.py", CAMERA_PASSWORD="another") as camera:
        address = f"http://viewer:{PASSWORD}@127.0.0.1:{camera.port}/private/moving".replace(" ", "%20")
        outcome = run_cli("capture", address, "-o", tmp_path / "run", "-c", samples.config)
    assert outcome.code == 3
    assert "401" in outcome.err
    assert PASSWORD not in outcome.err
    assert quote(PASSWORD) not in outcome.err


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        pytest.param("gopher://camera/1", 2, "gopher", id="unknown scheme"),
        pytest.param("rtsp://camera:${NO_SUCH_VARIABLE_SET}@host/1", 2, "NO_SUCH_VARIABLE_SET", id="unset variable"),
        pytest.param("/dev/video99", 3, "no such device", id="no webcam"),
    ],
)
def test_addresses_that_cannot_work(address: str, code: int, words: str, samples: Samples, tmp_path: Path) -> None:
    outcome = run_cli("capture", address, "-o", tmp_path / "run", "-c", samples.config)
    assert outcome.code == code
    assert words in outcome.err
