"""The charts of the report: small functions from numbers to inline SVG, without any plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from edge_autotuner.core.types import FloatArray
from edge_autotuner.evaluation.report.axes import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Plot,
    axes,
    legend,
    line,
    nice_ticks,
    svg,
    text,
)

WIDTH, HEIGHT = 360.0, 236.0
"""Chart units, about one CSS pixel each in the narrowest column, so that letters stay readable."""


@dataclass(frozen=True)
class Series:
    """One line or one set of bars.

    Attributes:
        name: for the legend.
        values: one per x position or group; None is a gap.
        css: style class that gives the colour: "before", "after", "teacher" or "neutral".
    """

    name: str
    values: Sequence[float | None]
    css: str


def line_chart(
    series: Sequence[Series],
    *,
    x_title: str,
    y_title: str,
    marked_x: int | None = None,
    baseline: tuple[str, float] | None = None,
) -> str:
    """Draw lines over 1, 2, 3, ..., one value of each series per position.

    `marked_x`, from 1, emphasizes a position. `baseline` is the name and height of a dashed horizontal line; its name
    is in the legend, where no curve crosses it.
    """
    lines = [[(i, v) for i, v in enumerate(s.values, 1) if v is not None and math.isfinite(v)] for s in series]
    n_positions = max((len(s.values) for s in series), default=0)
    heights = [value for points in lines for _, value in points] + ([baseline[1]] if baseline else [])
    if not heights:
        return _nothing("no values yet")
    y_ticks = nice_ticks(min(0.0, *heights), max(heights))
    plot = Plot(WIDTH, HEIGHT, (0.5, max(n_positions, 1) + 0.5), (y_ticks[0], y_ticks[-1]))
    step = max(1, math.ceil(n_positions / 12))
    parts = [axes(plot, range(1, n_positions + 1, step), y_ticks, x_title=x_title, y_title=y_title)]
    if baseline:
        y = plot.y(baseline[1])
        parts.append(line(LEFT, y, WIDTH - RIGHT, y, "baseline"))
    if marked_x is not None:
        parts.append(line(plot.x(marked_x), TOP, plot.x(marked_x), HEIGHT - BOTTOM, "marker"))
    for one, points in zip(series, lines, strict=True):
        parts.append(_polyline(plot, one, points, x_title, marked_x))
    names = [(s.name, s.css) for s in series] + ([(baseline[0], "before")] if baseline else [])
    key = legend(names) if len(names) > 1 else ""
    return svg(WIDTH, HEIGHT, "".join(parts), f"{y_title} by {x_title}") + key


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision at recall 0, .01, ... 1, with one (recall, precision) marked; precision 0 ends the curve."""

    name: str
    css: str
    precisions: Sequence[float]
    marked: tuple[float, float]


def precision_recall_chart(series: Sequence[PrecisionRecall]) -> str:
    """Draw curves of precision over recall, cut to the corner where their marks are."""
    marks = [value for one in series for value in one.marked if math.isfinite(value)]
    if not marks:
        return _nothing("nothing was found")
    lowest = max(0.0, math.floor((min(marks) - 0.15) * 10) / 10)
    ticks = nice_ticks(lowest, 1.0)
    plot = Plot(WIDTH, HEIGHT, (ticks[0], 1.0), (ticks[0], 1.0))
    parts = [
        axes(plot, ticks, ticks, x_title="recall: share of objects found", y_title="precision: share that is right")
    ]
    for one in series:
        points = [(i / 100, value) for i, value in enumerate(one.precisions)]
        inside = [(x, y) for x, y in points if x >= ticks[0] and y >= max(ticks[0], 1e-9)]
        path = " ".join(f"{plot.x(x):.1f},{plot.y(y):.1f}" for x, y in inside)
        parts.append(f'<polyline class="curve {one.css}" points="{path}"/>')
    for one in series:
        if all(map(math.isfinite, one.marked)):
            recall, precision = one.marked
            parts.append(
                f'<circle class="dot {one.css}" cx="{plot.x(recall):.1f}" cy="{plot.y(precision):.1f}" r="6">'
                f"<title>{escape(one.name)}: recall {recall:.3f}, precision {precision:.3f}</title></circle>"
            )
    key = legend([(one.name, one.css) for one in series])
    return svg(WIDTH, HEIGHT, "".join(parts), "Precision by recall") + key


def histogram(scores: FloatArray, *, thresholds: Sequence[tuple[str, float]], x_title: str, n_bins: int = 50) -> str:
    """Draw how often values occur in [0, 1], the bars coloured by the band between (name, value) thresholds.

    Thresholds rise; bars before the first are dim, after the last strong.
    """
    counts, edges = np.histogram(np.asarray(scores, dtype=np.float64), bins=n_bins, range=(0.0, 1.0))
    if counts.sum() == 0:
        return _nothing("no scores yet")
    y_ticks = nice_ticks(0, float(counts.max()))
    plot = Plot(WIDTH, HEIGHT, (0.0, 1.0), (0.0, y_ticks[-1]))
    parts = [axes(plot, [0, 0.2, 0.4, 0.6, 0.8, 1.0], y_ticks, x_title=x_title, y_title="boxes")]
    for count, low, high in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        band = min(2, sum((low + high) / 2 >= value for _, value in thresholds))
        x, y = plot.x(low), plot.y(count)
        parts.append(
            f'<rect class="bar band{band}" x="{x + 0.5:.1f}" y="{y:.1f}" width="{plot.x(high) - x - 1:.1f}" '
            f'height="{plot.y(0) - y:.1f}"><title>{low:.2f} to {high:.2f}: {count:,}</title></rect>'
        )
    for row, (name, value) in enumerate(thresholds):
        x = plot.x(value)
        parts.append(line(x, TOP, x, HEIGHT - BOTTOM, "marker"))
        parts.append(text(x + 5, TOP + 9 + 15 * row, f"{name} {value:g}", "note", "start"))
    return svg(WIDTH, HEIGHT, "".join(parts), f"Histogram of {x_title}")


def share_histogram(counts: Sequence[int], edges: Sequence[float], *, marked: tuple[str, float], x_title: str) -> str:
    """Draw how many frames have which share of something, on a logarithmic axis.

    Args:
        counts: (B,) frames per bin; the lowest bin also holds smaller shares.
        edges: (B + 1,) rising shares in (0, 1], the borders of the bins.
        marked: name and value of one share to mark, in (0, 1].
        x_title: what is measured.
    """
    filled = [(n, low, high) for n, low, high in zip(counts, edges[:-1], edges[1:], strict=True) if n]
    if not filled:
        return _nothing("no motion yet")
    lowest = min(-1, math.floor(math.log10(filled[0][1]) + 1e-9))  # at least 10 % to 100 % is shown
    y_ticks = nice_ticks(0, max(counts))
    plot = Plot(WIDTH, HEIGHT, (lowest, 0.0), (0.0, y_ticks[-1]))
    decades = range(lowest, 1)
    parts = [axes(plot, decades, y_ticks, x_title=x_title, y_title="frames", x_text=_power_of_ten_percent)]
    for n, low, high in filled:
        x, y = plot.x(math.log10(low)), plot.y(n)
        parts.append(
            f'<rect class="bar" x="{x + 0.5:.1f}" y="{y:.1f}" width="{plot.x(math.log10(high)) - x - 1:.1f}" '
            f'height="{plot.y(0) - y:.1f}"><title>{low:.2%} to {high:.2%} of the frame: {n:,} frames</title></rect>'
        )
    name, value = marked
    x = plot.x(math.log10(value))
    is_left = value < 10 ** (lowest / 2)
    parts.append(line(x, TOP, x, HEIGHT - BOTTOM, "marker"))
    parts.append(text(x + (5 if is_left else -5), TOP + 9, name, "note", "start" if is_left else "end"))
    return svg(WIDTH, HEIGHT, "".join(parts), f"Histogram of {x_title}")


def bar_chart(groups: Sequence[str], series: Sequence[Series], *, unit: str = "", digits: int = 2) -> str:
    """Draw horizontal bars, one group per row and one bar per series in it; the value stands behind each bar."""
    values = [v for s in series for v in s.values if v is not None and math.isfinite(v)]
    if not groups or not values:
        return _nothing("no values yet")
    label_width, bar, gap = 16.0 + 7.0 * min(22, max(map(len, groups))), 15.0, 13.0
    row = bar * len(series) + gap
    height = row * len(groups) + 4
    scale = (WIDTH - label_width - 82) / (max(*values, 0.0) or 1.0)
    parts = []
    for g, name in enumerate(groups):
        top = g * row + gap / 2
        shown = name if len(name) <= 22 else name[:21] + "…"
        parts.append(text(label_width - 10, top + bar * len(series) / 2 + 4, shown, "label", "end"))
        for s, one in enumerate(series):
            value = one.values[g]
            if value is None or not math.isfinite(value):
                continue
            y, wide = top + s * bar, max(1.0, value * scale)
            label = f"{value:,.{digits}f}{unit}"
            parts.append(
                f'<rect class="bar {one.css}" x="{label_width:.1f}" y="{y + 1:.1f}" width="{wide:.1f}" '
                f'height="{bar - 2:.1f}" rx="2"><title>{escape(name)}, {escape(one.name)}: {label}</title></rect>'
            )
            parts.append(text(label_width + wide + 7, y + bar - 3.5, label, "value", "start"))
    key = legend([(s.name, s.css) for s in series]) if len(series) > 1 else ""
    return svg(WIDTH, height, "".join(parts), "Bars: " + ", ".join(groups)) + key


def interval_chart(*, lower: float, middle: float, upper: float, x_title: str) -> str:
    """Draw a measured difference with its interval, and zero."""
    if not all(math.isfinite(value) for value in (lower, middle, upper)):
        return _nothing("no interval")
    height = 104.0
    ticks = nice_ticks(min(0.0, lower), max(0.0, upper), 6)
    plot = Plot(WIDTH, height, (ticks[0], ticks[-1]), (0.0, 1.0))
    y, css = 32.0, "after" if lower > 0 else "before"
    bottom = height - BOTTOM
    parts = [
        line(plot.x(t), TOP - 6, plot.x(t), bottom, "grid") + text(plot.x(t), bottom + 17, f"{t:g}") for t in ticks
    ]
    parts.append(line(plot.x(0), TOP - 10, plot.x(0), bottom + 4, "zero"))
    parts.append(line(plot.x(lower), y, plot.x(upper), y, f"interval {css}"))
    parts += [line(plot.x(v), y - 8, plot.x(v), y + 8, f"interval {css}") for v in (lower, upper)]
    parts.append(
        f'<circle class="dot {css}" cx="{plot.x(middle):.1f}" cy="{y}" r="6">'
        f"<title>{middle:+.3f}, from {lower:+.3f} to {upper:+.3f}</title></circle>"
    )
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, height - 4, x_title, "axis-title"))
    return svg(WIDTH, height, "".join(parts), x_title)


def timeline_strip(times_s: Mapping[str, Sequence[float]], *, n_columns: int = 520) -> str:
    """Draw when frames were selected, kept for the test, or skipped, as one strip over time.

    The keys are style classes; later entries cover earlier ones. Frames that fall into one column share a tick.
    """
    everything = [time for times in times_s.values() for time in times]
    if not everything:
        return _nothing("no frames yet")
    first, last = min(everything), max(everything)
    span = (last - first) or 1.0
    paths = []
    for css, times in times_s.items():
        columns = sorted({min(n_columns - 1, int((t - first) / span * n_columns)) for t in times})
        path = "".join(f"M{c + 0.5} 0v1" for c in columns)
        paths.append(f'<path class="ticks {css}" stroke-width="1.05" d="{path}"/>')
    labels = "".join(f"<span>{clock_text(first + quarter / 4 * span)}</span>" for quarter in range(5))
    return (
        f'<svg class="strip" viewBox="0 0 {n_columns} 1" preserveAspectRatio="none" role="img" '
        f'aria-label="Frames over time">{"".join(paths)}</svg><div class="scale">{labels}</div>'
    )


def clock_text(seconds: float) -> str:
    """Return "m:ss", or "h:mm:ss" from one hour on.

    >>> clock_text(51.2), clock_text(3723)
    ('0:51', '1:02:03')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _polyline(plot: Plot, one: Series, points: Sequence[tuple[int, float]], x_title: str, marked_x: int | None) -> str:
    path = " ".join(f"{plot.x(i):.1f},{plot.y(value):.1f}" for i, value in points)
    dots = "".join(
        f'<circle class="dot {one.css}" cx="{plot.x(i):.1f}" cy="{plot.y(value):.1f}" '
        f'r="{5.5 if i == marked_x else 3}">'
        f"<title>{escape(x_title)} {i}: {value:.4g} ({escape(one.name)})</title></circle>"
        for i, value in points
    )
    return f'<polyline class="curve {one.css}" points="{path}"/>{dots}'


def _power_of_ten_percent(power: float) -> str:
    return f"{10**power:.{max(0, round(-power) - 2)}%}"


def _nothing(why: str) -> str:
    return f'<p class="muted">{escape(why)}</p>'
