"""The report page: one self-contained HTML file, and drawing of detections on pictures."""

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
from edge_autotuner.evaluation.report.drawing import class_colour, draw_detections
from edge_autotuner.evaluation.report.pictures import without_pictures
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
    "draw_detections",
    "motion_rows",
    "render_report",
    "without_pictures",
    "write_report",
]
