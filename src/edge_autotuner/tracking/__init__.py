"""Follows objects through the frames of a watched camera: ids, comings and leavings, lines and zones."""

from edge_autotuner.tracking.objects import CameraObjects
from edge_autotuner.tracking.tracker import NO_ID, Followed, ObjectTracker, TrackingRules

__all__ = ["NO_ID", "CameraObjects", "Followed", "ObjectTracker", "TrackingRules"]
