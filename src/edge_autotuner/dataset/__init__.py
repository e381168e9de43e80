"""The dataset folder: pictures and labels that grow safely, and the reader of human ground truth.

`DatasetStore` is the store; its journal is the truth, COCO JSON and manifest are derived.
"""

from edge_autotuner.dataset.ground_truth import CocoTruth, TruthBoxes, TruthPicture, load_coco_truth
from edge_autotuner.dataset.records import FrameRecord, SplitName
from edge_autotuner.dataset.store import JSON, DatasetStore, LabelledFrame

__all__ = [
    "JSON",
    "CocoTruth",
    "DatasetStore",
    "FrameRecord",
    "LabelledFrame",
    "SplitName",
    "TruthBoxes",
    "TruthPicture",
    "load_coco_truth",
]
