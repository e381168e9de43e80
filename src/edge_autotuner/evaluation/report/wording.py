"""How numbers are written, and the sentences at the top of the page."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_autotuner.core.types import SizeWH
from edge_autotuner.evaluation.comparison import AGAINST_HUMAN, AGAINST_TEACHER, OFF_THE_SHELF, SPECIALIZED
from edge_autotuner.evaluation.point_result import PointResult
from edge_autotuner.evaluation.report.data import ReportData
from edge_autotuner.evaluation.scores import Scores

MISSING = "\N{EN DASH}"


@dataclass(frozen=True)
class Tile:
    """One large number. `before` is empty where there is only one value."""

    name: str
    value: str
    before: str = ""
    note: str = ""
    mood: str = ""


def fraction_text(value: float | None, digits: int = 3) -> str:
    """Return 0.614, or a dash where nothing was measured."""
    return MISSING if value is None or math.isnan(value) else f"{value:.{digits}f}"


def change_text(before: float | None, after: float | None, digits: int = 3) -> str:
    """Return +0.333, or nothing where one side is missing."""
    if before is None or after is None or math.isnan(before) or math.isnan(after):
        return ""
    return f"{after - before:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def duration_text(seconds: float) -> str:
    """Return "48 s", "5 min 12 s" or "1 h 4 min".

    >>> duration_text(47.6), duration_text(312), duration_text(3840)
    ('48 s', '5 min 12 s', '1 h 4 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def percent_text(share: float) -> str:
    """Return a share as a percentage that is as exact as it is small, and is 0 or 100 only when that is true.

    >>> [percent_text(share) for share in (0, 0.0004, 0.0312, 0.25, 0.9999, 1)]
    ['0%', '<0.1%', '3.1%', '25%', '>99%', '100%']
    """
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.1%}" if 0 < share < 0.0995 else f"{share:.0%}"


def one_of_text(ratio: float) -> str:
    """Return "1 of 3.5", "1 of 29", or "all" where nothing is lost.

    >>> one_of_text(3.52), one_of_text(29.4), one_of_text(0.6)
    ('1 of 3.5', '1 of 29', 'all')
    """
    if ratio <= 1:
        return "all"
    return f"1 of {ratio:.1f}" if ratio < 9.95 else f"1 of {ratio:,.0f}"


def size_text(size_wh: SizeWH) -> str:
    """Return a size with the sign for multiplication between width and height."""
    return f"{size_wh[0]}\N{MULTIPLICATION SIGN}{size_wh[1]}"


def pixels_text(pixels: int) -> str:
    """Return "12.4 Mpx" or "1.2 Gpx"."""
    return f"{pixels / 1e9:.1f} Gpx" if pixels >= 1e9 else f"{pixels / 1e6:.1f} Mpx"


def scores_of(data: ReportData, truth: str, detector: str) -> Scores | None:
    """Return one entry of the comparison if it holds a number."""
    scores = data.comparison.get(truth, detector) if data.comparison else None
    return None if scores is None or math.isnan(scores.ap) else scores


_PLURALS = {"person": "people", "bus": "buses", "bicycle": "bicycles"}
_LONG_ENOUGH_S = 600  # for a rate per hour; of less it is said what was seen


def objects_text(result: PointResult) -> str:
    """Return "people" where only people are counted, "objects" for several classes."""
    counted = [name for name, counts in result.per_class.items() if counts.n_truths]
    if len(counted) != 1:
        return "objects"
    return _PLURALS.get(counted[0], f"{counted[0]}s")


def alarms_text(result: PointResult) -> str:
    """Return "2 false alarms an hour", or "3 false alarms in 40 s of video" where it is too short for a rate.

    >>> from edge_autotuner.evaluation.found_objects import FoundObjects
    >>> alarms_text(PointResult({"car": FoundObjects(9, 8, 3)}, 1, 40.0))
    '1 false alarm in 40 s of video'
    >>> alarms_text(PointResult({"car": FoundObjects(9, 8, 3)}, 2, 3600.0))
    '2 false alarms an hour'
    """
    if result.judged_s >= _LONG_ENOUGH_S:
        return f"{_counted(result.false_alarms_per_hour)} an hour"
    return f"{_counted(result.n_alarms)} in {duration_text(result.judged_s)} of video"


def _counted(n_alarms: float) -> str:
    text = f"{n_alarms:,.0f}" if n_alarms >= 10 or n_alarms == int(n_alarms) else f"{n_alarms:.1f}"
    return f"{text} false alarm{'' if text == '1' else 's'}"


def headline(data: ReportData) -> str:
    """Return the verdict in one sentence, from the best evidence that there is."""
    for truth in (AGAINST_HUMAN, AGAINST_TEACHER):
        if truth in data.at_point and data.at_point[truth][1].total.n_truths:
            return _point_sentence(truth, *data.at_point[truth])
    before, after = data.found_before, data.found_after
    if before is not None and after is not None and after.n_truths:
        return _found_sentence(before.n_found, after.n_found, after.n_truths)
    truth = AGAINST_TEACHER
    old, new = scores_of(data, truth, OFF_THE_SHELF), scores_of(data, truth, SPECIALIZED)
    if old and new:
        better = "more" if new.ap > old.ap else "no more"
        return f"The specialized model is {better} accurate on this camera than the model off the shelf."
    if old:
        return "These are the results of the model off the shelf; it has not been specialized yet."
    if data.learning is not None:
        return "A specialized model was trained but not yet scored on later frames."
    if data.teacher_scores is not None and len(data.teacher_scores):
        return f"The teacher has given {len(data.teacher_scores):,} boxes; training comes next."
    if data.selection_counts or data.timeline:
        return "Frames were selected but not yet labelled by the teacher."
    return "Nothing has been measured yet."


def standing(data: ReportData) -> list[str]:
    """Return the sentences below the headline: accuracy against each truth, and the promotion."""
    lines = []
    for truth, phrase in ((AGAINST_HUMAN, "human boxes"), (AGAINST_TEACHER, "the teacher's labels")):
        old, new = scores_of(data, truth, OFF_THE_SHELF), scores_of(data, truth, SPECIALIZED)
        if old and new:
            lines.append(
                f"Against {phrase}: AP50:95 {old.ap:.3f} → {new.ap:.3f}, AP50 {old.ap50:.3f} → {new.ap50:.3f}"
                f" ({new.n_truths:,} objects in {new.n_frames:,} later frames)."
            )
        elif old:
            lines.append(f"Against {phrase}: AP50:95 {old.ap:.3f}, AP50 {old.ap50:.3f}.")
    return lines


def _point_sentence(truth: str, before: PointResult, after: PointResult) -> str:
    whose = "the teacher's " if truth == AGAINST_TEACHER else ""
    n, what = f"{after.total.n_truths:,}", objects_text(after)
    return (
        f"The specialized model finds {after.total.n_found:,} of {whose}{n} {what}, with {alarms_text(after)}; before: "
        f"{before.total.n_found:,}, with {_counted(before.n_alarms)}."
    )


def _found_sentence(n_before: int, n_after: int, n_truths: int) -> str:
    counts = f"{n_after:,} of {n_truths:,} instead of {n_before:,}"
    if n_after == n_before:
        return f"The specialized model finds as many of the teacher's objects as before: {n_after:,} of {n_truths:,}."
    if n_before == 0:
        return (
            f"The specialized model finds {n_after:,} of the teacher's {n_truths:,} objects; the original found none."
        )
    share = abs(n_after / n_before - 1)
    amount = f"{n_after / n_before:.1f} times as many" if n_after >= 2 * n_before else f"{share:.0%} more"
    if n_after < n_before:
        return f"The specialized model finds {share:.0%} fewer of the teacher's objects: {counts}."
    return f"The specialized model finds {amount} of the teacher's objects: {counts}."
