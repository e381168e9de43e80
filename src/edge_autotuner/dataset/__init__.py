"""The dataset folder: pictures and labels that grow safely, and the reader of human ground truth.

`DatasetStore` is the store; its journal is the truth, COCO JSON and manifest are derived. `atomic` holds the
crash-safe writes that other packages use too.
"""

from edge_autotuner.dataset.atomic import atomic_write_bytes, atomic_write_json, atomic_write_text, storage_errors
from edge_autotuner.dataset.ground_truth import CocoTruth, TruthBoxes, TruthPicture, load_coco_truth
from edge_autotuner.dataset.records import FrameRecord, SplitName
from edge_autotuner.dataset.store import JSON, DatasetStore

__all__ = [
    "JSON",
    "CocoTruth",
    "DatasetStore",
    "FrameRecord",
    "SplitName",
    "TruthBoxes",
    "TruthPicture",
    "atomic_write_bytes",
    "atomic_write_json",
    "atomic_write_text",
    "load_coco_truth",
    "storage_errors",
]
