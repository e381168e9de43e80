"""From a video to the frames worth keeping: sources, background, motion gate, selection, collection."""

from edge_autotuner.capture.background import make_background
from edge_autotuner.capture.collect import collect_frames, collect_test_frames
from edge_autotuner.capture.motion import MotionGate, MotionResult
from edge_autotuner.capture.picture_folder import PictureFolder
from edge_autotuner.capture.selection import FrameSelector
from edge_autotuner.capture.sources import open_source
from edge_autotuner.capture.split import SplitPlan, plan_split
from edge_autotuner.capture.summary import CaptureSummary
from edge_autotuner.capture.video_file import VideoFile

__all__ = [
    "CaptureSummary",
    "FrameSelector",
    "MotionGate",
    "MotionResult",
    "PictureFolder",
    "SplitPlan",
    "VideoFile",
    "collect_frames",
    "collect_test_frames",
    "make_background",
    "open_source",
    "plan_split",
]
