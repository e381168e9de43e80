"""What each section of the page shows, from `ReportData` to ready texts and drawings; None or empty leaves it out."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_autotuner.core import Detections
from edge_autotuner.core.tasks import task_of
from edge_autotuner.evaluation.comparison import (
    AGAINST_HUMAN,
    AGAINST_TEACHER,
    OFF_THE_SHELF,
    SPECIALIZED,
    TEACHER,
    Comparison,
)
from edge_autotuner.evaluation.promotion import PromotionDecision
from edge_autotuner.evaluation.report import charts, pictures, point_section
from edge_autotuner.evaluation.report.data import FrameComparison, LearningCurve, ReportData
from edge_autotuner.evaluation.report.pictures import class_colour
from edge_autotuner.evaluation.report.wording import (
    MISSING,
    Tile,
    change_text,
    duration_text,
    fraction_text,
    pixels_text,
    scores_of,
    size_text,
)
from edge_autotuner.evaluation.scores import Scores

_STYLES = {OFF_THE_SHELF: "before", SPECIALIZED: "after", TEACHER: "teacher"}
_TITLES = {OFF_THE_SHELF: "Off the shelf", SPECIALIZED: "Specialized", TEACHER: "Teacher"}
_TRUTHS = {AGAINST_HUMAN: "Against human boxes", AGAINST_TEACHER: "Against the teacher's labels"}
_MAX_CHART_CLASSES = 12


def verdict(data: ReportData) -> Tile | None:
    """Return the badge of the header."""
    if data.promotion is None:
        return None
    title, mood = ("Promoted", "good") if data.promotion.promoted else ("Not promoted", "plain")
    return Tile("promotion", title, mood=mood)


def tiles(data: ReportData) -> list[Tile]:
    """Return the headline numbers that are known."""
    found = [_accuracy_tile(data, AGAINST_HUMAN), _accuracy_tile(data, AGAINST_TEACHER)]
    seen: list[Tile | None] = [*point_section.tiles(data)] or [_found_tile(data)]
    return [tile for tile in (*seen, *found, _teacher_tile(data), _edge_tile(data), _time_tile(data)) if tile]


def facts(data: ReportData) -> list[tuple[str, str]]:
    """Return the line of facts below the headline."""
    rows = [("Camera", data.title), ("Edge model", data.edge_model), ("Teacher", data.teacher)]
    if data.source is not None:
        rows.append(("Source", f"{_length_text(data)}, {size_text(data.source.size_wh)}"))
    return [(name, value) for name, value in rows if value]


def has_human_truth(data: ReportData) -> bool:
    """Tell whether any detector was scored against human boxes."""
    return data.comparison is not None and bool(data.comparison.scores.get(AGAINST_HUMAN))


def frames(data: ReportData) -> list[dict[str, Any]]:
    """Return the tabs of test frames: caption, and one picture per model."""
    return [
        {"caption": frame.caption, "views": _frame_views(data, frame, f"frame-{number}")}
        for number, frame in enumerate(data.frames)
    ]


def class_key(data: ReportData) -> list[tuple[str, str]]:
    """Return (class name, colour) of the classes that the frames show."""
    shown = [found for frame in data.frames for found in (frame.before, frame.after) if found is not None]
    ids = {int(i) for found in shown for i in _displayed(data, found).class_ids}
    return [(data.labels[i], class_colour(i)) for i in sorted(ids)]


def accuracy_tables(data: ReportData) -> list[dict[str, Any]]:
    """Return one table per truth, human boxes first."""
    if data.comparison is None:
        return []
    known = [name for name in _TRUTHS if name in data.comparison.scores]
    names = known + [name for name in data.comparison.scores if name not in known]
    return [table for name in names if (table := _accuracy_table(data.comparison, name))]


def promotion(data: ReportData) -> dict[str, Any] | None:
    """Return the decision, its interval, and the numbers behind it."""
    decision = data.promotion
    if decision is None:
        return None
    interval = charts.interval_chart(
        lower=decision.lower_bound,
        middle=decision.difference,
        upper=decision.upper_bound,
        x_title=f"difference of {decision.metric}, specialized minus deployed",
    )
    return {"decision": decision, "chart": interval, "rows": _promotion_rows(decision)}


def teacher_scores(data: ReportData) -> dict[str, str] | None:
    """Return the histogram of the teacher's scores and what the thresholds make of them."""
    if data.teacher_scores is None or len(data.teacher_scores) == 0:
        return None
    scores = np.asarray(data.teacher_scores)
    n_labels = int(np.count_nonzero(scores >= data.min_score))
    n_uncertain = int(np.count_nonzero((scores >= data.uncertain_score) & (scores < data.min_score)))
    thresholds = [("uncertain from", data.uncertain_score), ("label from", data.min_score)]
    text = f"{n_labels:,} boxes are labels. {n_uncertain:,} are uncertain: neither object nor background."
    return {
        "chart": charts.histogram(scores, thresholds=thresholds, x_title="score of the teacher's boxes"),
        "text": text if data.refinement is None else f"{text} These numbers are after refinement.",
    }


def learning(data: ReportData) -> dict[str, str] | None:
    """Return loss and validation accuracy per epoch."""
    curve = data.learning
    if curve is None or not curve.train_loss:
        return None
    loss = charts.Series("training loss", curve.train_loss, "neutral")
    accuracy = charts.Series("validation AP50:95", curve.val_ap, "after")
    start = None if curve.start_ap is None else ("before training", curve.start_ap)
    best = curve.best_epoch
    return {
        "loss": charts.line_chart([loss], x_title="epoch", y_title="loss", marked_x=best),
        "accuracy": charts.line_chart(
            [accuracy], x_title="epoch", y_title="validation AP50:95", marked_x=best, baseline=start
        ),
        "text": _learning_text(curve),
    }


def costs(data: ReportData) -> dict[str, Any] | None:
    """Return seconds per stage and what the teacher and the edge model cost."""
    cost = data.costs
    if cost is None:
        return None
    seconds = charts.Series("seconds", tuple(cost.stage_seconds.values()), "neutral")
    rows = [
        ("Teacher calls", f"{cost.teacher_calls:,}" if cost.teacher_calls is not None else ""),
        ("Pixels captured", pixels_text(cost.pixels_captured) if cost.pixels_captured else ""),
        ("Pixels sent to the teacher", _sent_text(cost.pixels_sent, cost.pixels_captured)),
        ("Edge model before", f"{cost.edge_ms_before:.1f} ms per frame" if cost.edge_ms_before is not None else ""),
        ("Edge model after", f"{cost.edge_ms_after:.1f} ms per frame" if cost.edge_ms_after is not None else ""),
    ]
    chart = charts.bar_chart(tuple(cost.stage_seconds), [seconds], unit=" s", digits=1) if cost.stage_seconds else ""
    return {"chart": chart, "rows": [(name, value) for name, value in rows if value]}


def _learning_text(curve: LearningCurve) -> str:
    best, look = curve.best_epoch, curve.second_look
    kept = f"The weights of epoch {best} are kept." if best else "No epoch improved on the start."
    if look is None:
        return kept
    return (
        f"After epoch {look.after_epoch} the edge model looked at {look.n_frames:,} frames itself, and its boxes were "
        f"fused with the teacher's: {look.n_labels_before:,} labels became {look.n_labels_after:,}. The validation "
        f"labels changed too, so the curve restarts there; the test labels did not. {kept}"
    )


def _length_text(data: ReportData) -> str:
    if data.source is not None and data.source.n_frames is not None:
        return f"{data.source.n_frames:,} frames"
    return f"live, watched for {duration_text(data.motion.watched_s)}" if data.motion else "live"


def _accuracy_tile(data: ReportData, truth: str) -> Tile | None:
    old, new = scores_of(data, truth, OFF_THE_SHELF), scores_of(data, truth, SPECIALIZED)
    shown = new or old
    if shown is None:
        return None
    name = "AP50:95, human boxes" if truth == AGAINST_HUMAN else "AP50:95, teacher's labels"
    if new is None or old is None:
        return Tile(name, fraction_text(shown.ap, 2), note=f"AP50 {fraction_text(shown.ap50, 2)}")
    note = f"{change_text(old.ap, new.ap, 2)}; AP50 {fraction_text(old.ap50, 2)} → {fraction_text(new.ap50, 2)}"
    mood = "good" if new.ap > old.ap else "bad"
    return Tile(name, fraction_text(new.ap, 2), fraction_text(old.ap, 2), note, mood)


def _found_tile(data: ReportData) -> Tile | None:
    before, after = data.found_before, data.found_after
    shown = after or before
    if shown is None or not shown.n_truths:
        return None
    value = f"{shown.found_fraction:.0%}"
    if before is None or after is None:
        return Tile("Teacher's objects found", value, note=f"{shown.n_found:,} of {shown.n_truths:,}")
    note = f"of {after.n_truths:,}; false alarms {before.n_false:,} → {after.n_false:,}"
    mood = "good" if after.n_found > before.n_found else "bad" if after.n_found < before.n_found else ""
    return Tile("Teacher's objects found", value, f"{before.found_fraction:.0%}", note, mood)


def _teacher_tile(data: ReportData) -> Tile | None:
    cost = data.costs
    if cost is None or cost.teacher_calls is None:
        return None
    note = _share_text(cost.pixels_sent, cost.pixels_captured)
    return Tile("Teacher calls", f"{cost.teacher_calls:,}", note=note)


def _edge_tile(data: ReportData) -> Tile | None:
    cost = data.costs
    if cost is None or (cost.edge_ms_after is None and cost.edge_ms_before is None):
        return None
    if cost.edge_ms_after is None or cost.edge_ms_before is None:
        known = cost.edge_ms_before if cost.edge_ms_after is None else cost.edge_ms_after
        return Tile("Edge model, ms per frame", f"{known:.1f}")
    note = "same network, new weights"
    return Tile("Edge model, ms per frame", f"{cost.edge_ms_after:.1f}", f"{cost.edge_ms_before:.1f}", note)


def _time_tile(data: ReportData) -> Tile | None:
    if data.costs is None or not data.costs.stage_seconds:
        return None
    return Tile("Total time", duration_text(sum(data.costs.stage_seconds.values())), note="no human labels")


def _frame_views(data: ReportData, frame: FrameComparison, picture_id: str) -> list[dict[str, str]]:
    sides = [("before", "Off the shelf", frame.before), ("after", "Specialized", frame.after)]
    shown = [(css, title, _displayed(data, found)) for css, title, found in sides if found is not None]
    if not shown:
        svg = pictures.frame_svg(frame.image_bgr, picture_id=picture_id, content="", description=frame.caption)
        return [{"css": "neutral", "title": "No detections", "note": "", "svg": svg}]
    views = []
    task = task_of(data.labels)
    for position, (css, title, found) in enumerate(shown):
        alone = np.zeros(len(found), np.bool_)
        if len(shown) == 2:
            alone = pictures.only_here(found, shown[1 - position][2], task.similarity)
        content = task.draw(found, data.labels, highlighted=alone, width=frame.image_bgr.shape[1])
        svg = pictures.frame_svg(
            frame.image_bgr,
            picture_id=picture_id,
            content=content,
            description=f"{title}: {len(found)} boxes",
            embed=position == 0,
        )
        views.append({"css": css, "title": title, "note": _count_text(found, alone, len(shown)), "svg": svg})
    return views


def _displayed(data: ReportData, found: Detections) -> Detections:
    """Return the boxes that are drawn; with operating points they have been chosen by them."""
    return found if data.at_point else found.above(data.display_score)


def _count_text(found: Detections, alone: np.ndarray, n_sides: int) -> str:
    boxes = f"{len(found)} box{'' if len(found) == 1 else 'es'}"
    return f"{boxes}, {int(alone.sum())} only here" if n_sides == 2 else boxes


def _accuracy_table(comparison: Comparison, truth: str) -> dict[str, Any] | None:
    by_detector = comparison.scores[truth]
    if not by_detector:
        return None
    first = next(iter(by_detector.values()))
    known = [name for name in _TITLES if name in by_detector]
    names = known + [name for name in by_detector if name not in known]
    classes = list(dict.fromkeys(c for name in names for c in by_detector[name].per_class))
    rows = [
        {"name": c, "n": f"{_n_truths(by_detector, c):,}", "cells": [_cell(by_detector[n], c) for n in names]}
        for c in classes
    ]
    return {
        "title": _TRUTHS.get(truth, f"Against {truth}"),
        "note": f"{first.n_truths:,} objects in {first.n_frames:,} frames",
        "heads": [(_TITLES.get(name, name), _STYLES.get(name, "neutral")) for name in names],
        "total": [_cell(by_detector[name], None) for name in names],
        "rows": rows if len(rows) > 1 else [],
        "only_class": classes[0] if len(classes) == 1 else "",
        "chart": _class_chart(by_detector, names, classes),
    }


def _class_chart(by_detector: dict[str, Scores], names: list[str], classes: list[str]) -> str:
    shown = sorted(classes, key=lambda c: -_n_truths(by_detector, c))[:_MAX_CHART_CLASSES]
    groups = shown if len(shown) > 1 else ["all classes"]
    series = []
    for name in names:
        scores = by_detector[name]
        of_classes = [scores.per_class[c].ap if c in scores.per_class else None for c in shown]
        values = of_classes if len(shown) > 1 else [scores.ap]
        series.append(charts.Series(_TITLES.get(name, name), values, _STYLES.get(name, "neutral")))
    return charts.bar_chart(groups, series, digits=3)


def _n_truths(by_detector: dict[str, Scores], class_name: str) -> int:
    return max(s.per_class[class_name].n_truths for s in by_detector.values() if class_name in s.per_class)


def _cell(scores: Scores, class_name: str | None) -> tuple[str, str]:
    entry = scores if class_name is None else scores.per_class.get(class_name)
    return (MISSING, MISSING) if entry is None else (fraction_text(entry.ap50), fraction_text(entry.ap))


def _promotion_rows(decision: PromotionDecision) -> list[tuple[str, str]]:
    rows = [
        (f"Specialized, {decision.metric}", fraction_text(decision.ap_candidate)),
        (f"Deployed, {decision.metric}", fraction_text(decision.ap_deployed)),
        ("Difference", change_text(decision.ap_deployed, decision.ap_candidate)),
        (f"Lower bound at {decision.confidence:.0%}", change_text(0.0, decision.lower_bound)),
        ("Better in resamples", "" if np.isnan(p := decision.probability_better) else f"{p:.1%}"),
        ("Frames compared", f"{decision.n_frames:,}"),
    ]
    return [(name, value) for name, value in rows if value and value != MISSING]


def _sent_text(sent: int | None, captured: int | None) -> str:
    if sent is None:
        return ""
    return f"{pixels_text(sent)} ({sent / captured:.1%})" if captured else pixels_text(sent)


def _share_text(sent: int | None, captured: int | None) -> str:
    if not sent or not captured:
        return ""
    return f"{sent / captured:.1%} of the captured pixels were sent"
