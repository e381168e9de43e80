"""Turns committed results into the Markdown tables of README.md and the docs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.accuracy import RESULTS
from benchmarks.capture import quality, soak, speed
from benchmarks.capture import tables as capture_tables
from benchmarks.capture.curve import CURVE, gate_curve
from edge_autotuner.errors import ConfigError
from edge_autotuner.models.catalogue import packaged_weights_folder

_ROOT = Path(__file__).resolve().parent.parent
_PAGES = (
    _ROOT / "README.md",
    _ROOT / "docs" / "benchmarks.md",
    _ROOT / "docs" / "capture-benchmarks.md",
    _ROOT / "docs" / "street-nano.md",
)
_CARD = packaged_weights_folder() / "street_nano.json"
_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def accuracy_table(results: Mapping[str, Any]) -> str:
    """Return one line per case, AP50 / AP50:95 against human boxes."""
    lines = [
        "| camera | edge model, input 416 | teacher | epochs | off the shelf | teacher itself | specialized | change |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results.values():
        human = result["scores"]["human"]
        before, after = human["off-the-shelf edge"], human["specialized edge"]
        change = f"{after['ap50'] - before['ap50']:+.3f} / {after['ap'] - before['ap']:+.3f}"
        cells = [
            result["scene"],
            result["edge_model"],
            result["teacher"],
            str(result["settings"]["training.n_epochs"]),
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
        "| camera | edge model | teacher | epochs | capture s | annotation s | training s | ms before | ms after |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results.values():
        seconds, ms = result["seconds"], result["ms_per_frame"]
        cells = [
            result["scene"],
            result["edge_model"],
            result["teacher"],
            str(result["settings"]["training.n_epochs"]),
            *(f"{seconds[stage]:.0f}" for stage in ("capture", "annotation", "training")),
            f"{ms['before']:.1f}",
            f"{ms['after']:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def street_data_table(card: Mapping[str, Any]) -> str:
    """Return what street-nano was trained on."""
    lines = ["| clip | frames | licence |", "|---|---|---|"]
    lines += [f"| {clip['source']} | {clip['n_frames']} | {clip['licence']} |" for clip in card["data"]]
    return "\n".join(lines)


def street_scores_table(card: Mapping[str, Any]) -> str:
    """Return how good street-nano is beside the weights that it started from."""
    names = [card["start"]["name"], card["name"]]
    lines = [f"| camera | {names[0]} | {names[1]} |", "|---|---|---|"]
    lines += [
        f"| {camera} | {_pair(scores[names[0]])} | **{_pair(scores[names[1]])}** |"
        for camera, scores in card["scores"].items()
    ]
    return "\n".join(lines)


_TABLES: dict[str, tuple[Callable[..., str], tuple[Path, ...]]] = {
    "accuracy": (accuracy_table, (RESULTS,)),
    "costs": (cost_table, (RESULTS,)),
    "street_data": (street_data_table, (_CARD,)),
    "street_scores": (street_scores_table, (_CARD,)),
    "capture_summary": (capture_tables.summary_table, (speed.RESULTS, quality.RESULTS, soak.RESULTS)),
    "capture_targets": (capture_tables.target_table, (speed.RESULTS, quality.RESULTS, soak.RESULTS)),
    "capture_speed": (capture_tables.speed_table, (speed.RESULTS,)),
    "capture_machine": (capture_tables.machine_note, (speed.RESULTS,)),
    "capture_median": (capture_tables.median_table, (speed.RESULTS,)),
    "capture_memory": (capture_tables.memory_table, (speed.RESULTS,)),
    "capture_methods": (capture_tables.method_table, (quality.RESULTS,)),
    "capture_ablation": (capture_tables.ablation_table, (quality.RESULTS,)),
    "capture_thresholds": (capture_tables.threshold_table, (quality.RESULTS,)),
    "capture_soak": (capture_tables.soak_table, (soak.RESULTS,)),
}
"""Name between the markers -> what writes the table, and the committed results that it is given."""


def filled(text: str) -> str:
    """Return a page with the tables between its markers made new from the committed results.

    Raises:
        ConfigError: a marker names a table that does not exist, or there are no results for it.
    """

    def fill(match: re.Match[str]) -> str:
        if match[2] not in _TABLES:
            raise ConfigError(f"no table '{match[2]}'; tables: {', '.join(_TABLES)}")
        write, paths = _TABLES[match[2]]
        return f"{match[1]}{write(*map(_read, paths))}\n{match[3]}"

    return _MARKED.sub(fill, text)


def curve() -> str:
    """Return the drawing of recall against pixels sent, made new from the committed results.

    Raises:
        ConfigError: there are no results for it.
    """
    return gate_curve(_read(quality.RESULTS))


def write_all() -> list[Path]:
    """Fill the tables of all pages, draw the curve, and return what was written."""
    for page in _PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    CURVE.parent.mkdir(exist_ok=True)
    CURVE.write_text(curve(), encoding="utf-8")
    return [*_PAGES, CURVE]


def _read(path: Path) -> Any:  # noqa: ANN401 (JSON)
    if not path.is_file():
        command = path.stem.replace("_", "-")
        raise ConfigError(f"there are no results {path.name} yet; run `python -m benchmarks {command}` first")
    return json.loads(path.read_text(encoding="utf-8"))


def _pair(scores: Mapping[str, float]) -> str:
    return f"{scores['ap50']:.3f} / {scores['ap']:.3f}"
