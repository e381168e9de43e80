"""Draws recall against pixels sent, as an SVG file of its own for the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_autotuner.evaluation.report.axes import Plot, axes, line, nice_ticks, text

CURVE = Path(__file__).resolve().parent.parent.parent / "docs" / "images" / "gate-curve.svg"

MAX_AREA, MIN_RECALL = 0.25, 0.98
"""The corner that the default should stay in."""

_PANEL_W, _PANEL_H, _HEAD_H, _KEY_H = 330.0, 250.0, 26.0, 24.0
_KEY = (
    "Blue: thresholds, in grey levels. Orange: sensitivity low (L), medium (M, the default), high (H). "
    "Dashed: the corner that the default has to stay in."
)
_STYLE = (
    "text{font:12px sans-serif;fill:#333}.tick,.note{font-size:11px;fill:#555}.panel{font-weight:bold}"
    ".grid{stroke:#e4e4e4}.axis{stroke:#888}.limit{stroke:#c33;stroke-dasharray:4 4}"
    ".curve{fill:none;stroke:#2a6fbb;stroke-width:1.5}.dot{fill:#2a6fbb}.preset{fill:#e08a00}"
)


@dataclass(frozen=True)
class _Point:
    area: float
    recall: float
    label: str


def gate_curve(results: Mapping[str, Any]) -> str:
    """Return the SVG: one panel per scene, a curve over the thresholds, and the three sensitivities."""
    names = list(next(iter(results["scores"].values())))
    panels = [
        f'<g transform="translate({number * _PANEL_W:g} {_HEAD_H:g})">{_panel(results["scores"], name)}</g>'
        for number, name in enumerate(names)
    ]
    width, height = _PANEL_W * len(names), _PANEL_H + _HEAD_H + _KEY_H
    panels.append(text(10, height - 8, _KEY, "note", "start"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="Recall of moving objects against pixels sent">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(panels)}</svg>\n'
    )


def _panel(scores: Mapping[str, Any], scene: str) -> str:
    curve, presets = _points(scores, "threshold", scene), _points(scores, "sensitivity", scene)
    areas, recalls = zip(*((point.area, point.recall) for point in (*curve, *presets)), strict=True)
    x_ticks, y_ticks = nice_ticks(0.0, max(*areas, MAX_AREA)), nice_ticks(min(*recalls, MIN_RECALL), 1.0)
    plot = Plot(_PANEL_W, _PANEL_H, (x_ticks[0], x_ticks[-1]), (y_ticks[0], y_ticks[-1]))
    parts = [
        text(plot.x(x_ticks[0]), -6, scene, "panel", "start"),
        axes(plot, x_ticks, y_ticks, x_title="pixels sent, share of the frame", y_title="recall, moving objects"),
        line(plot.x(MAX_AREA), plot.y(y_ticks[0]), plot.x(MAX_AREA), plot.y(y_ticks[-1]), "limit"),
        line(plot.x(x_ticks[0]), plot.y(MIN_RECALL), plot.x(x_ticks[-1]), plot.y(MIN_RECALL), "limit"),
        _polyline(plot, curve),
        *(_dot(plot, point, "dot", 3.0, 15.0) for point in curve),
        *(_dot(plot, replace(point, label=point.label[0].upper()), "preset", 5.0, -9.0) for point in presets),
    ]
    return "".join(parts)


def _points(scores: Mapping[str, Any], group: str, scene: str) -> list[_Point]:
    rows = {key.removeprefix(f"{group}: "): row[scene] for key, row in scores.items() if key.startswith(f"{group}: ")}
    return [_Point(row["area_fraction"], row["recall_moving"], label) for label, row in rows.items()]


def _polyline(plot: Plot, points: Sequence[_Point]) -> str:
    path = " ".join(f"{plot.x(point.area):.1f},{plot.y(point.recall):.1f}" for point in points)
    return f'<polyline class="curve" points="{path}"/>'


def _dot(plot: Plot, point: _Point, css: str, radius: float, label_down: float) -> str:
    x, y = plot.x(point.area), plot.y(point.recall)
    circle = f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'
    return circle + text(x, y + label_down, point.label, "note")
