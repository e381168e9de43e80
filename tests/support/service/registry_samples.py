"""A small registry with its database and contents, and bundles made of a few bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from edge_autotuner.core import FakeClock, LabelMap
from edge_autotuner.models import DetectorSpec
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.blobs import Blobs
from edge_autotuner.server.database import Database
from edge_autotuner.server.problems import MEDIA_TYPE, Problem
from edge_autotuner.server.registry import Registry
from edge_autotuner.server.routers import blobs as blob_routes
from edge_autotuner.server.routers import registry as registry_routes
from edge_autotuner.server.tokens import Tokens
from edge_autotuner.wire.registry_messages import BundleRequest, CameraRequest
from support.service.served_app import served

SPEC = DetectorSpec("tiny", LabelMap(("person", "car")), (32, 32), "stretch", "bgr", "boxes_scores")


@dataclass
class Parts:
    """What the service joins."""

    clock: FakeClock
    database: Database
    audit: AuditLog
    tokens: Tokens
    blobs: Blobs
    registry: Registry

    def close(self) -> None:
        self.tokens.close()
        self.database.close()

    def actions(self) -> list[tuple[str, str, str]]:
        return [(entry.action, entry.client, entry.subject) for entry in self.audit.entries()]


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'service.db'}"


def open_parts(folder: Path, clock: FakeClock | None = None, **registry_options: Any) -> Parts:
    clock = clock or FakeClock()
    database = Database(url_of(folder))
    audit = AuditLog(database, clock)
    blobs = Blobs(folder / "blobs", max_bytes=1 << 20, reserve_bytes=0, clock=clock)
    registry = Registry(database, blobs, audit, clock=clock, **registry_options)
    return Parts(clock, database, audit, Tokens(database, audit, clock), blobs, registry)


def smallest_model(name: str = "model") -> bytes:
    """Return an ONNX model with an empty graph, different for each name."""
    return b"\x12" + bytes([len(name)]) + name.encode() + b"\x3a\x00"


def file_facts(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "n_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def description(
    name: str = "street",
    *,
    model: bytes = b"model",
    weights: bytes = b"weights",
    edit: Callable[[dict[str, Any]], object] | None = None,
) -> str:
    """Return the text of a bundle.json."""
    values = {
        "format": "edge-autotuner-bundle",
        "version": 1,
        "name": name,
        "architecture": "yolox-nano",
        "created_at": "2026-01-01T00:00:00+00:00",
        "detector": SPEC.to_json(),
        "files": {"model": file_facts("model.onnx", model), "weights": file_facts("weights.safetensors", weights)},
        "metrics": {"ap": 0.5},
        "promotion": {"is_promoted": True},
        "lineage": {"parent": "street-nano"},
    }
    if edit is not None:
        edit(values)
    return json.dumps(values, indent=2) + "\n"


def add_bundle(
    parts: Parts, camera: str = "gate", name: str = "street", *, model: bytes = b"model", weights: bytes = b"weights"
) -> str:
    """Upload a bundle's files, add it, and return its id."""
    parts.registry.put_camera(camera, CameraRequest(), client="trainer")
    parts.blobs.store(model)
    parts.blobs.store(weights)
    text = description(name, model=model, weights=weights)
    return parts.registry.add(camera, BundleRequest(description=text), client="trainer").id


def stages(parts: Parts, camera: str = "gate") -> dict[str, str]:
    return {bundle.name: bundle.stage for bundle in parts.registry.bundles(camera)}


@contextmanager
def small_service(parts: Parts) -> Iterator[TestClient]:
    """Serve blobs and registry without the rest of the service."""
    with TestClient(small_app(parts)) as client:
        yield client


@contextmanager
def small_service_on_loopback(parts: Parts) -> Iterator[str]:
    """Serve them on a port of this machine, and give the address."""
    with served(uvicorn.Config(small_app(parts), log_config=None, lifespan="off")) as (host, port):
        yield f"http://{host}:{port}"


def small_app(parts: Parts) -> FastAPI:
    app = FastAPI()
    app.include_router(blob_routes.router, prefix="/v1")
    app.include_router(registry_routes.router, prefix="/v1")
    app.state.services = SimpleNamespace(authenticator=parts.tokens, blobs=parts.blobs, registry=parts.registry)

    @app.exception_handler(Problem)
    async def answer(_request: Request, problem: Problem) -> JSONResponse:
        reply = problem.reply().model_dump()
        return JSONResponse(reply, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)

    return app


def bearer(parts: Parts, client: str, *scopes: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {parts.tokens.add(client, scopes).text}"}
