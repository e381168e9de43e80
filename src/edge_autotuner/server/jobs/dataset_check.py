"""Reads the description of a job's dataset: a large one in a process of its own.

To decode and check 30 MB takes seconds in which Python does nothing else, and memory that a process keeps. The service
answers other requests meanwhile; what it learns of a dataset is the hashes and sizes of its files.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from edge_autotuner.core.json_limits import load_json
from edge_autotuner.errors import DatasetError
from edge_autotuner.server.jobs.dataset_process import facts_of
from edge_autotuner.server.problems import Problem
from edge_autotuner.wire.run_description import MAX_BYTES, check_form

SMALL_BYTES = 1 << 20
"""Descriptions of so many bytes are read at once: that takes less time than to start a process."""

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
    """Return what a description says.

    Args:
        file: a real one, at its beginning.
        max_wait_s: longest time for a process.

    Raises:
        DatasetError: it is not one.
        Problem: 503, no process can read it now.
    """
    is_small = os.fstat(file.fileno()).st_size <= SMALL_BYTES
    content = file.read(MAX_BYTES + 1)
    if is_small:
        return DatasetFacts(**facts_of(content))
    check_form(content)
    file.seek(0)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "edge_autotuner.server.jobs.dataset_process", str(os.getpid())],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=max_wait_s,
            process_group=0,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        text = "the description of the dataset cannot be read now; try again later"
        raise Problem(503, "dataset-not-read", text, headers={"Retry-After": _RETRY_S}) from exc
    if done.returncode != 0:
        raise DatasetError("the description of the dataset takes too much memory to be read")
    told: dict[str, Any] = load_json(done.stdout)
    if "error" in told:
        raise DatasetError(told["error"])
    return DatasetFacts(**told)
