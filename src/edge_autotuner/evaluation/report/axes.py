"""The parts that all charts share: scales with round ticks, text, and the frame around them.

Colours come from the page's style sheet through class names, so that charts follow light and dark mode.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

LEFT, RIGHT, TOP, BOTTOM = 52.0, 16.0, 14.0, 40.0
"""Room for tick labels, in chart units."""


@dataclass(frozen=True)
class Plot:
    """The inner rectangle of a chart and its scales.

    Attributes:
        width: of the whole drawing, chart units.
        height: of the whole drawing.
        x_range: data values at the left and right edge.
        y_range: data values at the bottom and top edge.
    """

    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        """Return the horizontal position of a value."""
        low, high = self.x_range
        return LEFT + (value - low) / (high - low) * (self.width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return the vertical position of a value."""
        low, high = self.y_range
        return self.height - BOTTOM - (value - low) / (high - low) * (self.height - TOP - BOTTOM)


def nice_ticks(low: float, high: float, n_wanted: int = 5) -> list[float]:
    """Return about `n_wanted` round values that cover low..high, first <= low and last >= high.

    >>> nice_ticks(0, 0.93)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / max(1, n_wanted)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def text(x: float, y: float, content: str, css: str = "tick", anchor: str = "middle") -> str:
    """Return escaped SVG text."""
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """Return an SVG line."""
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def axes(
    plot: Plot,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    *,
    x_title: str,
    y_title: str,
    x_text: Callable[[float], str] = "{:g}".format,
) -> str:
    """Return grid lines, tick labels and the titles of both axes; `x_text` writes a value of the x axis."""
    parts = []
    for value in y_ticks:
        y = plot.y(value)
        parts.append(line(LEFT, y, plot.width - RIGHT, y, "grid"))
        parts.append(text(LEFT - 8, y + 4, f"{value:g}", anchor="end"))
    bottom = plot.height - BOTTOM
    parts += [text(plot.x(value), bottom + 17, x_text(value)) for value in x_ticks]
    parts.append(line(LEFT, bottom, plot.width - RIGHT, bottom, "axis"))
    parts.append(text((LEFT + plot.width - RIGHT) / 2, plot.height - 4, x_title, "axis-title"))
    centre = (TOP + bottom) / 2
    parts.append(f'<g transform="rotate(-90 12 {centre:.1f})">{text(12, centre, y_title, "axis-title")}</g>')
    return "".join(parts)


def svg(width: float, height: float, content: str, description: str) -> str:
    """Return the drawing, scalable to the width of its place."""
    return (
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(description)}">'
        f"{content}</svg>"
    )


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Return an HTML legend of (name, style class) pairs."""
    items = "".join(f'<li><span class="key {css}"></span>{escape(name)}</li>' for name, css in entries)
    return f'<ul class="legend">{items}</ul>'
