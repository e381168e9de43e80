"""Plain values that every stage shares: frames, detections, boxes, labels, and the seams between stages."""

from edge_autotuner.core.annotations import Annotation, Look, Scene, TeacherBase
from edge_autotuner.core.backoff import Backoff
from edge_autotuner.core.boxes import (
    box_areas,
    clip_boxes,
    covered_fraction,
    iou_matrix,
    scale_boxes,
    subtract_boxes,
    xywh_to_xyxy,
    xyxy_to_xywh,
)
from edge_autotuner.core.clock import Clock, ClockJumps, Deadline, FakeClock, SystemClock
from edge_autotuner.core.detections import Detections, DetectorBase
from edge_autotuner.core.events import EVENT_KINDS, CaptureEvent, EventKind, OnEvent, ignore_event
from edge_autotuner.core.frame import Frame
from edge_autotuner.core.labels import COCO_80, COCO_CATEGORY_IDS, STREET_6, LabelMap
from edge_autotuner.core.observations import ModelFindings, MotionResult, Observation
from edge_autotuner.core.operating_point import ClassPoint, OperatingPoint
from edge_autotuner.core.progress import NoProgress, Progress
from edge_autotuner.core.protocols import BackgroundModel, Detector, FrameObserver, FrameSource, Teacher
from edge_autotuner.core.sources import Damage, SourceBase, SourceInfo

__all__ = [
    "COCO_80",
    "COCO_CATEGORY_IDS",
    "EVENT_KINDS",
    "STREET_6",
    "Annotation",
    "BackgroundModel",
    "Backoff",
    "CaptureEvent",
    "ClassPoint",
    "Clock",
    "ClockJumps",
    "Damage",
    "Deadline",
    "Detections",
    "Detector",
    "DetectorBase",
    "EventKind",
    "FakeClock",
    "Frame",
    "FrameObserver",
    "FrameSource",
    "LabelMap",
    "Look",
    "ModelFindings",
    "MotionResult",
    "NoProgress",
    "Observation",
    "OnEvent",
    "OperatingPoint",
    "Progress",
    "Scene",
    "SourceBase",
    "SourceInfo",
    "SystemClock",
    "Teacher",
    "TeacherBase",
    "box_areas",
    "clip_boxes",
    "covered_fraction",
    "ignore_event",
    "iou_matrix",
    "scale_boxes",
    "subtract_boxes",
    "xywh_to_xyxy",
    "xyxy_to_xywh",
]
