"""What the processes of the harness do: the product's own commands, with its functions marked as stages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.kills.faults import Watch, wrap_method

_LOOK_S = 0.1  # of a worker for jobs: nobody else is disturbed here
_LEARNING = {"annotation": "client annotation", "training": "training", "evaluation": "evaluation"}
"""Stage of the loop -> stage of the harness; those behind are its "export"."""


def be_worker(watch: Watch, camera: Path, settings: Path) -> None:
    """Be the node's learning process."""
    from edge_autotuner.node import learning, worker
    from edge_autotuner.pipeline import session
    from edge_autotuner.pipeline.loop import STAGES
    from edge_autotuner.storage import child_process

    watched = {name: watch.stage(_LEARNING.get(name, "export"), session.run_stage) for name in STAGES}
    _replace(session, "run_stage", lambda at_work, stage: watched[stage.name](at_work, stage))
    learning._settle = watch.stage("installation", learning._settle)
    learning._finish = watch.stage("installation", learning._finish)
    progress = child_process.StepMessages
    advance = progress.advance

    def counted(self: Any, steps: int = 1, *, note: str = "") -> None:  # noqa: ANN401
        watch.step("progress", lambda: advance(self, steps, note=note))

    progress.advance = counted  # type: ignore[method-assign]
    sys.exit(worker.main(camera, settings, "normal", "node", os.getppid()))


def be_command(watch: Watch, arguments: Sequence[str]) -> None:
    """Be `edge-autotuner ...`, counted from its begin on; it waits for a service for seconds at most."""
    from edge_autotuner.cli import loading
    from edge_autotuner.cli.main import main
    from edge_autotuner.config.service import ServiceConfig

    patience = {"first_retry_s": 0.05, "longest_retry_s": 1.0, "max_attempts": 30}
    _replace(loading, "ServiceConfig", partial(ServiceConfig, **patience))

    watch.enter()
    sys.argv = ["edge-autotuner", *arguments]
    main()


def be_node(watch: Watch, config: Path, *threads: str) -> None:
    """Be `edge-autotuner edge`, whose learning process does nothing; only some threads are counted."""
    from edge_autotuner.cli.main import main
    from edge_autotuner.node import node

    def idle(_priority: str, _decides: str = "node") -> Callable[[Path, Path], Sequence[str]]:
        return lambda _folder, _settings: ["sleep", "20"]

    _replace(node, "worker_command", idle)
    watch.only_in_threads(*threads)
    watch.enter()
    sys.argv = ["edge-autotuner", "edge", str(config)]
    main()


def be_server(watch: Watch, config: Path) -> None:
    """Be `edge-autotuner serve`; most stages begin with the first request for them, and go on until the end."""
    from edge_autotuner.cli.main import main
    from edge_autotuner.server.annotation.result_store import ResultStore
    from edge_autotuner.server.annotation.service import AnnotationService
    from edge_autotuner.server.blobs import Blobs
    from edge_autotuner.server.jobs.store import JobStore
    from edge_autotuner.server.registry import Registry

    for owner, method, stage in (
        (AnnotationService, "annotate", "server annotation"),
        (Blobs, "receive", "upload"),
        (Registry, "add", "adding a bundle"),
        (Registry, "promote", "promotion"),
        (Registry, "roll_back", "rollback"),
        (Registry, "collect_garbage", "garbage collection"),
    ):
        wrap_method(watch, owner, method, stage)
    _count_during(watch, ResultStore, "_write", "result store")
    _count_during(watch, JobStore, "create", "tuning request")
    sys.argv = ["edge-autotuner", "serve", str(config)]
    main()


def be_job_worker(watch: Watch, config: Path) -> None:
    """Be `edge-autotuner work`, whose jobs are forked; of these, only the first is struck."""
    from benchmarks.kills import forked
    from edge_autotuner.cli.main import main
    from edge_autotuner.server.jobs import worker
    from edge_autotuner.server.jobs.queue import JobQueue

    for owner, method in ((JobQueue, "_take"), (JobQueue, "note"), (worker.Worker, "_settle")):  # not while it waits
        _count_during(watch, owner, method, "job worker")
    _replace(worker, "subprocess", forked.Forking(watch, "tuning"))
    _replace(worker, "_LOOK_S", _LOOK_S)
    sys.argv = ["edge-autotuner", "work", str(config)]
    main()


def _count_during(watch: Watch, owner: type, method: str, stage: str) -> None:
    _replace(owner, method, watch.stage(stage, getattr(owner, method)))


def _replace(owner: ModuleType | type, name: str, value: object) -> None:
    """Let a module or class of the product use something else; its name must still be there."""
    assert hasattr(owner, name), f"{owner.__name__} has no {name}"
    setattr(owner, name, value)
