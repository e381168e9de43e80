"""Measures what hostile requests cost the service, per operation: bytes sent, CPU seconds, peak memory.

The service is a process of its own, as `edge-autotuner serve` runs it. Each request is sent alone and measured by the
kernel's counters of that process. Every operation of the OpenAPI description is asked, with and without a token.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import time
import timeit
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from benchmarks.machine import describe_machine
from benchmarks.service.bodies import (
    CAMERA,
    FAR_TOO_LARGE,
    OCTETS,
    WEIGHTS,
    Body,
    datasets,
    hostile_bodies,
    largest_bodies,
    tune_request,
)
from benchmarks.service.load import Server, stub_server
from benchmarks.service.stub import CallCost
from edge_autotuner.core import NoProgress, Progress
from edge_autotuner.server.api_page import describe_api
from edge_autotuner.storage.atomic import atomic_write_json

RESULTS = Path(__file__).parent.parent / "results" / "service_hostile.json"

MAX_CPU_S = 0.2
MAX_TIMES_BYTES = 4.0
MAX_MS_PER_MB = 20.0
SLACK_BYTES = 2_000_000  # the allocator takes memory from the system in pieces; what is below says nothing
_GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""Memory that is free goes back to the system at once: else a request could use what one before has left."""

_N_REFUSALS = 40
_TIMEOUT_S = 120
_NAMES = {"model": "stub", "sha256": "a" * 64, "camera": CAMERA, "bundle_id": "b1", "job_id": "j1"}


@dataclass(frozen=True)
class Operation:
    """One operation of the interface."""

    name: str
    method: str
    path: str


def operations() -> list[Operation]:
    """Return all operations of the OpenAPI description."""
    return [
        Operation(operation["operationId"], method.upper(), path)
        for path, methods in describe_api()["paths"].items()
        for method, operation in methods.items()
    ]


def run_hostile(*, quick: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Measure, and return the results; they are stored unless the run is a short one."""
    progress = progress or NoProgress()
    with stub_server(CallCost(0.0, 0.0), "blobs.reserve_mb=0", environment=_GIVES_BACK) as server:
        _prepare(server)
        asked = operations()
        progress.start("operations", len(asked))
        refused = []
        for operation in asked:
            refused += _refused(server, operation, quick=quick)
            progress.advance()
        progress.finish()
        results = {
            "machine": describe_machine(),
            "refused": refused + _heads(server) + _datasets(server),
            "accepted": _accepted(server),
            "tokens": _token_times(server, 4 if quick else _N_REFUSALS),
        }
    if not quick:
        RESULTS.parent.mkdir(exist_ok=True)
        atomic_write_json(RESULTS, results, indent=1)
    return results


def _prepare(server: Server) -> None:
    _ask(server, "PUT", f"/v1/cameras/{CAMERA}", Body("", b"{}"), server.token)
    _ask(server, "PUT", f"/v1/blobs/{hashlib.sha256(WEIGHTS).hexdigest()}", Body("", WEIGHTS, OCTETS), server.token)


def _refused(server: Server, operation: Operation, *, quick: bool) -> list[dict[str, Any]]:
    path = operation.path.format(**_NAMES)
    bodies = hostile_bodies(operation.name)
    tokens = {"no": None, "another": server.other_token, "a right": server.token}
    rows = []
    for kind, token in tokens.items():
        for body in bodies[:1] if quick or kind != "a right" else bodies:
            measured = _measured(server, operation.method, path, body, token)
            rows.append({"operation": operation.name, "token": kind, "body": body.name, **measured})
    return rows


def _heads(server: Server) -> list[dict[str, Any]]:
    """Measure heads of requests that are too large."""
    heads = {
        "one header": b"X: " + b"x" * FAR_TOO_LARGE,
        "headers": b"X: y\r\n" * (FAR_TOO_LARGE // 6),
        "200 headers": b"X: y\r\n" * 200,
    }
    lines = {name: b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" for name, head in heads.items()}
    lines["a long address"] = b"GET /" + b"a" * FAR_TOO_LARGE
    lines["a long query"] = b"GET /v1/jobs?" + b"a=1&" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    return [
        {
            "operation": "any",
            "token": "no",
            "body": name,
            **_measure(server, partial(_send, server, text), text),
        }
        for name, text in lines.items()
    ]


def _datasets(server: Server) -> list[dict[str, Any]]:
    return [
        {"operation": "create_tuning_job", "token": "a right", "body": f"dataset, {name}", **_job(server, make())}
        for name, make in datasets().items()
        if name != "valid"
    ]


def _job(server: Server, dataset: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(dataset).hexdigest()
    _ask(server, "PUT", f"/v1/blobs/{sha256}", Body("", dataset, OCTETS), server.token)
    body = Body("", json.dumps(tune_request(sha256)).encode())
    measured = _measured(server, "POST", "/v1/jobs/tune", body, server.token)
    return {**measured, "sent_mb": len(dataset) / 1e6}


def _accepted(server: Server) -> list[dict[str, Any]]:
    by_name = {operation.name: operation for operation in operations()}
    rows = []
    for name, body in largest_bodies().items():
        names = dict(_NAMES, sha256=hashlib.sha256(body.content).hexdigest())
        path = by_name[name].path.format(**names)
        times = [_measured(server, by_name[name].method, path, body, server.token) for _ in range(3)]
        measured = min(times, key=lambda row: row["cpu_s"])
        rows.append({"operation": name, "body": body.name, **measured, "ms_per_mb": _beside_decoding(body, measured)})
    dataset = datasets()["valid"]()
    measured = _job(server, dataset)
    own = Body("", dataset)
    rows.append(
        {
            "operation": "create_tuning_job",
            "body": "a dataset",
            **measured,
            "ms_per_mb": _beside_decoding(own, measured),
        }
    )
    return rows


def _beside_decoding(body: Body, measured: Mapping[str, Any]) -> float | None:
    """Return the milliseconds per MB beside those of the decoder; None for a body whose size is not what costs."""
    if len(body.content) < 100_000 or body.kind.startswith(("image", "multipart")):
        return None
    decoding_s = _decoding_s(body.content) if body.kind == "application/json" else 0.0
    cpu_s: float = measured["cpu_s"]
    return max(0.0, cpu_s - decoding_s) * 1000 / (len(body.content) / 1e6)


def _decoding_s(content: bytes) -> float:
    return min(timeit.repeat(lambda: json.loads(content), timer=time.process_time, number=1, repeat=3))


def _token_times(server: Server, n: int) -> dict[str, float]:
    """Compare how long a refusal takes for an id that is known and for one that is not, in turns."""
    known = server.token[:-4] + ("AAAA" if not server.token.endswith("AAAA") else "BBBB")
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    for number in range(n):
        unknown = f"eat_{number:016x}_{known[-43:]}"
        for kind, token in (("known", known), ("unknown", unknown)):
            began_s = time.perf_counter()
            status = _ask(server, "GET", "/v1/models", None, token)
            assert status == 401
            times[kind].append(time.perf_counter() - began_s)
    result = {f"{kind}_ms": median(found) * 1000 for kind, found in times.items()}
    return {**result, "ratio": result["unknown_ms"] / result["known_ms"]}


def _measured(server: Server, method: str, path: str, body: Body, token: str | None) -> dict[str, Any]:
    return _measure(server, lambda: _ask(server, method, path, body, token), body.content)


def _measure(server: Server, send: Callable[[], int | None], content: bytes) -> dict[str, Any]:
    """Return what one request costs the service."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # the peak begins anew
    before_mb, cpu_s, began_s = server.memory_mb(), _cpu_s(server.pid), time.perf_counter()
    status = send()
    seconds = time.perf_counter() - began_s
    _ask(server, "GET", "/v1/health", None, None)  # what was begun has been done, as far as the event loop goes
    return {
        "status": status,
        "sent_mb": len(content) / 1e6,
        "cpu_s": _cpu_s(server.pid) - cpu_s,
        "seconds": seconds,
        "memory_mb": max(0.0, server.memory_mb("VmHWM") - before_mb),
    }


def _cpu_s(pid: int) -> float:
    """Return the processor time of a process, to the nanosecond, and of its children that have ended."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread that has ended
            total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return total / 1e9 + (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _ask(server: Server, method: str, path: str, body: Body | None, token: str | None) -> int | None:
    """Return the status of the answer; None where the connection was closed before it came through."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=_TIMEOUT_S)
    headers = {} if body is None else {"Content-Type": body.kind}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        with suppress(ConnectionError):  # an answer may come before all is sent
            connection.request(method, path, body=None if body is None else body.content, headers=headers)
        reply = connection.getresponse()
        reply.read()
    except (ConnectionError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return reply.status


def _send(server: Server, text: bytes) -> int | None:
    """Send bytes as they are, and return the status of the answer."""
    address = urlsplit(server.url)
    with socket.create_connection((str(address.hostname), address.port or 80), timeout=_TIMEOUT_S) as connection:
        try:
            with suppress(ConnectionError):
                connection.sendall(text)
                connection.shutdown(socket.SHUT_WR)
            line = connection.recv(1 << 16).split(b" ", 2)
        except ConnectionError:
            return None
    return int(line[1]) if len(line) > 1 else None
