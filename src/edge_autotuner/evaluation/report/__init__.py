"""The report page: one self-contained HTML file."""

from edge_autotuner.evaluation.report.capture_section import motion_rows
from edge_autotuner.evaluation.report.data import (
    Costs,
    FrameComparison,
    LearningCurve,
    MotionExample,
    MotionFacts,
    RefinementFacts,
    ReportData,
    SecondLookFacts,
    SentFacts,
    TimelineFrame,
)
from edge_autotuner.evaluation.report.pictures import class_colour, without_pictures
from edge_autotuner.evaluation.report.render import render_report, write_report

__all__ = [
    "Costs",
    "FrameComparison",
    "LearningCurve",
    "MotionExample",
    "MotionFacts",
    "RefinementFacts",
    "ReportData",
    "SecondLookFacts",
    "SentFacts",
    "TimelineFrame",
    "class_colour",
    "motion_rows",
    "render_report",
    "without_pictures",
    "write_report",
]
