"""The part of the page that a camera's owner reads: what is missed, and false alarms."""

from __future__ import annotations

from dataclasses import replace

from edge_autotuner.core import ClassPoint, OperatingPoint
from edge_autotuner.evaluation import AGAINST_HUMAN, AGAINST_TEACHER, FoundObjects, PointResult
from edge_autotuner.evaluation.report import render_report
from edge_autotuner.evaluation.report.charts import PrecisionRecall, precision_recall_chart
from edge_autotuner.evaluation.report.data import ReportData
from edge_autotuner.evaluation.report.point_section import section, tiles
from edge_autotuner.evaluation.report.wording import headline

CURVE = tuple(1.0 if i <= 90 else 0.5 if i < 95 else 0.0 for i in range(101))
BEFORE = PointResult({"person": FoundObjects(100, 80, 9)}, 7, 40.0, CURVE)
AFTER = PointResult({"person": FoundObjects(100, 93, 2)}, 2, 40.0, CURVE)
POINT = OperatingPoint({"person": ClassPoint(0.42, 0.5, 0.98, 0.94, 210)}, 3.0, 60, 55.0)
DATA = ReportData("gate", at_point={AGAINST_TEACHER: (BEFORE, BEFORE), AGAINST_HUMAN: (BEFORE, AFTER)}, point=POINT)


def test_the_headline_counts_what_people_see() -> None:
    assert headline(DATA) == (
        "The specialized model finds 93 of 100 people, with 2 false alarms in 40 s of video; before: 80, with 7 false "
        "alarms."
    )
    hour = replace(AFTER, judged_s=3600.0)
    assert "with 2 false alarms an hour" in headline(replace(DATA, at_point={AGAINST_TEACHER: (BEFORE, hour)}))
    assert "of the teacher's 100 people" in headline(replace(DATA, at_point={AGAINST_TEACHER: (BEFORE, hour)}))


def test_tiles_prefer_human_boxes() -> None:
    missed, alarms = tiles(DATA)
    assert (missed.name, missed.before, missed.value, missed.mood) == ("People missed", "20", "7", "good")
    assert missed.note == "of 100, human boxes"
    assert (alarms.name, alarms.before, alarms.value, alarms.note) == ("False alarms", "7", "2", "in 40 s of video")
    assert tiles(ReportData("gate")) == []


def test_a_loss_is_said() -> None:
    worse = replace(DATA, at_point={AGAINST_HUMAN: (AFTER, BEFORE)})
    assert [tile.mood for tile in tiles(worse)] == ["bad", "bad"]


def test_the_section_has_a_block_per_truth() -> None:
    found = section(DATA)
    assert found is not None
    assert [block["title"] for block in found["blocks"]] == ["Against human boxes", "Against the teacher's labels"]
    (_, after), (_, before) = found["blocks"][0]["sentences"]
    assert after == "finds 93 of 100 people (93.0%); 97.9% of its boxes are right, with 2 false alarms in 40 s of video"
    assert before.startswith("80 of 100 people (80.0%)")
    assert found["thresholds"] == [
        ("person", "score from 0.42, overlap up to 0.5; expected precision 0.980, recall 0.940")
    ]
    assert section(ReportData("gate")) is None


def test_the_page_shows_it() -> None:
    page = render_report(DATA)
    assert page.count('id="point"') == 1
    assert "best F1 on 60 validation frames" in page


def test_a_model_that_shows_nothing_has_no_precision() -> None:
    nothing = PointResult({"person": FoundObjects(10, 0, 0)}, 0, 5.0)
    found = section(replace(DATA, at_point={AGAINST_HUMAN: (nothing, nothing)}))
    assert found is not None
    assert found["blocks"][0]["sentences"][1][1] == "0 of 10 people (0.0%); it shows no box"


def test_the_chart_marks_both_points() -> None:
    both = [PrecisionRecall("a", "before", CURVE, (0.8, 0.9)), PrecisionRecall("b", "after", CURVE, (0.93, 0.98))]
    chart = precision_recall_chart(both)
    assert chart.count("<circle") == 2
    assert chart.count("<polyline") == 2
    assert "nothing was found" in precision_recall_chart([PrecisionRecall("a", "before", (), (float("nan"),) * 2)])
