"""Bundles that a registry takes, made from nothing: their files hold bytes that no detector reads."""

from __future__ import annotations

import hashlib
import json

from edge_autotuner.core import LabelMap
from edge_autotuner.models.detector_spec import DetectorSpec


def content_of(name: str, n_bytes: int) -> bytes:
    """Return bytes that follow from a name."""
    block = hashlib.sha256(name.encode()).digest()
    return (block * (n_bytes // len(block) + 1))[:n_bytes]


def bundle_of(name: str, *, like: str | None = None) -> tuple[bytes, dict[str, bytes]]:
    """Return a bundle's description and its files by role; with `like`, the files of that one."""
    contents = {role: content_of(f"{role} of {like or name}", 100_000) for role in ("model", "weights")}
    spec = DetectorSpec("tiny", LabelMap(("person",)), (32, 32), "stretch", "bgr", "boxes_scores")
    files = {
        role: {"name": role, "n_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for role, content in contents.items()
    }
    description = {
        "format": "edge-autotuner-bundle",
        "version": 1,
        "name": name,
        "architecture": "a",
        "created_at": "2026-01-01T00:00:00+00:00",
        "detector": spec.to_json(),
        "files": files,
        "metrics": {},
        "promotion": {},
        "lineage": {},
    }
    return json.dumps(description).encode(), contents
