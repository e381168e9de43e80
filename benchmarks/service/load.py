"""Cameras against one service whose model has a fixed cost: throughput, latency, what the service adds, and memory.

The service is a process of its own, as `edge-autotuner serve` runs it, with its cache on: every crop is a new one, so
each is looked up, computed and stored. Batching and one-by-one take turns in one run, on one machine.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from benchmarks.machine import describe_machine
from benchmarks.result_file import read_results, store_result
from benchmarks.service.cameras import CROP_SIZE_WH, Crops, Measured, post_crops
from benchmarks.service.floor import machine_floor_ms
from benchmarks.service.stub import MODEL, CallCost
from edge_autotuner.core import NoProgress, Progress

RESULTS = Path(__file__).parent.parent / "results" / "service.json"

Part = Literal["load", "memory"]
PARTS: tuple[Part, ...] = ("load", "memory")

COST = CallCost(per_call_ms=10.0, per_picture_ms=2.0)
N_CAMERAS = (1, 8, 64)
MODES = {"batching": 16, "one by one": 1}  # most pictures of one call
N_ROUNDS = 3

MEMORY_REQUESTS = 100_000
_MEMORY_CAMERAS = 8
_N_SAMPLES = 100
_POLL_S = 0.05
_SETTLED = 0.3  # of the requests: until then the caches, which are bounded, fill up

_SETTINGS = (
    "quotas.requests_per_minute=null",
    "quotas.megapixels_per_minute=null",
    "batching.max_queue=1000",
    "batching.max_queue_megapixels=1000",
    "cache.memory_mb=8",
    "cache.disk_mb=16",
)


@dataclass(frozen=True)
class Plan:
    """How long the benchmark is.

    Attributes:
        n_rounds: how often each setting is measured.
        n_requests: of each measurement, for one camera; 8 cameras make twice as many, 64 cameras four times.
        n_memory_requests: of the run that looks at memory.
    """

    n_rounds: int = N_ROUNDS
    n_requests: int = 500
    n_memory_requests: int = MEMORY_REQUESTS

    def requests_of(self, n_cameras: int) -> int:
        """Return the requests of one measurement with so many cameras."""
        return self.n_requests * min(max(1, n_cameras // 4), 4)


QUICK = Plan(n_rounds=1, n_requests=20, n_memory_requests=500)


@dataclass(frozen=True)
class Server:
    """The service that is measured.

    Attributes:
        url: where it listens.
        token: of the cameras.
        other_token: of a client that may only deploy.
        pid: of its process.
    """

    url: str
    token: str
    other_token: str
    pid: int

    def is_ready(self) -> bool:
        """Whether its model is loaded."""
        try:
            with urllib.request.urlopen(f"{self.url}/v1/ready", timeout=60):
                return True
        except urllib.error.HTTPError:
            return False

    def metric(self, name: str) -> float:
        """Return a number of its metrics page, without labels or for the stub."""
        request = urllib.request.Request(f"{self.url}/metrics", headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            lines = reply.read().decode().splitlines()
        wanted = {f"edge_autotuner_{name}", f'edge_autotuner_{name}{{model="{MODEL}"}}'}
        return float(next(line.rpartition(" ")[2] for line in lines if line.rpartition(" ")[0] in wanted))

    def cpu_s(self) -> float:
        """Return the processor time that its process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, field: str = "VmRSS") -> float:
        """Return a size of its process from the kernel, MB of 10^6 bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith(f"{field}:"))
        return int(kib) * 1024 / 1e6


def run_load(
    *, parts: tuple[Part, ...] = PARTS, quick: bool = False, plan: Plan | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Measure, and return the results; each part is stored at once unless the run is a short one.

    Args:
        parts: what to measure.
        quick: a short run, to see that it works; nothing is stored.
        plan: another length; only the usual one is stored.
        progress: told of requests.
    """
    plan = plan or (QUICK if quick else Plan())
    progress = progress or NoProgress()
    results = read_results(RESULTS)
    for part in parts:
        measure = measure_load if part == "load" else measure_memory
        results[part] = {"machine": describe_machine(), **measure(plan, progress)}
        if plan == Plan():
            store_result(RESULTS, part, results[part])
    return results


def measure_load(plan: Plan, progress: Progress) -> dict[str, Any]:
    """Measure all numbers of cameras with and without batching, in turns."""
    rounds: dict[str, list[dict[str, Any]]] = {}
    total = plan.n_rounds * len(MODES) * sum(map(plan.requests_of, N_CAMERAS))
    progress.start("requests", total)
    for _ in range(plan.n_rounds):
        for mode, max_batch in MODES.items():
            with stub_server(COST, f"batching.max_batch={max_batch}") as server:
                crops = Crops()
                _post(server, crops, 1, 5)  # the first requests open files and connections
                for n_cameras in N_CAMERAS:
                    measured = _measure_once(server, crops, n_cameras, plan.requests_of(n_cameras))
                    progress.advance(plan.requests_of(n_cameras))
                    rounds.setdefault(f"{mode}, {n_cameras}", []).append(measured)
    progress.finish()
    rows = [
        {"mode": mode, "cameras": n_cameras, **_middle(rounds[f"{mode}, {n_cameras}"])}
        for n_cameras in N_CAMERAS
        for mode in MODES
    ]
    return {
        "cost": asdict(COST),
        "crop_size_wh": list(CROP_SIZE_WH),
        "n_rounds": plan.n_rounds,
        "rows": rows,
        "rounds": rounds,
        "overhead_ms_p50": next(row["overhead_ms_p50"] for row in rows if row["cameras"] == 1),
        "floor": machine_floor_ms(),
    }


def measure_memory(plan: Plan, progress: Progress) -> dict[str, Any]:
    """Watch the memory of the service over many requests, with a model that costs nothing."""
    n_requests = plan.n_memory_requests
    every = max(1, n_requests // _N_SAMPLES)
    samples: list[dict[str, float]] = []
    progress.start("requests", n_requests)
    with stub_server(CallCost(0.0, 0.0)) as server:

        def note(n_answers: int) -> None:
            progress.advance()
            if n_answers % every == 0:
                samples.append({"requests": n_answers, "memory_mb": server.memory_mb()})

        measured = asyncio.run(
            post_crops(
                server.url,
                server.token,
                n_cameras=_MEMORY_CAMERAS,
                n_requests=n_requests,
                crops=Crops(),
                on_answer=note,
            )
        )
        _check(measured)
        highest_mb = server.memory_mb("VmHWM")
    progress.finish()
    samples.sort(key=lambda sample: sample["requests"])
    settled = [sample["memory_mb"] for sample in samples if sample["requests"] >= _SETTLED * n_requests]
    return {
        "n_requests": n_requests,
        "cameras": _MEMORY_CAMERAS,
        "requests_per_s": n_requests / measured.seconds,
        "samples": samples,
        "settled_after_requests": int(_SETTLED * n_requests),
        "growth_mb": settled[-1] - settled[0],
        "highest_mb": highest_mb,
    }


@contextmanager
def stub_server(cost: CallCost, *settings: str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Give the service in a process of its own, with a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="service-") as folder, (Path(folder) / "log").open("wb") as log:
        numbers = [f"{cost.per_call_ms}", f"{cost.per_picture_ms}"]
        command = [sys.executable, "-m", "benchmarks.service.stub", f"{folder}/data", *numbers, *_SETTINGS, *settings]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **(environment or {})}
        )
        assert process.stdout is not None
        try:
            token, other_token = (process.stdout.readline().strip() for _ in range(2))
            url = process.stdout.readline().strip().removeprefix("listening on ")
            if not url:
                raise RuntimeError(f"the service did not start: {Path(log.name).read_text()[-2000:]}")
            server = Server(url, token, other_token, process.pid)
            while not server.is_ready():
                time.sleep(_POLL_S)
            yield server
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()


def _measure_once(server: Server, crops: Crops, n_cameras: int, n_requests: int) -> dict[str, Any]:
    calls, call_s = server.metric("call_seconds_count"), server.metric("call_seconds_sum")
    cpu_s = server.cpu_s()
    measured = _post(server, crops, n_cameras, n_requests)
    cpu_s = server.cpu_s() - cpu_s
    calls, call_s = server.metric("call_seconds_count") - calls, server.metric("call_seconds_sum") - call_s
    p50_ms = measured.percentile_ms(50)
    return {
        "n_requests": n_requests,
        "requests_per_s": n_requests / measured.seconds,
        "p50_ms": p50_ms,
        "p99_ms": measured.percentile_ms(99),
        "pictures_per_call": n_requests / calls,
        "call_ms": call_s / calls * 1000,
        "overhead_ms_p50": p50_ms - call_s / calls * 1000,  # where a request never waits for another: one camera
        "cpu_ms_per_request": cpu_s / n_requests * 1000,
        "memory_mb": server.memory_mb(),
    }


def _post(server: Server, crops: Crops, n_cameras: int, n_requests: int) -> Measured:
    work = post_crops(server.url, server.token, n_cameras=n_cameras, n_requests=n_requests, crops=crops)
    measured = asyncio.run(work)
    _check(measured)
    return measured


def _check(measured: Measured) -> None:
    if set(measured.statuses) != {200}:
        raise RuntimeError(f"the service answered with {measured.statuses}")


def _middle(rounds: list[dict[str, Any]]) -> Mapping[str, float]:
    """Return the median of each number over the rounds."""
    return {name: median(measured[name] for measured in rounds) for name in rounds[0]}
