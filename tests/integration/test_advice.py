"""Advice works: what a message tells the user to do is done, and then the same command succeeds.

Each case breaks something, runs a command that refuses it, does what the message says, and runs the command again.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers import REPOSITORY
from support.runs.cli_runs import run_cli
from support.runs.run_samples import FinishedRun, Samples, state_of, write_pictures

Command = list[str | Path]


@dataclass(frozen=True)
class Scene:
    """Where a case plays.

    Attributes:
        folder: an empty folder.
        run: the folder of a finished run, to be broken.
        samples: what it was made of.
    """

    folder: Path
    run: Path
    samples: Samples

    def command(self, name: str, *more: str | Path) -> Command:
        """Return the whole job or a capture of the samples into the run."""
        return [name, self.samples.video, "-o", self.run, "-c", self.samples.config, *more]

    def capture(self, *more: str | Path, source: Path | None = None) -> Command:
        """Return a capture into a new folder."""
        return ["capture", source or self.samples.video, "-o", self.folder / "new", "-c", self.samples.config, *more]


@dataclass(frozen=True)
class Case:
    """Advice and what follows it.

    Attributes:
        refused: breaks something and returns the command that refuses it.
        message: what that command says, a pattern; it holds the advice.
        followed: does what the message says and returns the command that works then.
    """

    refused: Callable[[Scene], Command]
    message: str
    followed: Callable[[Scene], Command]


def _damage(path: Path) -> None:
    path.write_bytes(b"{" + path.read_bytes()[:20])


def _damaged_state(scene: Scene) -> Command:
    _damage(scene.run / "state.json")
    return scene.command("run")


def _without_state(scene: Scene) -> Command:
    (scene.run / "state.json").unlink()
    return scene.command("run")


def _damaged_evaluation(scene: Scene) -> Command:
    _damage(scene.run / "evaluation.json")
    return ["report", scene.run]


def _without_evaluation(scene: Scene) -> Command:
    (scene.run / "evaluation.json").unlink()
    assert run_cli("evaluate", scene.run).code == 0
    return ["report", scene.run]


def _forget_stage(scene: Scene, name: str) -> None:
    """Make it look as if a stage had been interrupted."""
    state = state_of(scene.run)
    del state[name]
    (scene.run / "state.json").write_text(json.dumps(state))


def _bundle_is_a_folder(scene: Scene) -> Command:
    link = scene.run / "bundle"
    target = link.resolve()
    link.unlink()
    shutil.copytree(target, link)
    _forget_stage(scene, "export")
    return ["export", scene.run]


def _bundle_moved_away(scene: Scene) -> Command:
    shutil.move(scene.run / "bundle", scene.folder / "bundle")
    assert run_cli("export", scene.run).code == 0
    return ["detect", scene.run, scene.samples.video, "-o", scene.folder / "found.json"]


def _bundle_leads_elsewhere(scene: Scene) -> Command:
    link = scene.run / "bundle"
    shutil.copytree(link.resolve(), scene.folder / "foreign")
    link.unlink()
    link.symlink_to(scene.folder / "foreign")
    return ["detect", scene.run, scene.samples.video, "-o", scene.folder / "found.json"]


def _bundle_removed(scene: Scene) -> Command:
    (scene.run / "bundle").unlink()
    assert run_cli("export", scene.run).code == 0
    return ["detect", scene.run, scene.samples.video, "-o", scene.folder / "found.json"]


def _damaged_deployed_bundle(scene: Scene) -> Command:
    (scene.run / "bundle" / "model.onnx").write_bytes(b"")
    return ["detect", scene.run, scene.samples.video, "-o", scene.folder / "found.json"]


def _exported_again(scene: Scene) -> Command:
    assert run_cli("export", scene.run).code == 0
    return ["detect", scene.run, scene.samples.video, "-o", scene.folder / "found.json"]


def _deployed_bundle_gone(scene: Scene) -> Command:
    shutil.rmtree((scene.run / "bundle").resolve())
    return ["evaluate", scene.run]


def _link_removed(scene: Scene) -> Command:
    (scene.run / "bundle").unlink()
    assert run_cli("evaluate", scene.run).code == 0
    return ["export", scene.run]


def _damaged_candidate(scene: Scene) -> Command:
    for path in (scene.run / "training").glob("*/candidate.safetensors"):
        path.write_bytes(b"nothing")
    return ["export", scene.run]


def _trained_again(scene: Scene) -> Command:
    for path in (scene.run / "training").glob("*/candidate.safetensors"):
        path.unlink()
    for command in ("tune", "evaluate"):
        assert run_cli(command, scene.run).code == 0
    return ["export", scene.run]


def _evaluate_anew(scene: Scene) -> Command:
    return ["evaluate", scene.run, "--set", "evaluation.confidence=0.8"]


def _damaged_copy(scene: Scene) -> Command:
    for path in (scene.run / "training").glob("*/start.onnx"):
        path.write_bytes(b"nothing")
    return _evaluate_anew(scene)


def _copy_deleted(scene: Scene) -> Command:
    for path in (scene.run / "training").glob("*/start.onnx"):
        path.unlink()
    return _evaluate_anew(scene)


def _a_picture(scene: Scene) -> Path:
    return min((scene.run / "dataset" / "frames").glob("train_*"))


def _changed_picture(scene: Scene) -> Command:
    other = max((scene.run / "dataset" / "frames").glob("train_*"))
    _a_picture(scene).write_bytes(other.read_bytes())
    return ["annotate", scene.run, "--min-score", "0.2"]


def _unreadable_picture(scene: Scene) -> Command:
    _a_picture(scene).write_bytes(b"nothing")
    return ["annotate", scene.run, "--min-score", "0.2"]


def _missing_picture(scene: Scene) -> Command:
    _a_picture(scene).unlink()
    return ["annotate", scene.run, "--min-score", "0.2"]


def _capture_elsewhere(scene: Scene) -> Command:
    return scene.capture()


def _damaged_journal(scene: Scene) -> Command:
    journal = scene.run / "dataset" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"train"', b'"drain"', 1))
    return ["annotate", scene.run, "--min-score", "0.2"]


def _empty_journal(scene: Scene) -> Command:
    (scene.run / "dataset" / "journal.jsonl").write_bytes(b"")
    for derived in (scene.run / "dataset").glob("*.json"):
        derived.unlink()
    shutil.rmtree(scene.run / "dataset" / "frames")
    return ["annotate", scene.run, "--min-score", "0.2"]


def _captured_again(scene: Scene) -> Command:
    (scene.run / "state.json").unlink()
    assert run_cli(*scene.command("capture")).code == 0
    return ["annotate", scene.run]


def _foreign_folder(scene: Scene) -> Command:
    (scene.folder / "new" / "dataset").mkdir(parents=True)
    (scene.folder / "new" / "dataset" / "notes.txt").write_text("mine")
    return scene.capture()


def _another_folder(scene: Scene) -> Command:
    return ["capture", scene.samples.video, "-o", scene.folder / "other", "-c", scene.samples.config]


def _no_labels(scene: Scene) -> Command:
    return ["annotate", scene.run, "--min-score", "0.99999"]


def _pictures(scene: Scene) -> Path:
    write_pictures(scene.folder / "pictures", range(18, 60, 2))
    return scene.folder / "pictures"


def _other_pictures(scene: Scene) -> Command:
    assert run_cli(*scene.capture(source=_pictures(scene))).code == 0
    (scene.folder / "pictures" / "20.png").unlink()
    return scene.capture(source=scene.folder / "pictures")


def _into_another_folder(scene: Scene) -> Command:
    return ["capture", scene.folder / "pictures", "-o", scene.folder / "other", "-c", scene.samples.config]


_MEDIAN = ("-s", 'capture.train_frames="20:60"', "-s", "capture.background.every_k_frames=30")
CASES = {
    "no motion": Case(
        lambda scene: scene.capture("-s", "capture.motion.min_area_px=20000"),
        r"no motion at all .*; use high sensitivity, a smaller minimum area, or a part",
        lambda scene: scene.capture("-s", "capture.motion.min_area_px=20"),
    ),
    "no motion in a part": Case(
        lambda scene: scene.capture("-s", 'capture.train_frames="0:10"'),
        r"no motion at all .* or a part of the video with motion",
        lambda scene: scene.capture("-s", 'capture.train_frames="20:60"'),
    ),
    "too few for the background": Case(
        lambda scene: scene.capture("--background", "median", *_MEDIAN),
        r"too few to learn the background: .* set capture.background.method to first",
        lambda scene: scene.capture("--background", "first", *_MEDIAN),
    ),
    "no time": Case(
        lambda scene: scene.capture("--deadline", "0.001s"),
        r"the deadline passed before .*; give more time \(--deadline\)",
        lambda scene: scene.capture("--deadline", "10min"),
    ),
    "range outside": Case(
        lambda scene: scene.capture("-s", 'capture.train_frames="0:9000"'),
        r"train_frames 0:9000 is outside",
        lambda scene: scene.capture("-s", 'capture.train_frames="0:80"'),
    ),
    "nothing to evaluate": Case(
        lambda scene: scene.capture("-s", 'capture.train_frames="0:90"'),
        r"leave nothing to evaluate; shorten them",
        lambda scene: scene.capture("-s", 'capture.train_frames="0:80"'),
    ),
    "no ground truth there": Case(
        lambda scene: scene.capture(
            "-s", 'capture.test_frames="80:90"', "-s", f"evaluation.ground_truth={_early_truth(scene)}"
        ),
        r"lists no frame of the held-out part .*; choose another part with test_frames",
        lambda scene: scene.capture(
            "-s", 'capture.test_frames="0:20"', "-s", f"evaluation.ground_truth={_early_truth(scene)}"
        ),
    ),
    "state": Case(_damaged_state, r"state\.json is damaged .*; delete it to check all stages again", _without_state),
    "evaluation": Case(
        _damaged_evaluation, r"evaluation\.json is damaged .*; delete it and run `edge-autotuner evaluate` again",
        _without_evaluation,
    ),
    "bundle is a folder": Case(
        _bundle_is_a_folder, r"is not a link to a bundle; move it away and deploy again", _bundle_moved_away
    ),
    "bundle is foreign": Case(_bundle_leads_elsewhere, r"; remove it and deploy again", _bundle_removed),
    "bundle damaged": Case(_damaged_deployed_bundle, r"; copy or export the bundle again", _exported_again),
    "bundle gone": Case(
        _deployed_bundle_gone, r"no longer exists.* or remove the link .*, then evaluate", _link_removed
    ),
    "candidate damaged": Case(
        _damaged_candidate, r"or delete .*candidate\.safetensors and run `edge-autotuner tune` again",
        _trained_again,
    ),
    "exported copy damaged": Case(_damaged_copy, r"; delete .*start\.onnx to create it again", _copy_deleted),
    "picture changed": Case(
        _changed_picture, r"was modified after it was stored; restore it, or capture again into another folder",
        _capture_elsewhere,
    ),
    "picture unreadable": Case(
        _unreadable_picture, r"; restore it, or capture again into another folder", _capture_elsewhere
    ),
    "picture missing": Case(
        _missing_picture, r"cannot read .*; restore it, or capture again into another folder", _capture_elsewhere
    ),
    "journal damaged": Case(
        _damaged_journal, r"this line is damaged or was edited; .* or start again in another folder", _capture_elsewhere
    ),
    "journal empty": Case(_empty_journal, r"the dataset in .* is empty; run `edge-autotuner capture`", _captured_again),
    "foreign folder": Case(_foreign_folder, r"and no dataset; choose another folder", _another_folder),
    "no labels": Case(_no_labels, r"lower annotation\.min_score",
                      lambda scene: ["annotate", scene.run, "--min-score", "0.1"]),
    "other content": Case(
        _other_pictures,
        r"different content\)\. Use its original source to continue it, or choose another folder",
        _into_another_folder,
    ),
    "other settings": Case(
        lambda scene: scene.command("capture", "--max-images", "3"),
        r"Use the old settings to continue it, or choose another folder",
        lambda scene: scene.command("capture"),
    ),
    "output folder": Case(
        lambda scene: ["detect", scene.run, scene.samples.video, "-o", scene.folder / "no" / "found.json"],
        r"does not exist; create it, or choose another --output",
        lambda scene: _made(
            scene, ["detect", scene.run, scene.samples.video, "-o", scene.folder / "no" / "found.json"]
        ),
    ),
    "video folder": Case(
        lambda scene: ["watch", scene.samples.video, "--video", scene.folder / "no" / "seen.mp4"],
        r"does not exist; create it, or choose another --video",
        lambda scene: _made(scene, ["watch", scene.samples.video, "--video", scene.folder / "no" / "seen.mp4"]),
    ),
}  # fmt: skip


def _made(scene: Scene, command: Command) -> Command:
    (scene.folder / "no").mkdir()
    return command


def _early_truth(scene: Scene) -> Path:
    truth = json.loads(scene.samples.ground_truth.read_text())
    truth["images"] = [image for image in truth["images"] if image["frame_index"] < 20]
    kept = {image["id"] for image in truth["images"]}
    truth["annotations"] = [box for box in truth["annotations"] if box["image_id"] in kept]
    path = scene.folder / "early.json"
    path.write_text(json.dumps(truth))
    return path


@pytest.mark.parametrize("name", CASES)
def test_advice_works(name: str, samples: Samples, finished_run: FinishedRun, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    scene = Scene(tmp_path / "own", finished_run.copy(tmp_path / "run"), samples)
    case = CASES[name]
    refused = run_cli(*case.refused(scene))
    assert refused.code not in (0, 70), refused
    assert re.search(case.message, refused.complaints[0]), refused.complaints
    followed = run_cli(*case.followed(scene))
    assert followed.code == 0, followed.err


_CHANGES_FILES = re.compile(
    r"\b(delete|remove|move) (it|the file)\b|again in(to)? another folder|deploy again"
    r"|to create it again|copy or export the bundle again|then evaluate|tune` again",
    re.IGNORECASE,
)
_TRIED = {
    "the capture summary of the dataset is not compatible": "picture changed",
    "Move the file to another folder to continue": "tests/unit/dataset/test_derived.py",
    "or start again in another folder": "journal damaged",
    "restore it, or capture again into another folder": "picture changed",
    "cannot read : ; restore it": "picture missing",
    "use the version that wrote it, or capture again into another folder": "picture changed",
    "move it away and deploy again": "bundle is a folder",
    "remove it and deploy again": "bundle is foreign",
    "delete the file to record them again": "tests/unit/models/test_weights_store.py",
    "delete it and download it again": "tests/unit/models/test_weights_store.py",
    "delete it and run `edge-autotuner evaluate` again": "evaluation",
    "delete it to learn from the batch again": "tests/unit/node/test_camera_folder.py",
    "delete it to check all stages again": "state",
    "is a link that points outside": "tests/unit/storage/test_paths.py",
    ", where this command writes its own ; move it": "tests/unit/storage/test_outputs.py",
    " is in a folder that the node manages; move it": "tests/unit/node/test_node_files.py",
    "; or remove the link , then evaluate and export again": "bundle gone",
    "copy or export the bundle again": "bundle damaged",
    "; or delete  and run `edge-autotuner tune` again": "candidate damaged",
    "; delete  to create it again": "exported copy damaged",
    "delete it to restart this training": "tests/unit/training/test_checkpoints.py",
}
"""Advice that changes files -> the case above that follows it, or the test file that has its own."""


def _advice() -> list[str]:
    """Return every error of the product that tells the user to delete, move or repeat something."""
    found = []
    for path in sorted((REPOSITORY / "src" / "edge_autotuner").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise):
                texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
                text = "".join(part for part in texts if isinstance(part, str))
                found += [text] if _CHANGES_FILES.search(text) else []
    return found


def test_all_advice_that_changes_files_is_tried() -> None:
    texts = _advice()
    assert len(texts) > 15
    assert [text for text in texts if not any(phrase in text for phrase in _TRIED)] == []
    assert [phrase for phrase in _TRIED if not any(phrase in text for text in texts)] == []
    places = set(_TRIED.values())
    assert {place for place in places if place not in CASES and not (REPOSITORY / place).is_file()} == set()
