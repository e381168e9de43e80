"""From a video to the frames worth keeping: sources, background, motion gate, selection, collection."""

from edge_autotuner.capture.background import make_background
from edge_autotuner.capture.batch import BatchCollector
from edge_autotuner.capture.collect import collect_frames, collect_test_frames
from edge_autotuner.capture.collect_live import collect_live, plan_end_s
from edge_autotuner.capture.events import EventLog
from edge_autotuner.capture.live import LiveSource, is_live_address, parse_live_address, redact
from edge_autotuner.capture.live_progress import LiveProgress
from edge_autotuner.capture.motion import MotionGate
from edge_autotuner.capture.picture_folder import PictureFolder
from edge_autotuner.capture.selection import FrameScore, FrameSelector, SelectedFrame, make_score
from edge_autotuner.capture.sources import open_source
from edge_autotuner.capture.split import SplitPlan, plan_split
from edge_autotuner.capture.summary import CaptureSummary, SourceNumbers
from edge_autotuner.capture.video_file import VideoFile
from edge_autotuner.core import MotionResult

__all__ = [
    "BatchCollector",
    "CaptureSummary",
    "EventLog",
    "FrameScore",
    "FrameSelector",
    "LiveProgress",
    "LiveSource",
    "MotionGate",
    "MotionResult",
    "PictureFolder",
    "SelectedFrame",
    "SourceNumbers",
    "SplitPlan",
    "VideoFile",
    "collect_frames",
    "collect_live",
    "collect_test_frames",
    "is_live_address",
    "make_background",
    "make_score",
    "open_source",
    "parse_live_address",
    "plan_end_s",
    "plan_split",
    "redact",
]
