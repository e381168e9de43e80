"""The results of the service's load benchmark as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def load_table(results: Mapping[str, Any]) -> str:
    """Return throughput and latency by cameras, with and without batching."""
    lines = [
        "| cameras | calls | requests/s | p50, ms | p99, ms | pictures per call | CPU per request, ms | memory, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['cameras']} | {row['mode']} | {row['requests_per_s']:.0f} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} "
        f"| {row['pictures_per_call']:.1f} | {row['cpu_ms_per_request']:.2f} | {row['memory_mb']:.0f} |"
        for row in results["load"]["rows"]
    ]
    return "\n".join(lines)


def overhead_line(results: Mapping[str, Any]) -> str:
    """Return what the service adds to a call of the model, in one sentence."""
    load = results["load"]
    cost = load["cost"]
    return (
        f"A call costs {cost['per_call_ms']:g} ms and {cost['per_picture_ms']:g} ms per picture; the service adds "
        f"{load['overhead_ms_p50']:.2f} ms to a request of a single camera (p50; aim: below 2 ms)."
    )


def memory_line(results: Mapping[str, Any]) -> str:
    """Return what many requests do to memory, in one sentence."""
    memory = results["memory"]
    return (
        f"Over {memory['n_requests']:,} requests, memory changed by {memory['growth_mb']:+.1f} MB after the first "
        f"{memory['settled_after_requests']:,}, with {memory['highest_mb']:.0f} MB at most."
    )
