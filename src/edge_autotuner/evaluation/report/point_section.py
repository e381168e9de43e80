"""What a user of the camera sees: objects missed and false alarms at the operating point, before and after."""

from __future__ import annotations

import math
from typing import Any

from edge_autotuner.evaluation.comparison import AGAINST_HUMAN, AGAINST_TEACHER
from edge_autotuner.evaluation.found_objects import FoundObjects
from edge_autotuner.evaluation.point_result import PointResult
from edge_autotuner.evaluation.report import charts
from edge_autotuner.evaluation.report.data import ReportData
from edge_autotuner.evaluation.report.wording import MISSING, Tile, alarms_text, fraction_text, objects_text

_TRUTHS = {AGAINST_HUMAN: "Against human boxes", AGAINST_TEACHER: "Against the teacher's labels"}
_HEADS = (("Off the shelf", "before"), ("Specialized", "after"))


def section(data: ReportData) -> dict[str, Any] | None:
    """Return one block per truth, human boxes first, and the thresholds of the specialized model."""
    if not data.at_point or data.point is None:
        return None
    known = [truth for truth in _TRUTHS if truth in data.at_point]
    return {
        "rule": data.point.rule,
        "blocks": [_block(_TRUTHS[truth], *data.at_point[truth]) for truth in known],
        "thresholds": _thresholds(data),
        "n_frames": data.point.n_frames,
    }


def tiles(data: ReportData) -> list[Tile]:
    """Return objects missed and false alarms by the best truth that there is; none without an operating point."""
    truth = AGAINST_HUMAN if AGAINST_HUMAN in data.at_point else AGAINST_TEACHER
    if truth not in data.at_point:
        return []
    before, after = data.at_point[truth]
    name, by = objects_text(after), "human boxes" if truth == AGAINST_HUMAN else "teacher's labels"
    missed = [one.total.n_truths - one.total.n_found for one in (before, after)]
    note = f"of {after.total.n_truths:,}, {by}"
    alarms = f"in {round(after.judged_s):,} s of video"
    return [
        Tile(f"{name.capitalize()} missed", f"{missed[1]:,}", f"{missed[0]:,}", note, _mood(*missed)),
        Tile(
            "False alarms",
            f"{after.n_alarms:,}",
            f"{before.n_alarms:,}",
            alarms,
            _mood(before.n_alarms, after.n_alarms),
        ),
    ]


def _mood(before: int, after: int) -> str:
    return "good" if after < before else "bad" if after > before else ""


def _block(title: str, before: PointResult, after: PointResult) -> dict[str, Any]:
    both = before, after
    classes = list(dict.fromkeys([*before.per_class, *after.per_class]))
    none = FoundObjects(0, 0, 0)
    rows = [_row(name, before.per_class.get(name, none), after.per_class.get(name, none)) for name in classes]
    total = _row("all classes", before.total, after.total)
    chart = charts.precision_recall_chart(
        [
            charts.PrecisionRecall(name, css, one.curve, (one.recall, one.precision))
            for (name, css), one in zip(_HEADS, both, strict=True)
        ]
    )
    return {
        "title": title,
        "heads": _HEADS,
        "sentences": [
            ("Specialized", f"finds {_found(after)}"),
            ("Before", _found(before)),
        ],
        "rows": rows if len(rows) > 1 else [],
        "total": rows[0] if len(rows) == 1 else total,
        "chart": chart,
    }


def _found(result: PointResult) -> str:
    n_found, n_truths = result.total.n_found, result.total.n_truths
    recall, precision = ("" if math.isnan(one) else f"{one:.1%}" for one in (result.recall, result.precision))
    right = f"; {precision} of its boxes are right, with {alarms_text(result)}" if precision else "; it shows no box"
    return f"{n_found:,} of {n_truths:,} {objects_text(result)}{f' ({recall})' if recall else ''}{right}"


def _row(name: str, before: FoundObjects, after: FoundObjects) -> dict[str, Any]:
    cells = [(f"{one.n_truths - one.n_found:,}", f"{one.n_false:,}") for one in (before, after)]
    return {"name": name, "n": f"{max(before.n_truths, after.n_truths):,}", "cells": cells}


def _thresholds(data: ReportData) -> list[tuple[str, str]]:
    assert data.point is not None
    rows = []
    for name, point in data.point.per_class.items():
        if point.n_objects:
            expected = f"expected precision {fraction_text(point.precision)}, recall {fraction_text(point.recall)}"
            overlap = "" if point.nms_iou >= 1 else f", overlap up to {point.nms_iou:g}"
            pooled = ", as all classes together" if point.is_pooled else ""
            rows.append((name, f"score from {point.min_score:.2f}{overlap}{pooled}; {expected}"))
    return rows or [(MISSING, "")]
