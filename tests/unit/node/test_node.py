"""Whatever breaks beside the detection of one camera, another camera misses no frame, and the node goes on."""

from __future__ import annotations

import inspect
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_autotuner.config.node import NodeConfig
from edge_autotuner.core import LabelMap
from edge_autotuner.errors import ConfigError
from edge_autotuner.node.batch_ages import BatchAges
from edge_autotuner.node.camera_collector import CameraCollector
from edge_autotuner.node.camera_folder import BatchFolder, CameraFolder
from edge_autotuner.node.camera_health import CameraHealth, CameraState
from edge_autotuner.node.camera_watch import CameraWatch
from edge_autotuner.node.deployed_model import DeployedModel
from edge_autotuner.node.learning_scheduler import Command, Learner, LearningScheduler
from edge_autotuner.node.named_bundle import NamedBundles
from edge_autotuner.node.node import Node
from edge_autotuner.node.observations import ObservationStream
from edge_autotuner.node.outputs import DetectionReport, Outputs, OutputStatus
from edge_autotuner.node.retention import Retention
from edge_autotuner.pipeline.run_folder import StageRecord
from unit.deployment.test_bundle import made

N_FRAMES = 12
LIMIT_S = 30.0
CLOSED = StageRecord("f", 1.0, "2026-01-01T00:00:00+00:00")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of pictures that a camera gives."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(N_FRAMES):
        picture = np.random.default_rng(number).integers(0, 255, (64, 128, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number:04d}.png"), picture)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("bundle") / "street").folder


class Playing:
    """A node with two cameras, `bad` and `good`, which runs in a thread until `good` is over."""

    def __init__(self, folder: Path, pictures: Path, bundle: Path, *, command: Command | None = None) -> None:
        self.folder = folder
        self.config = NodeConfig.model_validate(
            {
                "folder": folder / "node",
                "cameras": [{"name": name, "source": str(pictures)} for name in ("bad", "good")],
                "run": {"edge_model": str(bundle), "capture": {"background": {"method": "first"}}},
                "detect": {"max_rate_hz": 1000},
                "storage": {"min_free_mb": 0},
                "background": {"min_free_memory_mb": 0, "first_retry_s": 0.05},
                "outputs": {"json_lines": {"path": folder / "detections.jsonl"}},
            }
        )
        self.command = command or (lambda *_: [sys.executable, "-c", ""])
        self.broken_output: BrokenOutput | None = None
        self.status: dict[str, Any] = {}

    def play(self, until: Callable[[Node], bool] | None = None) -> None:
        """Run until the good camera is over and something has come about; fail where the node ends before, or hangs."""
        with Outputs(self.config.outputs, self.config.cameras) as outputs:
            if self.broken_output is not None:
                outputs._outputs.insert(0, self.broken_output)
            node = Node(self.config, outputs=outputs, command=self.command)
            failures: list[BaseException] = []
            thread = threading.Thread(target=self._run, args=(node, failures))
            thread.start()
            until_s = time.monotonic() + LIMIT_S
            while not (node._watches[1].is_over and (until is None or until(node))):
                assert not failures, failures
                assert thread.is_alive() or all(watch.is_over for watch in node._watches)
                assert time.monotonic() < until_s, f"it did not come about: {node.status()}"
                time.sleep(0.005)
            self.status = node.status()
            node.stop()
            thread.join(LIMIT_S)
            assert not thread.is_alive()
            assert not failures, failures

    def frames(self, camera: str) -> list[int]:
        """Return the indices of the frames that were reported."""
        lines = [json.loads(line) for line in (self.folder / "detections.jsonl").read_text().splitlines()]
        return [line["frame_index"] for line in lines if line["camera"] == camera and "frame_index" in line]

    def camera(self, name: str) -> CameraFolder:
        return CameraFolder(self.config.folder / name)

    @staticmethod
    def _run(node: Node, failures: list[BaseException]) -> None:
        try:
            node.run()
        except BaseException as exc:
            failures.append(exc)


class BrokenOutput:
    """An output whose every method fails."""

    name = "broken"

    @property
    def status(self) -> OutputStatus:
        raise RuntimeError("injected")

    def announce(self, camera: str, labels: LabelMap) -> None:
        raise RuntimeError("injected")

    def take(self, report: DetectionReport) -> None:
        raise RuntimeError("injected")

    def tell(self, state: CameraState) -> None:
        raise RuntimeError("injected")

    def close(self) -> None:
        raise RuntimeError("injected")


OF_ONE_CAMERA = (
    CameraWatch,
    ObservationStream,
    DeployedModel,
    CameraCollector,
    CameraHealth,
    CameraFolder,
    BatchFolder,
    Learner,
    NamedBundles,
)
OF_ALL = (LearningScheduler, Retention, BatchAges)


def members(kinds: tuple[type, ...]) -> list[tuple[type, str]]:
    """Return every method and property of some classes; a new one is tried by being there."""
    return [
        (kind, name)
        for kind in kinds
        for name, member in vars(kind).items()
        if (inspect.isfunction(member) or isinstance(member, property)) and not name.startswith("__")
    ]


def mentions_bad(*values: object) -> bool:
    """Whether an object belongs to the camera `bad`."""
    for value in values:
        parts = [
            value,
            *(getattr(value, name, None) for name in ("name", "path", "folder", "_folder", "run", "_camera")),
        ]
        parts += [getattr(part, inner, None) for part in parts for inner in ("path", "name")]
        state = getattr(value, "_state", None)
        parts.append(getattr(state, "camera", None))
        texts = [str(part) for part in parts if isinstance(part, str | Path)]
        if any(text == "bad" or "/bad" in text for text in texts):
            return True
    return False


@contextmanager
def breaking(kind: type, name: str, *, always: bool) -> Iterator[list[int]]:
    """Let a method or property fail, for the camera `bad` only, unless it is nobody's; count how often it did."""
    original, calls = vars(kind)[name], []

    def fails(self: object, *args: object, **_: object) -> bool:
        if always or mentions_bad(self, *args):
            calls.append(1)
            return True
        return False

    def method(self: object, *args: object, **more: object) -> object:
        if fails(self, *args, **more):
            raise RuntimeError("injected")
        return original(self, *args, **more)

    def value(self: object) -> object:
        if fails(self):
            raise RuntimeError("injected")
        return original.fget(self)

    setattr(kind, name, property(value) if isinstance(original, property) else method)
    try:
        yield calls
    finally:
        setattr(kind, name, original)


@pytest.mark.parametrize(
    ("kind", "name"),
    members(OF_ONE_CAMERA + OF_ALL),
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # a camera's thread may die
def test_a_fault_anywhere_costs_the_other_camera_no_frame(
    kind: type, name: str, tmp_path: Path, pictures: Path, bundle: Path
) -> None:
    playing = Playing(tmp_path, pictures, bundle)
    with breaking(kind, name, always=kind in OF_ALL):
        playing.play(until=lambda node: (tmp_path / "node" / "status.json").is_file())
    assert playing.frames("good") == list(range(N_FRAMES))
    status = json.loads((tmp_path / "node" / "status.json").read_text())
    assert set(status["cameras"]) == {"bad", "good"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_camera_whose_thread_dies_is_begun_again(
    tmp_path: Path, pictures: Path, bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    playing = Playing(tmp_path, pictures, bundle)
    with breaking(CameraWatch, "_let_go", always=False) as calls:
        playing.play(until=lambda node: len(calls) >= 2)
    assert "bad: watch: the watch ended unexpectedly; restarting it" in caplog.text
    assert playing.frames("good") == list(range(N_FRAMES))


def test_an_output_that_fails_costs_the_others_nothing(tmp_path: Path, pictures: Path, bundle: Path) -> None:
    playing = Playing(tmp_path, pictures, bundle)
    playing.broken_output = BrokenOutput()
    playing.play(until=lambda node: node._watches[0].is_over and (tmp_path / "node" / "status.json").is_file())
    assert playing.frames("good") == playing.frames("bad") == list(range(N_FRAMES))
    assert playing.status["faults"]["output broken"] == "unexpected RuntimeError: injected"


def waiting_batch(folder: CameraFolder) -> BatchFolder:
    """Return a batch that is to be learned from."""
    batch = folder.new_batch()
    batch.run.dataset.mkdir(parents=True)
    batch.run.finish("capture", CLOSED)
    return batch


def damage_state(folder: CameraFolder) -> None:
    (waiting_batch(folder).run.path / "state.json").write_text("{")


def damage_outcome(folder: CameraFolder) -> None:
    (waiting_batch(folder).run.path / "outcome.json").write_text('{"outcome": "kept", "more": [')


def forge_outcome(folder: CameraFolder) -> None:
    (waiting_batch(folder).run.path / "outcome.json").write_text("[]")


def nest_deeply(folder: CameraFolder) -> None:
    (waiting_batch(folder).run.path / "outcome.json").write_text("[" * 200_000)


def not_text(folder: CameraFolder) -> None:
    (waiting_batch(folder).run.path / "state.json").write_bytes(b"\xff\xfe\x00")


def damage_settings(folder: CameraFolder) -> None:
    (waiting_batch(folder).run.path / "settings.yaml").write_text("{edge_model: [")


def break_link(folder: CameraFolder) -> None:
    folder.path.mkdir(parents=True, exist_ok=True)
    (folder.path / "bundle").symlink_to(Path("bundles", "gone"))


def lead_out(folder: CameraFolder) -> None:
    folder.path.mkdir(parents=True, exist_ok=True)
    (folder.path / "bundle").symlink_to("/etc")


def put_a_file_in_the_way(folder: CameraFolder) -> None:
    folder.path.parent.mkdir(parents=True, exist_ok=True)
    folder.path.write_text("not a folder")


@pytest.mark.parametrize(
    "damage",
    [
        damage_state,
        damage_outcome,
        forge_outcome,
        nest_deeply,
        not_text,
        damage_settings,
        break_link,
        lead_out,
        put_a_file_in_the_way,
    ],
    ids=lambda damage: damage.__name__,
)
def test_damage_to_one_camera_ends_nothing(
    damage: Callable[[CameraFolder], None], tmp_path: Path, pictures: Path, bundle: Path
) -> None:
    playing = Playing(tmp_path, pictures, bundle)
    damage(playing.camera("bad"))
    playing.play(until=lambda node: (tmp_path / "node" / "status.json").is_file())
    assert playing.frames("good") == list(range(N_FRAMES))


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (damage_state, "batches/00000001/state.json"),
        (damage_outcome, "batches/00000001/outcome.json"),
        (forge_outcome, "batches/00000001/outcome.json"),
        (nest_deeply, "batches/00000001/outcome.json"),
        (not_text, "batches/00000001/state.json"),
        (damage_settings, "batches/00000001/settings.yaml"),
        (break_link, "bundle"),
    ],
)
def test_what_is_damaged_is_set_aside_and_the_camera_goes_on(
    damage: Callable[[CameraFolder], None],
    name: str,
    tmp_path: Path,
    pictures: Path,
    bundle: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    playing = Playing(tmp_path, pictures, bundle)
    folder = playing.camera("bad")
    damage(folder)
    before = os.readlink(folder.path / name) if name == "bundle" else (folder.path / name).read_bytes()
    playing.play(until=lambda node: node._watches[0].is_over)
    aside = folder.path / f"{name}.damaged"
    assert (os.readlink(aside) if name == "bundle" else aside.read_bytes()) == before
    assert playing.frames("bad") == list(range(N_FRAMES))
    assert "is damaged; kept as" in caplog.text


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(lambda *_: ["/no/such/interpreter"], id="no interpreter"),
        pytest.param(lambda *_: ["/etc/passwd"], id="not a program"),
        pytest.param(lambda *_: [], id="nothing"),
        pytest.param(lambda *_: [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], id="killed"),
        pytest.param(lambda *_: [sys.executable, "-c", "print('\\xff' * 9, '[' * 100000); exit(3)"], id="babble"),
    ],
)
def test_a_learner_that_does_not_start_ends_nothing(
    command: Command, tmp_path: Path, pictures: Path, bundle: Path
) -> None:
    playing = Playing(tmp_path, pictures, bundle, command=command)
    waiting_batch(playing.camera("bad"))
    playing.play(until=lambda node: node._watches[0].is_over and node._learners[0].n_failures >= 1)
    assert playing.frames("good") == playing.frames("bad") == list(range(N_FRAMES))
    assert playing.status["cameras"]["bad"]["learning_problem"]
    assert playing.status["cameras"]["good"]["learning_problem"] is None


def test_a_disk_that_takes_nothing_ends_nothing(
    tmp_path: Path, pictures: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither contents nor names: the learner's settings, the status and the batch cannot be written."""
    playing = Playing(tmp_path, pictures, bundle)
    waiting_batch(playing.camera("bad"))
    from edge_autotuner.storage import atomic

    write = atomic._write_and_sync

    def full(path: Path, data: bytes) -> None:
        if "/node/" in str(path) and "bundles" not in str(path):
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(atomic, "_write_and_sync", full)

    def is_known(node: Node) -> bool:
        return node._learners[0].n_failures >= 1 and "status.json" in node._faults.problems

    playing.play(until=lambda node: node._watches[0].is_over and is_known(node))
    assert playing.frames("good") == playing.frames("bad") == list(range(N_FRAMES))
    assert "No space left on device" in playing.status["cameras"]["bad"]["learning_problem"]
    assert "No space left on device" in playing.status["faults"]["status.json"]


def test_a_node_that_only_detects_needs_a_bundle_to_run(tmp_path: Path, pictures: Path, bundle: Path) -> None:
    playing = Playing(tmp_path, pictures, bundle)
    run = playing.config.run.model_copy(update={"edge_model": "street-nano"})
    config = playing.config.model_copy(update={"learns": False, "run": run})
    with (
        Outputs(config.outputs, config.cameras) as outputs,
        pytest.raises(ConfigError, match=r"camera bad: with learns"),
    ):
        Node(config, outputs=outputs)
