"""Opens the models that a node will run and learn with, in the same way as the node.

A network that is trained needs torch, which the node itself never loads: a process of its own looks at it. This module
is that process as well: `python -m edge_autotuner.node.model_check PARENT` reads settings, writes problems.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edge_autotuner import errors
from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import CameraConfig, NodeConfig
from edge_autotuner.core.json_limits import load_json
from edge_autotuner.deployment.runtime import load_edge_detector
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.node.named_bundle import NamedBundles, has_model
from edge_autotuner.node.settings_check import StartProblem
from edge_autotuner.storage import child_path
from edge_autotuner.storage.child_process import ask_process, die_with, module_command

_LIMIT_S = 600.0
_EDGE, _TEACHER = "edge", "teacher"


def bundle_problems(config: NodeConfig) -> Iterator[StartProblem]:
    """Open the finished bundles that run as they are, where a camera has no model yet."""
    named = NamedBundles(config)
    for camera in _without_model(config):
        run = config.run_of(camera)
        try:
            if named.gives_first_model(run):
                load_edge_detector(Path(run.edge_model))
        except EdgeAutotunerError as exc:
            yield StartProblem(_of(camera, exc), camera.name)


def learning_problems(config: NodeConfig) -> Iterator[StartProblem]:
    """Open edge models and teachers as the learning does, in a process of its own; takes seconds.

    A camera can be watched without its teacher, and without a network that can be trained where it has a model already.
    """
    if not config.learns:
        return
    runs = {camera.name: config.run_of(camera) for camera in config.cameras}
    different = {run.model_dump_json(): run for run in runs.values()}
    found = dict(zip(different, _look_in_process(list(different.values()), config.trains_on == "node"), strict=True))
    waiting = {camera.name for camera in _without_model(config)}
    named = NamedBundles(config)
    for camera in config.cameras:
        run = runs[camera.name]
        for what, error in found[run.model_dump_json()]:
            needs_it = what == _EDGE and camera.name in waiting and _is_made_here(named, run)
            yield StartProblem(_of(camera, error), camera.name, stops_watching=needs_it)


def nothing_runs_yet(config: NodeConfig) -> bool:
    """Whether every camera waits for a first model that is still to be made: then a slow look delays nothing."""
    named = NamedBundles(config)
    waiting = {camera.name for camera in _without_model(config)}
    return config.learns and all(
        camera.name in waiting and _is_made_here(named, config.run_of(camera)) for camera in config.cameras
    )


def _is_made_here(named: NamedBundles, run: RunConfig) -> bool:
    try:
        return not named.gives_first_model(run)
    except EdgeAutotunerError:  # `bundle_problems` says what is wrong with it
        return False


def _without_model(config: NodeConfig) -> list[CameraConfig]:
    folders = {
        camera.name: child_path(config.folder, camera.name, error=errors.ConfigError) for camera in config.cameras
    }
    return [camera for camera in config.cameras if not has_model(folders[camera.name])]


def _of(camera: CameraConfig, error: EdgeAutotunerError) -> EdgeAutotunerError:
    return type(error)(f"camera {camera.name}: {error}")


def _look_in_process(runs: list[RunConfig], trains_here: bool) -> list[list[tuple[str, EdgeAutotunerError]]]:
    command = module_command("edge_autotuner.node.model_check", os.getpid())
    asked = json.dumps({"trains_here": trains_here, "runs": [run.model_dump(mode="json") for run in runs]})
    try:
        done = ask_process(command, asked.encode(), time_limit_s=_LIMIT_S)
    except subprocess.TimeoutExpired:
        return _all_fail(runs, f"opening took longer than {_LIMIT_S:.0f} s; close other programs and try again")
    except OSError as exc:
        return _all_fail(runs, f"cannot start a process: {exc.strerror}")
    try:
        answer = load_json(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no output"])[-1]
        return _all_fail(runs, f"the process ended with {done.returncode}: {last}")
    return [[(what, _error(kind, text)) for what, kind, text in of_run] for of_run in answer]


def _all_fail(runs: list[RunConfig], reason: str) -> list[list[tuple[str, EdgeAutotunerError]]]:
    error = EdgeAutotunerError(f"cannot open the models: {reason}")
    return [[(_EDGE, error)] for _ in runs]


def _error(kind: str, text: str) -> EdgeAutotunerError:
    error: EdgeAutotunerError = getattr(errors, kind, EdgeAutotunerError)(text)
    return error


def _look(run: RunConfig, trains_here: bool) -> list[tuple[str, str, str]]:
    """Return the problems of a camera's models: subject, error class and message."""
    from edge_autotuner.pipeline.annotation_stage import check_local_teachers, labels_to_learn

    found: list[tuple[str, str, str]] = []
    labels = _attempt(found, _EDGE, lambda: _open_edge(run) if trains_here else labels_to_learn(run))
    if labels is not None:
        _attempt(found, _TEACHER, lambda: check_local_teachers(run, labels))
    return found


def _open_edge(run: RunConfig) -> Any:  # noqa: ANN401 (LabelMap; torch loads only here)
    from edge_autotuner.pipeline.edge_model import open_edge_model

    return open_edge_model(run).labels


def _attempt(found: list[tuple[str, str, str]], what: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401
    try:
        return work()
    except EdgeAutotunerError as exc:
        found.append((what, type(exc).__name__, str(exc)))
        return None


def main(parent: int) -> None:
    """Answer on standard output for the settings that come on standard input."""
    die_with(parent)
    asked = load_json(sys.stdin.read())
    runs = [RunConfig.model_validate(run) for run in asked["runs"]]
    print(json.dumps([_look(run, asked["trains_here"]) for run in runs]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
