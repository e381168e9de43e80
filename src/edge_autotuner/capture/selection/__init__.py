"""Which frames are worth a teacher's look: rules from cheap to costly, and a score among those that pass."""

from edge_autotuner.capture.selection.diversity import FrameDescriptor, make_descriptor
from edge_autotuner.capture.selection.scores import FrameScore, make_score
from edge_autotuner.capture.selection.selector import FrameSelector, Reason, SelectedFrame

__all__ = [
    "FrameDescriptor",
    "FrameScore",
    "FrameSelector",
    "Reason",
    "SelectedFrame",
    "make_descriptor",
    "make_score",
]
