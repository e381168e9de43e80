"""Loads the parts of the package that need the `train` extra, only when a command uses them."""

from __future__ import annotations

import importlib
from typing import Any

from edge_autotuner.errors import MissingDependency


def load_pipeline() -> Any:  # noqa: ANN401 (a module, loaded late because it imports torch)
    """Return `edge_autotuner.pipeline`'s training half.

    Raises:
        MissingDependency: torch or another part of the `train` extra is not installed.
    """
    try:
        return importlib.import_module("edge_autotuner.pipeline.stages")
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("edge_autotuner"):
            raise
        raise MissingDependency(f"this needs {exc.name}: pip install 'edge-autotuner[train]'") from exc
