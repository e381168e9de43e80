"""Settings of live sources: cameras, streams, and recordings played as if live."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge_autotuner.config.base import FrozenConfig, Seconds


class StreamConfig(FrozenConfig):
    """How a live source is connected to, and for how long it is watched."""

    duration_s: Seconds = Field(3600.0, gt=0, description="How long a live source is watched, test part included.")
    realtime: bool = Field(False, description="Play a recorded source at its own pace, as if it were live.")
    transport: Literal["tcp", "udp"] = Field("tcp", description="How RTSP carries pictures.")
    open_timeout_s: Seconds = Field(10.0, gt=0, description="Longest wait for a connection.")
    read_timeout_s: Seconds = Field(10.0, gt=0, description="Longest wait for the next picture: then it has stalled.")
    first_retry_s: Seconds = Field(1.0, gt=0, description="Wait before the first new attempt; doubles each time.")
    longest_retry_s: Seconds = Field(60.0, gt=0, description="Longest wait between two attempts.")
    give_up_after_s: Seconds | None = Field(
        None, gt=0, description="End with an error after this long without a picture; null: keep trying."
    )
    frozen_after_s: Seconds | None = Field(
        60.0, gt=0, description="Reconnect after this long with bit-identical pictures; null: never."
    )
    undecodable_after_s: Seconds = Field(
        30.0,
        gt=0,
        description="Reconnect after this long with data but no decodable picture. A camera may send a complete "
        "picture, from which decoding can start, only every 20 s.",
    )
    webcam_size: str | None = Field(
        None, pattern=r"^[1-9]\d{0,4}x[1-9]\d{0,4}$", description="Picture size asked of a webcam, such as 1280x720."
    )
    webcam_rate_hz: float | None = Field(None, gt=0, le=1000, description="Frames per second asked of a webcam.")
