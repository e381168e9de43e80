"""Charts: positions, counts, colours by meaning, empty input, escaped names."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from edge_autotuner.evaluation.report.axes import Plot, nice_ticks
from edge_autotuner.evaluation.report.charts import (
    Series,
    bar_chart,
    clock_text,
    histogram,
    interval_chart,
    line_chart,
    share_histogram,
    timeline_strip,
)


def _parts(markup: str, tag: str, css: str) -> list[ET.Element]:
    root = ET.fromstring(f"<div>{markup}</div>")
    return [e for e in root.iter(tag) if css in (e.get("class") or "").split()]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 0.93, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 150, [0, 50, 100, 150]),
        (-0.02, 0.03, [-0.02, -0.01, 0, 0.01, 0.02, 0.03]),
        (0, 0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (5, 5, [5, 6, 7, 8, 9, 10]),
    ],
)
def test_ticks_are_round_and_cover_the_values(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(ticks)


def test_plot_puts_the_range_inside_the_frame() -> None:
    plot = Plot(360, 236, (0, 10), (0, 1))
    assert (plot.x(0), plot.x(10), plot.y(0), plot.y(1)) == (52, 344, 196, 14)


def test_line_chart_has_a_dot_per_value_and_gaps() -> None:
    markup = line_chart([Series("loss", (3.0, None, 1.0, math.nan), "after")], x_title="epoch", y_title="loss")
    dots = _parts(markup, "circle", "dot")
    assert [dot.find("title").text for dot in dots] == ["epoch 1: 3 (loss)", "epoch 3: 1 (loss)"]  # type: ignore[union-attr]
    assert "legend" not in markup


NAMES = ["a", "b & c", "before training"]


def test_line_chart_with_two_series_marker_and_baseline() -> None:
    series = [Series("a", (1.0, 2.0), "before"), Series("b & c", (2.0, 3.0), "after")]
    markup = line_chart(series, x_title="epoch", y_title="AP", marked_x=2, baseline=("before training", 0.5))
    assert [li.text or li[0].tail for li in ET.fromstring(f"<div>{markup}</div>").iter("li")] == NAMES
    assert len(_parts(markup, "line", "marker")) == len(_parts(markup, "line", "baseline")) == 1
    assert _parts(markup, "text", "note") == [], "no name is written where a curve may be"
    assert [dot.get("r") for dot in _parts(markup, "circle", "dot")] == ["3", "5.5", "3", "5.5"]


def test_histogram_colours_by_band_and_counts_everything() -> None:
    scores = np.array([0.05, 0.15, 0.15, 0.95], np.float32)
    markup = histogram(scores, thresholds=[("uncertain", 0.1), ("label", 0.3)], x_title="score", n_bins=10)
    bars = {css: _parts(markup, "rect", css) for css in ("band0", "band1", "band2")}
    titles = [b.find("title").text for css in bars for b in bars[css] if float(b.get("height") or 0) > 0]  # type: ignore[union-attr]
    assert titles == ["0.00 to 0.10: 1", "0.10 to 0.20: 2", "0.90 to 1.00: 1"]
    assert {css: len(found) for css, found in bars.items()} == {"band0": 1, "band1": 2, "band2": 7}
    assert len(_parts(markup, "line", "marker")) == 2


def test_shares_are_drawn_on_a_logarithmic_axis() -> None:
    counts, edges = (0, 3, 6), (0.001, 0.01, 0.1, 1.0)
    markup = share_histogram(counts, edges, marked=("mean", 0.1), x_title="share")
    bars = _parts(markup, "rect", "bar")
    assert [bar.find("title").text for bar in bars] == [  # type: ignore[union-attr]
        "1.00% to 10.00% of the frame: 3 frames",
        "10.00% to 100.00% of the frame: 6 frames",
    ]
    assert bars[0].get("width") == bars[1].get("width"), "one power of ten each"
    assert float(bars[1].get("height") or 0) == pytest.approx(2 * float(bars[0].get("height") or 0), abs=0.2)
    marker = _parts(markup, "line", "marker")[0]
    assert float(marker.get("x1") or 0) == pytest.approx(float(bars[1].get("x") or 0) - 0.5, abs=0.1)
    labels = [element.text for element in _parts(markup, "text", "tick")]
    assert labels[-3:] == ["1%", "10%", "100%"], "the axis begins where the first bar does"


def test_shares_below_a_tenth_of_a_percent_have_their_labels() -> None:
    markup = share_histogram((1,), (0.0001, 0.001), marked=("mean", 0.0005), x_title="share")
    labels = [element.text for element in _parts(markup, "text", "tick")]
    assert labels[-5:] == ["0.01%", "0.1%", "1%", "10%", "100%"]


def test_bar_chart_lengths_are_proportional() -> None:
    markup = bar_chart(["person", "car"], [Series("x", (0.5, 0.25), "after"), Series("y", (None, 0.1), "before")])
    widths = [float(bar.get("width") or 0) for bar in _parts(markup, "rect", "bar")]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)
    assert len(widths) == 3


def test_interval_is_good_only_above_zero() -> None:
    assert len(_parts(interval_chart(lower=0.1, middle=0.2, upper=0.3, x_title="d"), "circle", "after")) == 1
    assert len(_parts(interval_chart(lower=-0.1, middle=0.2, upper=0.3, x_title="d"), "circle", "before")) == 1


def test_timeline_merges_frames_of_one_column() -> None:
    markup = timeline_strip({"skipped": [0.0, 0.01, 10.0], "train": [5.0], "test": []}, n_columns=10)
    paths = {css: _parts(markup, "path", css)[0].get("d") for css in ("skipped", "train", "test")}
    assert paths == {"skipped": "M0.5 0v1M9.5 0v1", "train": "M5.5 0v1", "test": ""}
    assert [span.text for span in ET.fromstring(f"<div>{markup}</div>").iter("span")] == [
        "0:00", "0:02", "0:05", "0:07", "0:10",
    ]  # fmt: skip


def test_one_frame_is_a_timeline_too() -> None:
    assert _parts(timeline_strip({"train": [4.0]}), "path", "train")[0].get("d") == "M0.5 0v1"


@pytest.mark.parametrize(
    "markup",
    [
        line_chart([], x_title="x", y_title="y"),
        line_chart([Series("a", (), "after")], x_title="x", y_title="y"),
        histogram(np.zeros(0, np.float32), thresholds=[], x_title="x"),
        share_histogram((), (), marked=("mean", 0.0), x_title="x"),
        share_histogram((0, 0), (0.01, 0.1, 1.0), marked=("mean", 0.0), x_title="x"),
        bar_chart([], []),
        bar_chart(["a"], [Series("s", (None,), "after")]),
        interval_chart(lower=math.nan, middle=0.1, upper=0.2, x_title="x"),
        timeline_strip({}),
    ],
)
def test_no_values_are_said_in_words(markup: str) -> None:
    assert markup.startswith('<p class="muted">no ')


def test_all_zero_bars_and_lines_can_be_drawn() -> None:
    assert _parts(bar_chart(["a"], [Series("s", (0.0,), "after")]), "rect", "bar")
    assert _parts(line_chart([Series("s", (0.0,), "after")], x_title="x", y_title="y"), "circle", "dot")


def test_names_are_escaped() -> None:
    evil = "<script>alert(1)</script>&"
    for markup in (
        bar_chart([evil], [Series(evil, (1.0,), "after"), Series(evil, (1.0,), "after")]),
        line_chart([Series(evil, (1.0,), "after")] * 2, x_title=evil, y_title=evil, baseline=(evil, 1)),
        histogram(np.ones(1, np.float32), thresholds=[(evil, 0.5)], x_title=evil),
    ):
        assert "<script" not in markup
        ET.fromstring(f"<div>{markup}</div>")


def test_clock() -> None:
    assert [clock_text(s) for s in (0, 59.9, 60, 3600)] == ["0:00", "0:59", "1:00", "1:00:00"]
