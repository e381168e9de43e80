"""Teachers: who looks at which parts of a frame, and how boxes of several views become labels.

`annotate_dataset` is the stage. `RegionTeacher` makes a teacher of any detector; `split_labels` tells training
which boxes are objects and which places are neither object nor background.
"""

from edge_autotuner.annotation.annotate import AnnotationSummary, annotate_dataset, spread_order
from edge_autotuner.annotation.background_labels import BackgroundLabels
from edge_autotuner.annotation.fusion import drop_cut_boxes, merge_views
from edge_autotuner.annotation.labels import TrainingLabels, split_labels
from edge_autotuner.annotation.region_teacher import RegionTeacher
from edge_autotuner.annotation.teachers import make_onnx_teacher, make_zoom_teacher, open_detector_teacher
from edge_autotuner.annotation.views import View, plan_views

__all__ = [
    "AnnotationSummary",
    "BackgroundLabels",
    "RegionTeacher",
    "TrainingLabels",
    "View",
    "annotate_dataset",
    "drop_cut_boxes",
    "make_onnx_teacher",
    "make_zoom_teacher",
    "merge_views",
    "open_detector_teacher",
    "plan_views",
    "split_labels",
    "spread_order",
]
