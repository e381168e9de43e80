"""`python -m edge_autotuner.server.jobs.dataset_process PARENT`: reads a description from standard input.

Imports nothing of the service, whose libraries take longer to load than a description to read; see `dataset_check`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

from edge_autotuner.errors import DatasetError
from edge_autotuner.storage.child_process import die_with
from edge_autotuner.wire.run_description import MAX_BYTES, parse_description

_MAX_MEMORY_BYTES = 2 << 30


def facts_of(content: bytes) -> dict[str, Any]:
    """Return the size of every content by its hash as `files`, and as `n_bytes` that of all, as often as it is named.

    Raises:
        DatasetError: it is no description.
    """
    dataset = parse_description(content)
    return {"files": dict(dataset.files()), "n_bytes": dataset.n_bytes}


def main(parent: int) -> None:
    """Write what is known of a description, or what is wrong with it."""
    die_with(parent)
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    os.nice(5)
    try:
        told = facts_of(sys.stdin.buffer.read(MAX_BYTES + 1))
    except DatasetError as exc:
        told = {"error": str(exc)}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]))
