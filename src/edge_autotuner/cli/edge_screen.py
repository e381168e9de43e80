"""What `edge-autotuner edge` prints, and how it is stopped."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from edge_autotuner.cli.saying import say
from edge_autotuner.cli.settings import resolve_flags
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.core import Clock, SystemClock
from edge_autotuner.errors import ConfigError
from edge_autotuner.node.model_check import bundle_problems, learning_problems, nothing_runs_yet
from edge_autotuner.node.node import Node
from edge_autotuner.node.node_files import belongs_to_node
from edge_autotuner.node.outputs import Outputs
from edge_autotuner.node.settings_check import StartProblem, check_can_start, probe, settings_problems
from edge_autotuner.storage import keep_private

_SAY_EVERY_S = 60.0


def run_node(path: Path, pairs: list[str] | None) -> None:
    """Run a node until SIGINT or SIGTERM, or until its recordings are over.

    Args:
        path: the settings file.
        pairs: KEY=VALUE settings that come before those of the file.

    Raises:
        ConfigError: a setting is wrong.
        DatasetError: another node works in its folder.
    """
    clock, config = SystemClock(), read_node_settings(path, pairs)
    check_start(config, path)
    keep_private(config.folder, is_own=partial(belongs_to_node, config, path), for_group=config.group_access)
    with Outputs(config.outputs, config.cameras, clock=clock) as outputs:
        node = Node(config, outputs=outputs, clock=clock)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: node.stop())
        node.run(StatusScreen(clock).show)


def check_start(config: NodeConfig, path: Path) -> None:
    """Make sure that a node can start; the start does this before anything else.

    What concerns one camera is said, and left to its fault domain, as long as another camera can be watched.

    Raises:
        EdgeAutotunerError: the settings are wrong, or no camera can be watched.
    """
    check_can_start(config)
    of_cameras = []
    for problem in start_problems(config, path, is_thorough=False):
        if problem.camera is None:
            raise problem.error
        of_cameras.append(problem)
    stopped = [problem for problem in of_cameras if problem.stops_watching]
    if len({problem.camera for problem in stopped}) == len(config.cameras):
        raise stopped[0].error
    for problem in of_cameras:
        say(f"{problem.error}; the node starts without it and retries", err=True)


def start_problems(config: NodeConfig, path: Path, *, is_thorough: bool) -> Iterator[StartProblem]:
    """Find what keeps a node from starting: the one list that the start and `--check` go through.

    Args:
        config: of the node.
        path: the settings file.
        is_thorough: open edge models and teachers in any case; else only where no camera can be watched before.
    """
    yield from settings_problems(config, path)
    yield from bundle_problems(config)
    if is_thorough or nothing_runs_yet(config):
        yield from learning_problems(config)


def check_node(path: Path, pairs: list[str] | None, *, probes: bool = False) -> None:
    """Run the start-up checks, and print what would be watched.

    Args:
        path: the settings file.
        pairs: KEY=VALUE settings that come before those of the file.
        probes: connect to the cameras and the broker.

    Raises:
        EdgeAutotunerError: the node could not start, or a camera or the broker does not answer.
    """
    config = read_node_settings(path, pairs)
    _refuse_problems(config, path)
    failed = []
    for what, problem in probe(config) if probes else ():
        say(f"{what}: {problem or 'answers'}", err=problem is not None)
        failed += [what] if problem else []
    if failed:
        raise ConfigError(f"no answer from {', '.join(failed)}")
    for camera in config.cameras:
        run = config.run_of(camera)
        what = f" ({camera.place})" if camera.place else ""
        say(f"{camera.name}{what}: edge model {run.edge_model}, teacher {run.annotation.teacher}")
    say(f"data folder: {config.folder}")


def _refuse_problems(config: NodeConfig, path: Path) -> None:
    """Say everything that is wrong, and raise the first."""
    check_can_start(config)
    problems = []
    for problem in start_problems(config, path, is_thorough=True):
        problems.append(problem)
        if problem.camera is None:
            break  # what follows may depend on it
    for problem in problems[1:]:
        say(str(problem.error), err=True)
    if problems:
        raise problems[0].error


def read_node_settings(path: Path, pairs: list[str] | None) -> NodeConfig:
    """Return the settings of a file, with KEY=VALUE pairs before them.

    Raises:
        ConfigError: a setting is wrong.
    """
    return resolve_flags(NodeConfig, path, pairs, {})


class StatusScreen:
    """Prints a line for each camera when something about it has changed, and once a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[str, str] = {}
        self._said_s: dict[str, float] = {}

    def show(self, status: Mapping[str, Any]) -> None:
        """Print what is new."""
        now_s = self._clock.monotonic_s()
        for name, camera in status["cameras"].items():
            line = _what_matters(camera)
            is_due = now_s - self._said_s.get(name, float("-inf")) >= _SAY_EVERY_S
            if line != self._lines.get(name) or is_due:
                self._lines[name], self._said_s[name] = line, now_s
                say(f"{name}: {line}; {_counts(camera)}", err=True)


def _what_matters(camera: Mapping[str, Any]) -> str:
    """Return the values whose changes are logged."""
    parts = [f"model {camera['model']}" if camera["model"] else "no model yet"]
    if camera["problem"]:
        parts.append(f"PROBLEM: {camera['problem']}")
    if camera["refused_model"]:
        parts.append(f"refused: {camera['refused_model']}")
    if "batch" in camera:
        parts.append(f"collecting batch {camera['batch']}")
    if camera["is_learning"]:
        task = camera["learning"].get("task")
        parts.append(f"learning ({task})" if task else "learning")
    if camera["learning_problem"]:
        parts.append(f"learning failed: {camera['learning_problem']}")
    if camera["last_outcome"]:
        parts.append(f"last batch {camera['last_outcome']}")
    return ", ".join(parts)


def _counts(camera: Mapping[str, Any]) -> str:
    text = f"{camera['n_frames']} frames, {camera['n_looked']} looked at"
    if "batch" in camera:
        text += f", {camera['n_train']} for training, {camera['n_test']} for the evaluation"
    return text
