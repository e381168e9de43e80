"""Teachers: where they look in a frame, and how boxes of several views become labels.

`annotate_dataset` asks a teacher about every frame; `refine_dataset` then derives better labels by looking at all
frames together. `RegionTeacher` makes a teacher of any detector, `EnsembleTeacher` one of several; `split_labels` tells
training which boxes are objects and which places are neither object nor background. `look_again` lets a tuned student
improve the labels that it learned from. `PrivacyFilter` hides what others must not see; `ProtectedTeacher` is a teacher
behind it.
"""

from edge_autotuner.annotation.annotate import AnnotationSummary, Labeller, annotate_dataset
from edge_autotuner.annotation.background_labels import BackgroundLabels
from edge_autotuner.annotation.ensemble import EnsembleTeacher
from edge_autotuner.annotation.fusion import fuse_boxes, merge_views
from edge_autotuner.annotation.judge import MirroredTeacher, judging_teacher
from edge_autotuner.annotation.labels import TrainingLabels, split_labels
from edge_autotuner.annotation.magnification import (
    PROBE_GRID,
    Magnification,
    choose_grid,
    measure_magnification,
    with_grid,
    with_grid_of,
)
from edge_autotuner.annotation.privacy import PrivacyFilter, ProtectedTeacher, without_hidden
from edge_autotuner.annotation.refine import RefinementSummary, refine_dataset
from edge_autotuner.annotation.region_teacher import RegionTeacher
from edge_autotuner.annotation.second_look import UsualClasses, fuse_with_student, look_again
from edge_autotuner.annotation.static_places import StaticPlaces, find_static_places, is_static
from edge_autotuner.annotation.teachers import (
    check_plugin_teacher,
    find_teacher_model,
    is_plugin_teacher,
    known_classes,
    make_onnx_teacher,
    make_transformers_teacher,
    open_detector_teacher,
    open_plugin_teacher,
)
from edge_autotuner.annotation.temporal import TemporalCounts, refine_over_time
from edge_autotuner.annotation.views import View, plan_views

__all__ = [
    "PROBE_GRID",
    "AnnotationSummary",
    "BackgroundLabels",
    "EnsembleTeacher",
    "Labeller",
    "Magnification",
    "MirroredTeacher",
    "PrivacyFilter",
    "ProtectedTeacher",
    "RefinementSummary",
    "RegionTeacher",
    "StaticPlaces",
    "TemporalCounts",
    "TrainingLabels",
    "UsualClasses",
    "View",
    "annotate_dataset",
    "check_plugin_teacher",
    "choose_grid",
    "find_static_places",
    "find_teacher_model",
    "fuse_boxes",
    "fuse_with_student",
    "is_plugin_teacher",
    "is_static",
    "judging_teacher",
    "known_classes",
    "look_again",
    "make_onnx_teacher",
    "make_transformers_teacher",
    "measure_magnification",
    "merge_views",
    "open_detector_teacher",
    "open_plugin_teacher",
    "plan_views",
    "refine_dataset",
    "refine_over_time",
    "split_labels",
    "with_grid",
    "with_grid_of",
    "without_hidden",
]
