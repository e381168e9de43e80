"""The results of the service's load benchmark as Markdown; what has not been measured says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.machine import machine_line
from benchmarks.markdown import table
from benchmarks.node.tables import NOT_MEASURED, kept_rate

Results = Mapping[str, Any]

_MAX_OVERHEAD_MS = 2.0
_MIN_KEPT_RATE = 0.99


def aim_table(service: Results, node: Results) -> str:
    """Return what was aimed at, and what was measured."""
    load, memory = service.get("load"), service.get("memory")
    kept = kept_rate(node, pace="own pace", tuning="idle")
    rows = [
        _aim_row(
            "what the service adds to a request, p50, ms",
            f"< {_MAX_OVERHEAD_MS:g}",
            None if load is None else f"{load['overhead_ms_p50']:.2f}",
            is_met=load is not None and load["overhead_ms_p50"] < _MAX_OVERHEAD_MS,
        ),
        _aim_row(
            "memory over 100,000 requests",
            "flat",
            None if memory is None else f"{memory['growth_mb']:+.1f} MB after the first {_share_settled(memory)}",
        ),
        _aim_row(
            "detection beside tuning at default priority, share of its rate without",
            f">= {_MIN_KEPT_RATE:g}",
            None if kept is None else f"{kept:.2f}",
            is_met=kept is not None and kept >= _MIN_KEPT_RATE,
        ),
    ]
    return table(["", "aim", "measured", "met"], rows)


def load_table(results: Results) -> str:
    """Return throughput and latency by cameras, with and without batching."""
    head = [
        "cameras", "calls", "requests/s", "p50, ms", "p99, ms", "pictures per call", "CPU per request, ms",
        "memory, MB",
    ]  # fmt: skip
    load = results.get("load")
    if load is None:
        return table(head, [[NOT_MEASURED, *[""] * (len(head) - 1)]])
    rows = [
        [
            f"{row['cameras']}",
            row["mode"],
            f"{row['requests_per_s']:.0f}",
            f"{row['p50_ms']:.1f}",
            f"{row['p99_ms']:.1f}",
            f"{row['pictures_per_call']:.1f}",
            f"{row['cpu_ms_per_request']:.2f}",
            f"{row['memory_mb']:.0f}",
        ]
        for row in load["rows"]
    ]
    return table(head, rows)


_N_THREADS_OF_REQUEST = 2  # a decoder and the model, where the picture is a small one


def overhead_line(results: Results) -> str:
    """Return what the service adds to a call of the model, in one sentence."""
    load = results.get("load")
    if load is None:
        return f"What the service adds to a request: {NOT_MEASURED}."
    cost = load["cost"]
    return (
        f"A call costs {cost['per_call_ms']:g} ms and {cost['per_picture_ms']:g} ms per picture; the service adds "
        f"{load['overhead_ms_p50']:.2f} ms to a request of a single camera (p50; aim: below {_MAX_OVERHEAD_MS:g} ms). "
        f"On this machine a bare round trip takes {load['floor']['tcp_ms']:.2f} ms over TCP and "
        f"{load['floor']['thread_ms']:.2f} ms to another thread; a request makes one of the former and "
        f"{_N_THREADS_OF_REQUEST} of the latter."
    )


def decoding_table(results: Results) -> str:
    """Return what pictures cost to decode, beside OpenCV alone."""
    head = ["picture", "bytes sent", "OpenCV alone, CPU ms", "service, CPU ms", "answer"]
    decoding = results.get("decoding")
    if decoding is None:
        return table(head, [[NOT_MEASURED, *[""] * (len(head) - 1)]])
    rows = [
        [
            row["name"],
            f"{row['n_bytes']:,}",
            f"{row['opencv_ms']:,.1f}",
            f"{row['service_ms']:,.1f}",
            row["answer"],
        ]
        for row in decoding["rows"]
    ]
    return table(head, rows)


def memory_line(results: Results) -> str:
    """Return what many requests do to memory, in one sentence."""
    memory = results.get("memory")
    if memory is None:
        return f"Memory over many requests: {NOT_MEASURED}."
    return (
        f"Over {memory['n_requests']:,} requests, memory changed by {memory['growth_mb']:+.1f} MB after the first "
        f"{_share_settled(memory)}, with {memory['highest_mb']:.0f} MB at most."
    )


def machine_note(results: Results) -> str:
    """Return where it was measured, in one sentence."""
    load = results.get("load")
    return f"{NOT_MEASURED.capitalize()}." if load is None else f"Measured on: {machine_line(load['machine'])}."


def _aim_row(what: str, aim: str, measured: str | None, *, is_met: bool | None = None) -> list[str]:
    if measured is None:
        return [what, aim, NOT_MEASURED, ""]
    return [what, aim, measured, "" if is_met is None else "yes" if is_met else "**no**"]


def _share_settled(memory: Results) -> str:
    return f"{memory['settled_after_requests']:,}"
