"""What counts as right, how good detectors are, whether a candidate is promoted, and the report page."""

from edge_autotuner.evaluation.average_precision import MatchTable, score_detections
from edge_autotuner.evaluation.comparison import (
    AGAINST_HUMAN,
    AGAINST_TEACHER,
    OFF_THE_SHELF,
    SPECIALIZED,
    TEACHER,
    ClassMerge,
    Comparison,
    compare_detectors,
    merge_classes,
    merges_among,
)
from edge_autotuner.evaluation.found_objects import FoundObjects, count_found
from edge_autotuner.evaluation.matching import FrameMatch, match_frame
from edge_autotuner.evaluation.operating_point import choose_operating_point
from edge_autotuner.evaluation.point_counts import PointCounts, count_shown
from edge_autotuner.evaluation.point_result import PointResult, measure_point
from edge_autotuner.evaluation.promotion import (
    BootstrapResult,
    PromotionDecision,
    choose_candidate,
    decide_promotion,
    paired_bootstrap,
)
from edge_autotuner.evaluation.scores import ClassScores, Scores
from edge_autotuner.evaluation.truth import Truth, ignored_elsewhere, in_looked_area, truth_from_annotation

__all__ = [
    "AGAINST_HUMAN",
    "AGAINST_TEACHER",
    "OFF_THE_SHELF",
    "SPECIALIZED",
    "TEACHER",
    "BootstrapResult",
    "ClassMerge",
    "ClassScores",
    "Comparison",
    "FoundObjects",
    "FrameMatch",
    "MatchTable",
    "PointCounts",
    "PointResult",
    "PromotionDecision",
    "Scores",
    "Truth",
    "choose_candidate",
    "choose_operating_point",
    "compare_detectors",
    "count_found",
    "count_shown",
    "decide_promotion",
    "ignored_elsewhere",
    "in_looked_area",
    "match_frame",
    "measure_point",
    "merge_classes",
    "merges_among",
    "paired_bootstrap",
    "score_detections",
    "truth_from_annotation",
]
