"""Learning processes: one at a time, in turns, again after a failure, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edge_autotuner.config import RunConfig, resolve_settings
from edge_autotuner.config.node import LearningConfig, LearningProcessConfig
from edge_autotuner.core import FakeClock
from edge_autotuner.deployment import deploy
from edge_autotuner.node.camera_folder import BatchOutcome, CameraFolder
from edge_autotuner.node.learning_scheduler import Learner, LearningScheduler, first_model_command
from edge_autotuner.node.worker import ONLY_FIRST
from edge_autotuner.pipeline.run_folder import StageRecord
from unit.deployment.test_bundle import made

CONFIG = LearningProcessConfig(max_cpu_percent=100, first_retry_s=10, longest_retry_s=25)
KEPT = BatchOutcome("kept", "", None, "2026-01-01T00:00:00+00:00")
TIMEOUT_S = 60.0


def camera(folder: Path, *, n_waiting: int = 1) -> Learner:
    """Return a camera that has a model, and batches to learn from."""
    found = CameraFolder(folder)
    made(folder / "bundles" / "start", name="start")
    deploy(folder, "start")
    for _ in range(n_waiting):
        found.new_batch().run.finish("capture", StageRecord("f", 1.0, "2026-01-01T00:00:00+00:00"))
    return Learner(folder.name, found, RunConfig())


def script(text: str) -> Callable[[Path, Path], Sequence[str]]:
    """Return the command of a process that gets the camera's folder and the settings file as arguments."""
    return lambda folder, settings: [sys.executable, "-c", text, str(folder), str(settings)]


def wait_for(work: LearningScheduler, is_there: Callable[[], bool]) -> None:
    """Control the work until something has happened."""
    until_s = time.monotonic() + TIMEOUT_S
    while not is_there():
        assert time.monotonic() < until_s, "it never happened"
        work.control()
        time.sleep(0.01)


def test_nothing_to_do_starts_nothing(tmp_path: Path) -> None:
    work = LearningScheduler(
        [camera(tmp_path, n_waiting=0)], CONFIG, clock=FakeClock(), command=script("raise SystemExit")
    )
    work.control()
    assert work.busy_with is None


def test_a_camera_without_a_model_has_work(tmp_path: Path) -> None:
    assert Learner("new", CameraFolder(tmp_path / "new"), RunConfig()).has_work()


def test_the_process_gets_folder_and_settings(tmp_path: Path) -> None:
    learner = camera(tmp_path / "gate")
    copy = "import shutil, sys; shutil.copy(sys.argv[2], sys.argv[1] + '/seen.yaml')"
    work = LearningScheduler([learner], CONFIG, clock=FakeClock(), command=script(copy))
    work.control()
    assert work.busy_with == "gate"
    wait_for(work, lambda: work.busy_with is None)
    seen = resolve_settings(LearningConfig, tmp_path / "gate" / "seen.yaml", {})
    assert seen == LearningConfig(run=learner.config, service=None)


def test_cameras_take_turns_and_only_one_learns(tmp_path: Path) -> None:
    learners = [camera(tmp_path / name) for name in ("a", "b")]
    work = LearningScheduler(learners, CONFIG, clock=FakeClock(), command=script(""))
    order = []
    for _ in range(4):
        work.control()
        order.append(work.busy_with)
        wait_for(work, lambda: work.busy_with is None)
    assert order == ["a", "b", "a", "b"]


def test_a_failure_is_told_and_tried_again_later_and_later(tmp_path: Path) -> None:
    clock, learner = FakeClock(), camera(tmp_path)
    fail = """print('{"error": "ServiceUnreachable: no route"}'); raise SystemExit(15)"""
    work = LearningScheduler([learner], CONFIG, clock=clock, command=script(fail))
    waits_s = []
    for _ in range(4):
        work.control()
        assert work.busy_with is not None
        wait_for(work, lambda: work.busy_with is None)
        assert learner.error == "ServiceUnreachable: no route"
        waits_s.append(learner.not_before_s - clock.monotonic_s())
        work.control()
        assert work.busy_with is None
        clock.advance(waits_s[-1])
    assert waits_s == [10, 20, 25, 25]


def test_a_success_forgets_the_failures(tmp_path: Path) -> None:
    clock, learner = FakeClock(), camera(tmp_path)
    once = "import os, sys; p = sys.argv[1] + '/tried'; t = os.path.exists(p); open(p, 'w').close(); sys.exit(not t)"
    work = LearningScheduler([learner], CONFIG, clock=clock, command=script(once))
    work.control()
    wait_for(work, lambda: work.busy_with is None)
    assert learner.error == "the learning process exited with code 1"
    clock.advance(10)
    work.control()
    wait_for(work, lambda: work.busy_with is None)
    assert (learner.error, learner.n_failures) == (None, 0)


def test_a_camera_that_fails_does_not_hold_up_the_others(tmp_path: Path) -> None:
    learners = [camera(tmp_path / name) for name in ("bad", "good")]
    command = script("import sys; sys.exit(sys.argv[1].endswith('bad'))")
    work = LearningScheduler(learners, CONFIG, clock=FakeClock(), command=command)
    order = []
    for _ in range(3):
        work.control()
        order.append(work.busy_with)
        wait_for(work, lambda: work.busy_with is None)
    assert order == ["bad", "good", "good"]


def test_what_it_is_doing_is_known(tmp_path: Path) -> None:
    learner = camera(tmp_path)
    say = """
import time
print("no JSON")
print('{"task": "annotate", "done": 3, "total": 7}', flush=True)
time.sleep(600)
"""
    work = LearningScheduler([learner], CONFIG, clock=FakeClock(), command=script(say))
    work.control()
    wait_for(work, lambda: bool(learner.doing))
    assert learner.doing == {"task": "annotate", "done": 3, "total": 7}
    work.stop()
    assert work.busy_with is None


def test_stopping_ends_a_process_that_its_budget_has_stopped(tmp_path: Path) -> None:
    learner = camera(tmp_path)
    busy = LearningProcessConfig(max_cpu_percent=0.1)
    work = LearningScheduler([learner], busy, clock=FakeClock(), command=script("while True: pass"))
    wait_for(work, lambda: work._process is not None and work._process._cpu.is_stopped)
    work.stop()
    assert work.busy_with is None


NODE = """
import sys, time
from pathlib import Path
from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import LearningProcessConfig, LearningConfig
from edge_autotuner.core import SystemClock
from edge_autotuner.node.learning_scheduler import LearningScheduler, Learner
from edge_autotuner.node.camera_folder import CameraFolder

learner = Learner("gate", CameraFolder(Path(sys.argv[1])), RunConfig(edge_model=sys.argv[2]))
work = LearningScheduler([learner], LearningProcessConfig(max_cpu_percent=0.5), clock=SystemClock())
while True:
    work.control()
    if work.busy_with and work._process._cpu.is_stopped:
        print(work._process._process.pid, flush=True)
    time.sleep(0.05)
"""


@pytest.mark.slow
def test_the_worker_dies_with_the_node_even_when_it_is_stopped(tmp_path: Path) -> None:
    """The real worker: whatever kills the node, no process is left behind."""
    command = [sys.executable, "-c", NODE, str(tmp_path / "gate"), str(tmp_path / "missing.safetensors")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        pid = int(node.stdout.readline())
        node.send_signal(signal.SIGKILL)
    until_s = time.monotonic() + TIMEOUT_S
    while Path(f"/proc/{pid}").exists() and not _is_zombie(pid):
        assert time.monotonic() < until_s, "the worker outlived its node"
        time.sleep(0.02)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_learning_ends_when_the_batch_is_settled(tmp_path: Path) -> None:
    learner = camera(tmp_path)
    waiting = learner.folder.waiting()
    assert waiting is not None
    waiting.finish(KEPT)
    assert not learner.has_work()


GROW = """
held = []
while True:
    held.append(bytearray(10_000_000))
"""


def test_a_learner_that_takes_too_much_memory_is_ended_and_tried_again(tmp_path: Path) -> None:
    clock, learner = FakeClock(), camera(tmp_path)
    config = CONFIG.model_copy(update={"max_memory_mb": 200.0, "min_free_memory_mb": 0.0})
    work = LearningScheduler([learner], config, clock=clock, command=script(GROW))

    def is_ended() -> bool:
        clock.advance(0.25)
        return learner.error is not None

    wait_for(work, is_ended)
    assert learner.error is not None
    assert "MB of memory, background.max_memory_mb is 200" in learner.error
    assert work.busy_with is None
    assert learner.not_before_s - clock.monotonic_s() > 9


def test_without_free_memory_nothing_is_started(tmp_path: Path) -> None:
    learner = camera(tmp_path)
    config = CONFIG.model_copy(update={"min_free_memory_mb": 1e12})
    work = LearningScheduler([learner], config, clock=FakeClock(), command=script("raise SystemExit"))
    work.control()
    assert work.busy_with is None
    assert learner.error is not None
    assert learner.error.startswith("not enough memory to learn: only")


def test_a_camera_that_is_given_its_model_waits_for_it(tmp_path: Path) -> None:
    learner = Learner("new", CameraFolder(tmp_path / "new"), RunConfig(), waits_for_model=lambda: True)
    assert not learner.has_work()


def test_the_first_model_is_made_without_a_budget_and_batches_wait_for_their_turn(tmp_path: Path) -> None:
    learner = Learner("new", CameraFolder(tmp_path / "new"), RunConfig())
    mark = "import sys, pathlib; pathlib.Path(sys.argv[1], 'first').touch()"
    work = LearningScheduler(
        [learner], LearningProcessConfig(max_cpu_percent=0.1), clock=FakeClock(), command=script("raise SystemExit(1)"),
        first_command=script(mark),
    )  # fmt: skip
    work.control()
    wait_for(work, lambda: work.busy_with is None)
    assert (tmp_path / "new" / "first").exists()
    assert learner.error is None
    assert list(first_model_command()(tmp_path, tmp_path))[-4:] == ["normal", "node", str(os.getpid()), ONLY_FIRST]
