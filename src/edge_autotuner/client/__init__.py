"""HTTP clients of the service.

`Connection` bounds every request in time, bytes and attempts; `RemoteDetector` is a detector whose model runs at the
service; `RegistryClient` publishes and fetches bundles; `JobsClient` runs tuning jobs. Names load on first use: a
module such as `credentials` needs no HTTP library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_autotuner.client.annotation import RemoteDetector, find_remote_model
    from edge_autotuner.client.budget import UploadBudget
    from edge_autotuner.client.connection import Connection, path_of
    from edge_autotuner.client.contents import fetch_file
    from edge_autotuner.client.jobs import JobsClient
    from edge_autotuner.client.registry import RegistryClient

_HOMES = {
    "Connection": "connection",
    "JobsClient": "jobs",
    "RegistryClient": "registry",
    "RemoteDetector": "annotation",
    "UploadBudget": "budget",
    "fetch_file": "contents",
    "find_remote_model": "annotation",
    "path_of": "connection",
}

__all__ = [
    "Connection",
    "JobsClient",
    "RegistryClient",
    "RemoteDetector",
    "UploadBudget",
    "fetch_file",
    "find_remote_model",
    "path_of",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (any public name)
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
