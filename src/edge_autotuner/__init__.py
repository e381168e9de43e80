"""Edge AutoTuner: a fixed camera's own detector learns its scene by itself.

The names below are the public API; each is loaded when it is first used, so that importing the package is
quick and needs neither torch nor OpenCV.

    import edge_autotuner as eat

    result = eat.run("camera.mp4", Path("runs/camera"))
    print(result.promotion.reason)
    detector = eat.load_edge_detector(result.bundle)
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from edge_autotuner._version import __version__

if TYPE_CHECKING:
    from edge_autotuner.capture import open_source
    from edge_autotuner.config import RunConfig, load_config
    from edge_autotuner.core import Detections
    from edge_autotuner.dataset import DatasetStore
    from edge_autotuner.deployment import load_edge_detector
    from edge_autotuner.errors import EdgeAutotunerError
    from edge_autotuner.pipeline.detect import detect
    from edge_autotuner.pipeline.stages import RunResult, annotate, capture_frames, evaluate, export, report, run, tune

# ONNX Runtime 1.29 and newer report their use to their maker, with an id of the device that is kept in the home folder.
# This variable is read once, when the library is loaded: https://github.com/microsoft/onnxruntime/pull/27379
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_STAGES = "edge_autotuner.pipeline.stages"
_HOMES = {
    "DatasetStore": "edge_autotuner.dataset",
    "Detections": "edge_autotuner.core",
    "EdgeAutotunerError": "edge_autotuner.errors",
    "RunConfig": "edge_autotuner.config",
    "RunResult": _STAGES,
    "annotate": _STAGES,
    "capture_frames": _STAGES,
    "detect": "edge_autotuner.pipeline.detect",
    "evaluate": _STAGES,
    "export": _STAGES,
    "load_config": "edge_autotuner.config",
    "load_edge_detector": "edge_autotuner.deployment",
    "open_source": "edge_autotuner.capture",
    "report": _STAGES,
    "run": _STAGES,
    "tune": _STAGES,
}

__all__ = [
    "DatasetStore",
    "Detections",
    "EdgeAutotunerError",
    "RunConfig",
    "RunResult",
    "__version__",
    "annotate",
    "capture_frames",
    "detect",
    "evaluate",
    "export",
    "load_config",
    "load_edge_detector",
    "open_source",
    "report",
    "run",
    "tune",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (any public name)
    if name in _HOMES:
        return getattr(_load(name), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def _load(name: str) -> Any:  # noqa: ANN401 (a module)
    try:
        return importlib.import_module(_HOMES[name])
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("edge_autotuner"):
            raise
        errors = importlib.import_module("edge_autotuner.errors")
        needed = f"edge_autotuner.{name} needs {exc.name}: pip install 'edge-autotuner[train]'"
        raise errors.MissingDependency(needed) from exc


def __dir__() -> list[str]:
    return sorted(__all__)
