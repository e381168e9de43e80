"""Reads the description of a job's dataset: a large one in a process of its own, which is this module as well.

To decode and check 30 MB takes seconds in which Python does nothing else, and memory that a process keeps. The service
answers other requests meanwhile. The process (`python -m edge_autotuner.server.jobs.dataset_check PARENT`) loads
nothing of the service, whose libraries take longer to load than a description takes to read.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from edge_autotuner.core.json_limits import load_json
from edge_autotuner.errors import DatasetError
from edge_autotuner.storage.child_process import ask_process, die_with, module_command
from edge_autotuner.wire.run_description import MAX_BYTES, check_form, parse_description

SMALL_BYTES = 1 << 20
"""Descriptions up to this size are read at once: that takes less time than to start a process."""

_MAX_MEMORY_BYTES = 2 << 30
_RETRY_S = "60"


@dataclass(frozen=True)
class DatasetFacts:
    """What the service has to know of a dataset.

    Attributes:
        files: size of every content by its hash.
        n_bytes: of all pictures, each as often as it is named.
    """

    files: Mapping[str, int]
    n_bytes: int


def read_dataset(file: BinaryIO, *, max_wait_s: float = 120.0) -> DatasetFacts:
    """Read a description from a real file, at its beginning.

    Raises:
        DatasetError: it is not one.
        Problem: 503, no process can read it now.
    """
    is_small = os.fstat(file.fileno()).st_size <= SMALL_BYTES
    content = file.read(MAX_BYTES + 1)
    if is_small:
        return facts_of(content)
    check_form(content)
    file.seek(0)
    command = module_command("edge_autotuner.server.jobs.dataset_check", os.getpid())
    try:
        done = ask_process(command, file, time_limit_s=max_wait_s)
    except (OSError, subprocess.TimeoutExpired) as exc:
        from edge_autotuner.server.problems import Problem  # loads the libraries of the service

        text = "cannot read the dataset's description now; try again later"
        raise Problem(503, "dataset-not-read", text, headers={"Retry-After": _RETRY_S}) from exc
    if done.returncode != 0:
        raise DatasetError("reading the dataset's description takes too much memory")
    told: dict[str, Any] = load_json(done.stdout)
    if "error" in told:
        raise DatasetError(told["error"])
    return DatasetFacts(**told)


def facts_of(content: bytes) -> DatasetFacts:
    """Read a description in this process.

    Raises:
        DatasetError: it is no description.
    """
    dataset = parse_description(content)
    return DatasetFacts(dataset.files(), dataset.n_bytes)


def main(parent: int) -> None:
    """Read a description from standard input; write its facts, or what is wrong with it."""
    die_with(parent)
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    os.nice(5)
    try:
        told = asdict(facts_of(sys.stdin.buffer.read(MAX_BYTES + 1)))
    except DatasetError as exc:
        told = {"error": str(exc)}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]))
