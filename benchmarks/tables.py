"""Turns committed results into the Markdown tables of README.md and docs/benchmarks.md."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.accuracy import RESULTS
from edge_autotuner.errors import ConfigError

_ROOT = Path(__file__).resolve().parent.parent
_PAGES = (_ROOT / "README.md", _ROOT / "docs" / "benchmarks.md")
_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def accuracy_table(results: Mapping[str, Any]) -> str:
    """Return one line per case, AP50 / AP50:95 against human boxes."""
    lines = [
        "| camera | edge model, input 416 | teacher | off the shelf | teacher itself | specialized | change |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results.values():
        human = result["scores"]["human"]
        before, after = human["off-the-shelf edge"], human["specialized edge"]
        change = f"{after['ap50'] - before['ap50']:+.3f} / {after['ap'] - before['ap']:+.3f}"
        cells = [
            result["scene"],
            result["edge_model"],
            result["teacher"],
            _pair(before),
            _pair(human["teacher"]),
            f"**{_pair(after)}**",
            change,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def cost_table(results: Mapping[str, Any]) -> str:
    """Return what each case took, and the time per frame before and after."""
    lines = [
        "| camera | edge model | teacher | capture s | annotation s | training s | ms per frame before | after |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results.values():
        seconds, ms = result["seconds"], result["ms_per_frame"]
        cells = [
            result["scene"],
            result["edge_model"],
            result["teacher"],
            *(f"{seconds[stage]:.0f}" for stage in ("capture", "annotation", "training")),
            f"{ms['before']:.1f}",
            f"{ms['after']:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def filled(text: str) -> str:
    """Return a page with the tables between its markers made new from the committed results.

    Raises:
        ConfigError: a marker names a table that does not exist.
    """
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    makers = {"accuracy": accuracy_table, "costs": cost_table}

    def fill(match: re.Match[str]) -> str:
        if match[2] not in makers:
            raise ConfigError(f"no table '{match[2]}'; tables: {', '.join(makers)}")
        return f"{match[1]}{makers[match[2]](results)}\n{match[3]}"

    return _MARKED.sub(fill, text)


def write_all() -> list[Path]:
    """Fill the tables of all pages, and return the pages."""
    for page in _PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    return list(_PAGES)


def _pair(scores: Mapping[str, float]) -> str:
    return f"{scores['ap50']:.3f} / {scores['ap']:.3f}"
