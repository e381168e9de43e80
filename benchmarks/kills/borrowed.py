"""What the tests have already: small pictures and models, and a proxy that spoils a connection."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from benchmarks.kills.processes import ROOT

sys.path.append(str(ROOT / "tests"))

FaultyProxy: Any = import_module("support.service.faulty_proxy").FaultyProxy


def sample_files() -> Any:  # noqa: ANN401 (a module)
    """Return the module that writes a video, an edge model and a teacher; needs PyTorch and ONNX."""
    return import_module("support.runs.run_samples")
