"""Cameras that film now: addresses without secrets, connections that come back, and always the newest frame."""

from edge_autotuner.capture.live.address import LiveAddress, is_live_address, parse_live_address, redact
from edge_autotuner.capture.live.connection import CameraFeed
from edge_autotuner.capture.live.feed import Connection, Feed, FeedError, Picture
from edge_autotuner.capture.live.latest_frame import LatestFrame
from edge_autotuner.capture.live.live_source import LiveSource
from edge_autotuner.capture.live.realtime import RealtimeFeed
from edge_autotuner.capture.live.waiting import Wait, wait_by, wait_in_real_time, wait_in_simulated_time

__all__ = [
    "CameraFeed",
    "Connection",
    "Feed",
    "FeedError",
    "LatestFrame",
    "LiveAddress",
    "LiveSource",
    "Picture",
    "RealtimeFeed",
    "Wait",
    "is_live_address",
    "parse_live_address",
    "redact",
    "wait_by",
    "wait_in_real_time",
    "wait_in_simulated_time",
]
