"""Whatever is wrong with the input: one line that says what to do, the documented exit code, and no traceback."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from edge_autotuner.core import STREET_6
from edge_autotuner.models.yolox import Yolox
from edge_autotuner.models.yolox_weights import save_yolox
from support.cameras.capture_samples import write_video
from support.runs.cli_runs import Outcome, run_cli
from support.runs.run_samples import FinishedRun, Samples, camera, state_of, write_pictures

Arguments = list[str | Path]
Prepare = Callable[[Path, Samples], Arguments]
"""Makes a bad input in a folder and returns the arguments of `run` after the output and the settings."""


def check_complaint(outcome: Outcome, code: int, *patterns: str) -> None:
    """Check that the command ended with one helpful line."""
    assert outcome.code == code, outcome.err
    assert len(outcome.complaints) == 1, outcome.err
    line = outcome.complaints[0]
    assert outcome.err.splitlines()[-1] == line
    assert "Traceback" not in outcome.err
    assert "unexpected" not in line
    assert "UserWarning" not in outcome.err
    for pattern in patterns:
        assert re.search(pattern, line), line


def text_named_mp4(folder: Path, _: Samples) -> Arguments:
    (folder / "notes.mp4").write_text("These are notes, not pictures.\n" * 50)
    return [folder / "notes.mp4"]


def subtitles_named_mp4(folder: Path, _: Samples) -> Arguments:
    (folder / "film.mp4").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 20)
    return [folder / "film.mp4"]


def empty_file(folder: Path, _: Samples) -> Arguments:
    (folder / "empty.mp4").touch()
    return [folder / "empty.mp4"]


def without_frames(folder: Path, _: Samples) -> Arguments:
    with av.open(str(folder / "none.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 192, 128
        container.start_encoding()
    return [folder / "none.avi"]


def one_frame(folder: Path, _: Samples) -> Arguments:
    write_video(folder / "one.avi", [camera().frame(40).image_bgr], codec="mpeg4", pix_fmt="yuv420p")
    return [folder / "one.avi"]


def cut_before_its_index(folder: Path, samples: Samples) -> Arguments:
    data = samples.video.read_bytes()
    (folder / "cut.mp4").write_bytes(data[: len(data) // 2])  # an mp4 has its index at the end
    return [folder / "cut.mp4"]


def still_video(folder: Path, _: Samples) -> Arguments:
    write_video(folder / "still.avi", [camera().street_bgr] * 30, codec="mpeg4", pix_fmt="yuv420p")
    return [folder / "still.avi"]


def too_few_frames_for_the_background(folder: Path, _: Samples) -> Arguments:
    pictures = [camera().frame(i).image_bgr for i in range(40, 46)]
    write_video(folder / "short.avi", pictures, codec="mpeg4", pix_fmt="yuv420p")
    return [folder / "short.avi", "--background", "median"]


def empty_folder(folder: Path, _: Samples) -> Arguments:
    (folder / "pictures").mkdir()
    (folder / "pictures" / "readme.txt").touch()
    return [folder / "pictures"]


def picture_of_another_size(folder: Path, _: Samples) -> Arguments:
    write_pictures(folder / "pictures", range(18, 40, 2))
    cv2.imwrite(str(folder / "pictures" / "30.png"), np.zeros((64, 80, 3), np.uint8))
    return [folder / "pictures"]


def undecodable_picture(folder: Path, _: Samples) -> Arguments:
    write_pictures(folder / "pictures", range(18, 40, 2))
    (folder / "pictures" / "30.png").write_bytes(b"no picture")
    return [folder / "pictures"]


def single_picture(folder: Path, _: Samples) -> Arguments:
    write_pictures(folder, range(18, 19))
    return [folder / "18.png"]


SOURCES = {
    "missing": (lambda f, _: [f / "no.mp4"], r"no\.mp4 does not exist; give a video file, a folder of pictures"),
    "text": (text_named_mp4, r"notes\.mp4 cannot be opened as a video .* check it with a player"),
    "subtitles": (subtitles_named_mp4, r"film\.mp4 contains no pictures; give a video file or a folder"),
    "empty": (empty_file, r"the file is empty\); check it"),
    "zero-frames": (without_frames, r"none\.avi (cannot be opened|has no decodable frame|contains no pictures).*; "),
    "cut-mp4": (cut_before_its_index, r"not a video, or cut off\); check it with a player, or copy it again"),
    "still": (still_video, r"no motion at all in frames 0:24 of still\.avi: .* use high sensitivity"),
    "too-short": (too_few_frames_for_the_background, r"too few to learn the background: .* use a longer video"),
    "empty-folder": (empty_folder, r"holds no pictures \(.*\); give a folder of pictures"),
    "one-picture": (single_picture, r"18\.png is a single picture; give the folder"),
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_bad_sources(name: str, samples: Samples, tmp_path: Path) -> None:
    prepare, pattern = SOURCES[name]
    arguments = prepare(tmp_path, samples)
    outcome = run_cli("run", *arguments[:1], "-o", tmp_path / "run", "-c", samples.config, *arguments[1:])
    check_complaint(outcome, 3, pattern)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_video(samples: Samples, tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(samples.video.read_bytes())
    secret.chmod(0)
    check_complaint(run_cli("run", secret, "-o", tmp_path / "run", "-c", samples.config), 3, "permission denied")


def other_architecture(folder: Path, _: Samples) -> Arguments:
    save_yolox(folder / "tiny.safetensors", Yolox("yolox-tiny", 6), STREET_6)
    return ["--edge-model", folder / "tiny.safetensors", "--set", "architecture=yolox-nano"]


def garbage(name: str) -> Prepare:
    def prepare(folder: Path, _: Samples) -> Arguments:
        (folder / name).write_bytes(b"garbage " * 100)
        option = "--teacher" if name.endswith(".onnx") else "--edge-model"
        return [option, folder / name]

    return prepare


def teacher_without_adapter(folder: Path, samples: Samples) -> Arguments:
    return ["--set", "annotation.adapter=null"]


def ground_truth(change: Callable[[dict[str, list[dict[str, object]]]], None]) -> Prepare:
    def prepare(folder: Path, samples: Samples) -> Arguments:
        values = json.loads(samples.ground_truth.read_text())
        change(values)
        (folder / "gt.json").write_text(json.dumps(values))
        return ["--ground-truth", folder / "gt.json"]

    return prepare


def shift_frames(values: dict[str, list[dict[str, object]]]) -> None:
    for image in values["images"]:
        image["frame_index"] = int(str(image["frame_index"])) + 1000


def rename_categories(values: dict[str, list[dict[str, object]]]) -> None:
    for category in values["categories"]:
        category["name"] = f"my {category['name']}"


def enlarge(values: dict[str, list[dict[str, object]]]) -> None:
    for image in values["images"]:
        image["width"] = 1920


def given(*arguments: str | Path) -> Prepare:
    return lambda _folder, _samples: list(arguments)


SETTINGS = {
    "unknown-class": (given("--classes", "unicorn"), 2, r"unknown class 'unicorn'; known classes: person, bicycle"),
    "class-twice": (given("--classes", "car,car"), 2, r"no duplicates, got \['car', 'car'\]"),
    "no-class": (given("--classes", ","), 2, r"at least one class"),
    "input-size": (given("--input-size", "100"), 2, r"input_size: both sides must be multiples of 32 for yolox-nano, "),
    "no-input": (given("--input-size", "0"), 2, r"input_size: both sides must be at least 32, e.g. 416"),
    "zoom-input": (given("--teacher", "zoom", "--set", "annotation.zoom_input=300"), 2, r"zoom_input: both sides must"),
    "other-architecture": (other_architecture, 7, r"does not contain weights of yolox-nano .*; give a file of yolox"),
    "no-such-architecture": (given("--set", "architecture=resnet"), 7, r"unknown architecture 'resnet'; known: yolox-"),
    "garbage-pth": (garbage("w.pth"), 7, r"w\.pth contains more than tensors and was not opened"),
    "garbage-safetensors": (garbage("w.safetensors"), 7, r"cannot read weights .*; the file is damaged; copy it again"),
    "missing-weights": (given("--edge-model", "no.safetensors"), 2, r"no\.safetensors does not exist; give a weights"),
    "unknown-model": (given("--edge-model", "nobody"), 2, r"unknown model 'nobody'; known models: street-nano, yolox"),
    "teacher-as-edge": (given("--edge-model", "deimv2-femto"), 2, r"cannot be trained; edge models: street-nano"),
    "unknown-teacher": (given("--teacher", "nobody"), 2, r"unknown model 'nobody'; known models: "),
    "missing-teacher": (given("--teacher", "no.onnx"), 2, r"teacher no\.onnx does not exist; give an ONNX file, the f"),
    "edge-as-teacher": (given("--teacher", "yolox-s"), 2, r"set --edge-model yolox-s with --teacher zoom"),
    "garbage-teacher": (garbage("t.onnx"), 7, r"t\.onnx is not a usable ONNX model: "),
    "no-adapter": (teacher_without_adapter, 2, r"set --adapter to one of deim, picodet, yolox"),
    "unknown-adapter": (given("--adapter", "ssd"), 2, r"unknown adapter 'ssd'; known adapters: deim, picodet, yolox"),
    "overlap": (given("--train-frames", "0:50", "--test-frames", "40:60"), 2, r"overlap; a test frame must never be"),
    "beyond-the-end": (given("--train-frames", "0:500"), 2, r"0:500 is outside cam\.mp4, which has 90 frames"),
    "not-a-range": (given("--test-frames", "later"), 2, r"'later' is not a frame range; use START:STOP"),
    "no-duration": (given("--deadline", "soon"), 2, r"'soon' is not a duration; use e.g. 90s"),
    "no-label": (given("--min-score", "0.9999"), 5, r"lower annotation\.min_score, or choose another teacher or other"),
    "other-frames": (ground_truth(shift_frames), 10, r"lists no frame of the held-out part 72:90 of cam\.mp4; choose"),
    "other-classes": (ground_truth(rename_categories), 10, r"no box has a class of the model.* Map them, .* my "),
    "other-size": (ground_truth(enlarge), 10, r"frame 72 has size \(192, 128\), .*; use the ground truth of this"),
    "missing-truth": (given("--ground-truth", "no.json"), 10, r"cannot read ground truth no\.json"),
    "no-mapping": (given("--map-class", "truck"), 2, r"'truck' is not a class mapping; use e.g. truck=car"),
    "mapped-to-nothing": (
        lambda _, s: ["--ground-truth", s.ground_truth, "--map-class", "truck=lorry"],
        2,
        r"unknown class 'lorry'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_bad_settings(name: str, samples: Samples, tmp_path: Path) -> None:
    prepare, code, pattern = SETTINGS[name]
    outcome = run_cli("run", samples.video, "-o", tmp_path / "run", "-c", samples.config, *prepare(tmp_path, samples))
    check_complaint(outcome, code, pattern)


class Malicious:
    """What a pickle could do when it is opened."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.proof}'",)


def test_a_malicious_checkpoint_is_not_executed(samples: Samples, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    files = tmp_path / "plain.pth", tmp_path / "torch.pth"
    files[0].write_bytes(pickle.dumps(Malicious(proof)))
    torch.save({"model": Malicious(proof)}, files[1])
    for file in files:
        arguments = ("-o", tmp_path / "run", "-c", samples.config, "--edge-model", file)
        outcome = run_cli("run", samples.video, *arguments)
        check_complaint(outcome, 7, r"contains more than tensors and was not opened \(UnpicklingError\); convert it")
        assert not proof.exists()


def test_a_wrong_teacher_is_noticed_before_the_capture(samples: Samples, tmp_path: Path) -> None:
    arguments = ("-o", tmp_path / "run", "-c", samples.config, "--teacher", "nobody")
    check_complaint(run_cli("run", samples.video, *arguments), 2, "unknown model 'nobody'")
    assert not (tmp_path / "run").exists(), "a mistake leaves no folder behind"


def test_unknown_keys_are_shown_with_file_and_line(samples: Samples, tmp_path: Path) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text("capture:\n  max_images: 5\n  max_imges: 4\n")
    outcome = run_cli("run", samples.video, "-o", tmp_path / "run", "-c", config)
    check_complaint(outcome, 2, rf"{config}:3: capture\.max_imges: no such setting")


def test_a_truncated_video_is_used_as_far_as_it_goes(samples: Samples, tmp_path: Path) -> None:
    whole = tmp_path / "whole.avi"
    camera().write_video(whole)
    data = whole.read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) * 3 // 4])
    outcome = run_cli("capture", tmp_path / "cut.avi", "-o", tmp_path / "run", "-c", samples.config)
    assert outcome.code == 0, outcome.err
    capture = state_of(tmp_path / "run")["capture"]["summary"]
    assert 30 < capture["n_frames"] < 90
    assert capture["n_train"] >= 2
    assert capture["n_test"] == 6


@pytest.mark.parametrize(
    ("prepare", "n_lost"), [(picture_of_another_size, 0), (undecodable_picture, 1)], ids=["other size", "damaged"]
)
def test_a_bad_picture_is_no_dead_end(
    prepare: Callable[[Path, Samples], Arguments], n_lost: int, samples: Samples, tmp_path: Path
) -> None:
    """The other pictures are used; nobody has to remove it, after which the folder would be another source."""
    command = ("run", *prepare(tmp_path, samples), "-o", tmp_path / "run", "-c", samples.config)
    outcome = run_cli(*command)
    assert outcome.code == 0, outcome.err
    summary = state_of(tmp_path / "run")["capture"]["summary"]
    assert summary["n_lost"] == n_lost
    assert run_cli(*command).code == 0


def test_a_folder_with_other_pictures_is_another_source(samples: Samples, tmp_path: Path) -> None:
    arguments = undecodable_picture(tmp_path, samples)
    command = ["capture", *arguments, "-c", samples.config, "-o"]
    assert run_cli(*command, tmp_path / "run").code == 0
    kept = sorted((tmp_path / "run" / "dataset" / "frames").iterdir())
    (tmp_path / "pictures" / "30.png").unlink()
    check_complaint(run_cli(*command, tmp_path / "run"), 6, "different content", "choose another folder")
    assert sorted((tmp_path / "run" / "dataset" / "frames").iterdir()) == kept
    assert run_cli(*command, tmp_path / "another").code == 0  # what the message advises


@pytest.mark.parametrize("command", ["annotate", "tune", "evaluate", "export", "report"])
def test_a_folder_that_is_no_run(command: str, tmp_path: Path) -> None:
    outcome = run_cli(command, tmp_path / "nothing")
    check_complaint(outcome, 6, "is not the folder of a run; start with `edge-autotuner run` or `capture`")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("command", "first"), [("tune", "annotate"), ("evaluate", "tune"), ("export", "evaluate")], ids=lambda v: str(v)
)
def test_a_stage_that_lacks_the_one_before(command: str, first: str, finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    state = state_of(folder)
    order = ["capture", "annotation", "training", "evaluation", "export"]
    n_kept = ["annotate", "tune", "evaluate"].index(first) + 1
    (folder / "state.json").write_text(json.dumps({stage: state[stage] for stage in order[:n_kept]}))
    check_complaint(run_cli(command, folder), 6, f"run `edge-autotuner {first}` on it first")


def test_classes_cannot_change_between_stages(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    settings = (folder / "settings.yaml").read_bytes()
    outcome = run_cli("annotate", folder, "--classes", "car")
    check_complaint(outcome, 2, "the dataset was captured for person, .* capture into another folder")
    assert (folder / "settings.yaml").read_bytes() == settings


@pytest.mark.parametrize("command", ["evaluate", "export", "report"])
def test_settings_of_the_training_cannot_change_after_it(
    command: str, finished_run: FinishedRun, tmp_path: Path
) -> None:
    folder = finished_run.copy(tmp_path / "run")
    outcome = run_cli(command, folder, "--set", "input_size=128")
    check_complaint(outcome, 6, "used another edge model or other settings; run `edge-autotuner tune`")


def test_a_lost_file_is_made_again(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    (folder / "bundle").unlink()
    assert run_cli("export", folder).code == 0
    assert (folder / "bundle" / "model.onnx").is_file()


def test_the_output_is_a_file(samples: Samples, tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    outcome = run_cli("run", samples.video, "-o", tmp_path / "run", "-c", samples.config)
    check_complaint(outcome, 2, "is a file; give a folder name")


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback(place: str, tmp_path: Path) -> None:
    arguments: Arguments = ["run", tmp_path / "no.mp4", "-o", tmp_path / "run"]
    outcome = run_cli("--debug", *arguments) if place == "before" else run_cli(*arguments, "--debug")
    assert outcome.code == 3
    assert "Traceback (most recent call last)" in outcome.err
    assert len(outcome.complaints) == 1
