"""The results of the benchmark of hostile requests as Markdown: the most expensive request of each operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.machine import machine_line
from benchmarks.markdown import table
from benchmarks.service.hostile import MAX_CPU_S, MAX_MS_PER_MB, MAX_TIMES_BYTES, SLACK_BYTES

Results = Mapping[str, Any]


def refused_table(results: Results) -> str:
    """Return the requests of each operation that cost most time and most memory, by what they showed as a token."""
    head = ["operation", "token", "requests", "CPU, s", "sent, MB", "body", "memory, MB", "sent, MB", "body"]
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in results["refused"]:
        groups.setdefault((row["operation"], row["token"]), []).append(row)
    return table(head, [_worst(*key, rows) for key, rows in groups.items() if key[1] != "another"])


def _worst(operation: str, token: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    slowest = max(rows, key=lambda row: row["cpu_s"])
    largest = max(rows, key=lambda row: row["memory_mb"])
    return [
        f"`{operation}`",
        token,
        f"{len(rows)}",
        f"{slowest['cpu_s']:.3f}",
        f"{slowest['sent_mb']:.2f}",
        slowest["body"],
        f"{largest['memory_mb']:.1f}",
        f"{largest['sent_mb']:.2f}",
        largest["body"],
    ]


def refused_line(results: Results) -> str:
    """Return how many requests keep to the aim, and which do not."""
    rows = results["refused"]
    above = [row for row in rows if is_above(row)]
    text = (
        f"{len(rows) - len(above)} of {len(rows)} requests cost at most {MAX_CPU_S:g} s of one core and "
        f"{MAX_TIMES_BYTES:g} times their bytes of memory, or {SLACK_BYTES / 1e6:g} MB where they are small."
    )
    named = [
        f"{row['body']} ({row['cpu_s']:.2f} s and {row['memory_mb']:.0f} MB for {row['sent_mb']:.2f} MB)"
        for row in above
    ]
    return f"{text} Above it: {'; '.join(named)}." if named else text


def is_above(row: Mapping[str, Any]) -> bool:
    """Whether a request costs more than is aimed at."""
    return bool(row["cpu_s"] > MAX_CPU_S or row["memory_mb"] > max(MAX_TIMES_BYTES * row["sent_mb"], SLACK_BYTES / 1e6))


def accepted_table(results: Results) -> str:
    """Return what the largest accepted bodies cost, and which of them miss the aim."""
    head = [
        "operation",
        "body",
        "sent, MB",
        "CPU, s",
        f"ms per MB beside decoding (aim: {MAX_MS_PER_MB:g})",
        "memory, MB",
    ]
    rows = [
        [
            f"`{row['operation']}`",
            row["body"],
            f"{row['sent_mb']:.2f}",
            f"{row['cpu_s']:.3f}",
            "" if row["ms_per_mb"] is None else f"{row['ms_per_mb']:.1f}",
            f"{row['memory_mb']:.1f}",
        ]
        for row in results["accepted"]
    ]
    above = [row for row in results["accepted"] if (row["ms_per_mb"] or 0) > MAX_MS_PER_MB]
    named = ", ".join(f"`{row['operation']}` with {row['body']}" for row in above)
    return table(head, rows) + (f"\n\nThese miss the aim: {named}." if named else "")


def token_line(results: Results) -> str:
    """Return what the time of a refusal tells."""
    tokens = results["tokens"]
    return (
        f"A token with a known id and a wrong secret is refused after {tokens['known_ms']:.1f} ms, one with an unknown "
        f"id after {tokens['unknown_ms']:.1f} ms (medians, in turns; ratio {tokens['ratio']:.3f})."
    )


def machine_note(results: Results) -> str:
    """Return what was measured on."""
    return f"Measured on: {machine_line(results['machine'])}."
