"""`edge-autotuner watch`: what it prints and writes, however it ends."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from edge_autotuner.cli.explain import describe_settings
from edge_autotuner.cli.settings import merge_settings
from edge_autotuner.cli.watch_screen import status_line, summary_text
from edge_autotuner.core import CaptureEvent, Frame
from edge_autotuner.errors import VideoError
from edge_autotuner.evaluation.report import MotionFacts
from edge_autotuner.pipeline.watch import WatchStatus
from edge_autotuner.simulation import SimulatedCamera
from helpers import REPOSITORY
from support.cameras.capture_samples import ListedFrames, scene_with_square
from support.runs.cli_runs import Outcome, run_cli

FIRST = ("--background", "first")


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a video of 9 s at 10 frames per second; its first two seconds are empty."""
    path = tmp_path_factory.mktemp("street") / "street.mp4"
    SimulatedCamera((192, 128), n_frames=90, rate_hz=10.0, seed=3).write_video(path)
    return path


def n_pictures_of(video: Path) -> int:
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_what_is_seen_is_told_and_drawn(street: Path, tmp_path: Path) -> None:
    video, pictures = tmp_path / "seen.mp4", tmp_path / "seen"
    outcome = run_cli("watch", street, "--every", "2s", "--video", video, "--pictures", pictures, *FIRST)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == "watching street.mp4; press Ctrl-C to stop"
    assert [line.split()[0] for line in lines[1:5]] == ["0:02", "0:04", "0:06", "0:08"]
    assert all(line.endswith("frames/s") for line in lines[1:5])
    assert lines[5] == ""
    assert any(re.fullmatch("Frames compared with the background +89 of 90", line) for line in lines)
    assert lines[-2:] == [str(video), str(pictures)]
    assert n_pictures_of(video) == 90
    assert len(list(pictures.glob("*.jpg"))) == 5


def test_nothing_is_captured(street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_cli("watch", street, "--duration", "1s").code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("duration", "n"), [("1s", 10), ("3.5s", 35), ("1h", 90)])
def test_it_stops_in_time(duration: str, n: int, street: Path) -> None:
    outcome = run_cli("watch", street, "--duration", duration, *FIRST)
    assert f" {n - 1} of {n}\n" in outcome.out


def test_settings_are_those_of_the_capture(street: Path, tmp_path: Path) -> None:
    config = tmp_path / "camera.yaml"
    config.write_text("capture: {motion: {ignore: [[[0, 0], [1, 0], [1, 1], [0, 1]]]}, background: {method: first}}")
    outcome = run_cli("watch", street, "--config", config)
    assert re.search(r"^Frames without motion +89 \(100%\)$", outcome.out, flags=re.MULTILINE)
    assert "no motion" in outcome.out.splitlines()[-1]
    again = run_cli("watch", street, "--config", config, "--set", "capture.motion.ignore=[]")
    assert "89 (100%)" not in again.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--duration", "soon"), 2, "'soon' is not a duration"),
        (("--every", "0s"), 2, "a duration must be positive"),
        (("--video", "seen.avi"), 2, "the name must end in .mp4 or .mkv"),
        (("--video", "no/folder/seen.mp4"), 12, "does not exist; create it"),
        (("--set", "capture.motion.ignore=[[[0, 0], [9, 0], [9, 9]]]"), 2, "outside the frame"),
        (("--sensitivity", "extreme"), 2, "sensitivity"),
    ],
)
def test_mistakes_are_found_before_anything_is_opened(
    arguments: tuple[str, ...], code: int, words: str, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run_cli("watch", street, *arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert len(outcome.complaints) == 1
    assert words in outcome.complaints[0]
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    outcome = run_cli("watch", tmp_path / "none.mp4", "--video", tmp_path / "seen.mp4")
    assert (outcome.code, outcome.out) == (3, "")
    assert len(outcome.complaints) == 1
    assert list(tmp_path.iterdir()) == []


class BrokenFrames(ListedFrames):
    """Twelve frames, an event, and an error."""

    def __init__(self, error: BaseException, on_event: Callable[[CaptureEvent], None]) -> None:
        super().__init__([scene_with_square(i, 40 if i > 3 else None) for i in range(12)], name="cam-12")
        self._error = error
        self._on_event = on_event

    def frames(self) -> Iterator[Frame]:
        """Yield the frames and raise the error."""
        yield from super().frames()
        self._on_event(CaptureEvent("connection lost", 71.0, None, "cam-12 hung up; next attempt in 2 s"))
        raise self._error


def watch_broken(error: BaseException, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    def open_source(_address: str, _stream: object, *, on_event: Callable[[CaptureEvent], None], **_: Any) -> Any:
        return BrokenFrames(error, on_event)

    monkeypatch.setattr("edge_autotuner.cli.watch_screen.open_source", open_source)
    outputs = ("--video", folder / "seen.mkv", "--pictures", folder / "seen")
    return run_cli("watch", "rtsp://admin:hunter2@cam-12/1", *outputs, *FIRST)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        pytest.param(KeyboardInterrupt(), 130, "interrupted; repeat the command to start again", id="Ctrl-C"),
        pytest.param(VideoError("cam-12 is damaged; mend it"), 3, "cam-12 is damaged", id="error"),
    ],
)
def test_however_it_ends_what_was_seen_is_complete(
    error: BaseException, code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = watch_broken(error, tmp_path, monkeypatch)
    assert outcome.code == code
    assert len(outcome.complaints) == 1
    assert words in outcome.complaints[0]
    assert "    1:11  connection lost: cam-12 hung up; next attempt in 2 s\n" in outcome.out
    assert " 11 of 12\n" in outcome.out
    assert n_pictures_of(tmp_path / "seen.mkv") == 12
    assert len(list((tmp_path / "seen").glob("*.jpg"))) == 1
    assert "hunter2" not in outcome.out + outcome.err


def status(**values: Any) -> WatchStatus:
    given = {
        "time_s": 3725.0, "background_known": True, "n_regions": 0, "motion_fraction": 0.0, "n_frames": 50,
        "still_fraction": 0.38, "frames_per_s": 24.96,
    }  # fmt: skip
    return WatchStatus(**(given | values))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "no motion"),
        ({"background_known": False}, "learning the background"),
        ({"n_regions": 1, "motion_fraction": 0.031}, "1 region covers 3.1%"),
        ({"n_regions": 2, "motion_fraction": 0.25}, "2 regions cover 25%"),
    ],
)
def test_a_status_is_one_line(values: dict[str, Any], words: str) -> None:
    line = status_line(status(**values))
    assert line.startswith(" 1:02:05  ")
    assert words in line
    assert "no motion in 38% of 50 frames" in line
    assert line.endswith("25.0 frames/s")


def test_no_frame_no_numbers() -> None:
    assert summary_text(MotionFacts((80, 60), 0, 0, 0)) == "no frame received"


WITHOUT_TORCH = """
import sys
import edge_autotuner.cli.app, edge_autotuner.cli.watch_screen
print(sorted({"torch", "onnx", "jinja2", "safetensors"} & set(sys.modules)))
"""


def test_it_needs_no_torch() -> None:
    environment = {"PYTHONPATH": str(REPOSITORY / "src"), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_what_the_guide_shows_can_be_typed(tmp_path: Path) -> None:
    guide = (REPOSITORY / "docs" / "how-to" / "tune-the-gate.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", guide, flags=re.DOTALL)
    (tmp_path / "camera.yaml").write_text(block)
    motion = merge_settings(tmp_path / "camera.yaml", None, {}).capture.motion
    assert (len(motion.ignore), len(motion.watch)) == (2, 1)
    named = set(re.findall(r"`(capture\.[a-z_.]+)", guide))
    assert named <= {key for key, _, _ in describe_settings()}
    assert len(named) > 8
