"""Every command that writes where the user says is known, with the rule that keeps it from destroying anything."""

from __future__ import annotations

import hashlib
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from edge_autotuner.cli.app import app
from support.runs.cli_runs import run_cli
from support.runs.run_samples import FinishedRun

WRITTEN = {
    ("run", "output"): "check_output_folder",
    ("capture", "output"): "check_output_folder",
    ("run", "replay"): "check_output_folder",
    ("tune", "replay"): "a reservoir; a folder that is none is refused",
    ("replay add", "reservoir"): "check_output_folder",
    ("replay forget", "reservoir"): "a reservoir; a folder that is none is refused",
    ("watch", "video"): "check_output_file",
    ("watch", "pictures"): "check_output_folder",
    ("detect", "output"): "check_output_file",
    ("simulate", "video"): "check_output_file",
    ("simulate", "ground_truth"): "check_output_file",
    ("keys new", "key"): "check_output_place; a key is never overwritten",
    ("keys sign", "bundle"): "the signature beside a bundle",
    ("jobs fetch", "output"): "check_output_folder",
    ("jobs tune", "folder"): "the folder of a run",
    ("forget", "output"): "the folder of a run",
    **{(stage, "folder"): "the folder of a run" for stage in ("annotate", "tune", "evaluate", "export", "report")},
    ("serve", "data"): "check_output_folder",
    ("work", "data"): "the service's own folder",
}
READ = {
    "config", "ground_truth", "test_source", "models_dir", "bundle", "token_file", "ca_file", "folder", "key", "data",
    "source", "reservoir",
}  # fmt: skip


def path_parameters() -> Iterator[tuple[str, str]]:
    """Yield command and name of every parameter that is a path."""
    waiting = [("", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        children = getattr(command, "commands", {})
        waiting += [(f"{name} {child}".strip(), inner) for child, inner in children.items()]
        hints = typing.get_type_hints(inspect.unwrap(command.callback)) if command.callback else {}
        for parameter, hint in hints.items():
            if Path in {hint, *typing.get_args(hint)}:
                yield name, parameter


def test_every_path_is_known_as_written_or_read() -> None:
    unknown = [place for place in path_parameters() if place not in WRITTEN and place[1] not in READ]
    assert unknown == [], "say in WRITTEN what keeps this output from destroying something, or list it in READ"
    assert set(WRITTEN) <= set(path_parameters())


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a video in the working directory, with its boxes beside it."""
    monkeypatch.chdir(tmp_path)
    assert run_cli("simulate", "clip.mp4", "--frames", "20", "--size", "128x96", "--ground-truth", "gt.json").code == 0
    Path("link.mp4").symlink_to("clip.mp4")
    Path("pictures").mkdir()
    Path("pictures/0.png").write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "watch clip.mp4 --video clip.mp4 --overwrite",
        "watch clip.mp4 --video link.mp4 --overwrite",
        "watch clip.mp4 --video ../{folder}/clip.mp4 --overwrite",
        "watch pictures --pictures pictures",
        "watch pictures --pictures pictures/seen",
        "watch pictures --video pictures/seen.mp4",
        "watch link.mp4 --video gt.json --overwrite",
        "watch clip.mp4 --pictures gt.json",
        "watch clip.mp4 --video pictures",
        "watch clip.mp4 --pictures pictures",
        "watch clip.mp4 --pictures bundle",
        "watch clip.mp4 --pictures bundle/seen",
        "watch clip.mp4 --pictures new.mp4 --video new.mp4",
        "capture clip.mp4 -o bundle",
        "run clip.mp4 -o bundle/run",
        "detect bundle clip.mp4 -o clip.mp4 --overwrite",
        "detect bundle clip.mp4 -o link.mp4 --overwrite",
        "detect bundle clip.mp4 -o gt.json --ground-truth gt.json --overwrite",
        "detect bundle clip.mp4 -o gt.json",
        "detect bundle clip.mp4 -o bundle/bundle.json --overwrite",
        "simulate clip.mp4 --frames 4",
        "simulate new.mp4 --frames 4 --ground-truth new.mp4",
        "simulate new.mp4 --frames 4 --ground-truth gt.json",
        "run pictures -o pictures",
        "run pictures -o pictures/run",
        "run clip.mp4 -o clip.mp4",
        "run clip.mp4 -o gt.json",
        "capture pictures -o pictures/run",
        "run clip.mp4 -o run --replay pictures --set evaluation.test_source=pictures",
        "keys new gt.json",
        "keys new bundle/key",
        "watch clip.mp4 --pictures foreign",
        "jobs fetch some --url http://127.0.0.1:1 --output foreign",
        "jobs fetch some --url http://127.0.0.1:1 --output gt.json",
        "serve --data foreign --port 0",
        "serve --data foreign --check",
        "serve --data gt.json --port 0",
    ],
)
def test_nothing_that_is_there_is_touched(command: str, clip: Path) -> None:
    for folder, name in (("bundle", "bundle.json"), ("foreign", "letter.txt")):
        Path(folder).mkdir()
        Path(folder, name).write_text("{}")
    before = contents(clip)
    outcome = run_cli(*command.format(folder=clip.name).split())
    assert outcome.code == 2, outcome.err
    assert outcome.complaints
    assert contents(clip) == before


def test_with_overwrite_a_file_is_replaced(clip: Path) -> None:
    assert run_cli("simulate", "gt.mp4", "--frames", "4", "--size", "128x96").code == 0
    before = contents(clip)
    assert run_cli("simulate", "gt.mp4", "--frames", "5", "--size", "128x96", "--overwrite").code == 0
    assert contents(clip) != before


@pytest.mark.parametrize("source", ["rtsp://127.0.0.1:1/s", "/dev/video0", "webcam:0", "http://127.0.0.1:1/a.mp4"])
def test_detections_of_a_camera_are_not_gathered_for_ever(source: str, clip: Path) -> None:
    outcome = run_cli("detect", "bundle", source, "-o", "out.json")
    assert outcome.code == 2
    assert "a camera never does" in outcome.complaints[0]
    assert not Path("out.json").exists()


def contents(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", ["pictures", "letter.txt"])
def test_a_reservoir_is_not_made_in_a_foreign_folder(name: str, clip: Path, finished_run: FinishedRun) -> None:
    Path("foreign").mkdir()
    Path("foreign", name).write_text("somebody's")
    before = contents(clip)
    for command in (
        ("replay", "add", "foreign", finished_run.folder),
        ("replay", "forget", "foreign", "--older-than", "1d"),
    ):
        outcome = run_cli(*command)
        assert outcome.code in {2, 6}, outcome.err
        assert "foreign is not" in outcome.complaints[0]
    assert contents(clip) == before


def test_a_folder_that_a_command_has_made_may_be_filled_again(clip: Path) -> None:
    for _ in range(2):
        assert run_cli("watch", "clip.mp4", "--pictures", "seen").code == 0
    Path("mounted/lost+found").mkdir(parents=True)
    assert run_cli("watch", "clip.mp4", "--pictures", "mounted").code == 0
