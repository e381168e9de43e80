"""Opens a camera with FFmpeg, such that it gives up in time and reads nothing but this camera."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import av
import av.logging
from av.container import InputContainer

from edge_autotuner.capture.live.address import LiveAddress
from edge_autotuner.capture.live.failures import OpenError, SettingsRefused, diagnose, explain_opening
from edge_autotuner.capture.live.feed import FeedError
from edge_autotuner.capture.video_packets import self_contained_formats
from edge_autotuner.config import StreamConfig
from edge_autotuner.core import Clock

logger = logging.getLogger(__name__)

_US = 1_000_000
_PROBE_BYTES = 5_000_000  # FFmpeg's default, said aloud: the most that it keeps while it finds out what comes
_LONGEST_ANALYSIS_S = 2.0
_UDP_BUFFER_BYTES = 1 << 20  # one large picture comes at once; the kernel may allow less

# What an address may lead to. Never "file": a playlist that a camera sends must not read this machine's files.
_PROTOCOLS = {
    "rtsp": "rtp,udp,tcp",
    "rtsps": "rtp,srtp,udp,tcp,tls",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,rtmp,tcp,tls",
    "http": "http,https,httpproxy,tcp,tls,crypto",
    "https": "http,https,httpproxy,tcp,tls,crypto",
    "udp": "udp",
    "tcp": "tcp",
    "srt": "srt",
}


def open_camera(address: LiveAddress, config: StreamConfig, clock: Clock) -> InputContainer:
    """Open a camera of the network or of this machine.

    Raises:
        FeedError: it cannot be opened.
    """
    if not address.is_webcam:
        return _open(address, None, network_options(address, config), config, clock)
    try:
        return _open(address, "v4l2", webcam_options(config, compressed=True), config, clock)
    except SettingsRefused:
        logger.info("%s: no JPEG at this size and rate; trying other formats", address.shown)
    return _open(address, "v4l2", webcam_options(config, compressed=False), config, clock)


def network_options(address: LiveAddress, config: StreamConfig) -> dict[str, str]:
    """Return FFmpeg's options for a camera of the network.

    Its option "nobuffer" is left out on purpose: it throws away what was read to find out about the stream, the
    first complete picture included, so that nothing can be decoded until the next one comes. The pictures that were
    kept are read at once, and only the newest is looked at; so there is no delay either.
    """
    options = {
        "protocol_whitelist": _PROTOCOLS[address.scheme],
        "probesize": str(_PROBE_BYTES),
        "analyzeduration": _microseconds(min(_LONGEST_ANALYSIS_S, config.open_timeout_s / 2)),
        "fpsprobesize": "0",  # the rate that the camera states is enough; to measure it would take a second
    }
    timeout = _microseconds(max(config.open_timeout_s, config.read_timeout_s))
    if address.scheme in {"rtsp", "rtsps"}:
        return options | {
            "rtsp_transport": config.transport,
            "allowed_media_types": "video",
            "buffer_size": str(_UDP_BUFFER_BYTES),
            "timeout": timeout,
        }
    playlists = ",hls" if address.scheme in {"http", "https"} else ""
    options |= {"format_whitelist": self_contained_formats() + playlists, "rw_timeout": timeout}
    if address.scheme == "udp":
        options |= {"buffer_size": str(_UDP_BUFFER_BYTES), "overrun_nonfatal": "1"}
    return options


def webcam_options(config: StreamConfig, *, compressed: bool) -> dict[str, str]:
    """Return FFmpeg's options for a webcam.

    Args:
        config: the size and rate that are asked for.
        compressed: ask for JPEG pictures: over USB 2, uncompressed ones of 1920x1080 come at 5 Hz.
    """
    options = {}
    if compressed:
        options["input_format"] = "mjpeg"
    if config.webcam_size:
        options["video_size"] = config.webcam_size
    if config.webcam_rate_hz:
        options["framerate"] = f"{config.webcam_rate_hz:g}"
    return options


@contextmanager
def relayed_messages(address: LiveAddress) -> Iterator[Callable[[], None]]:
    """Keep FFmpeg's messages of this thread from Python's log until their secrets were taken out.

    There are messages only when somebody has asked for them with `av.logging.set_level`.

    Yields:
        A function that writes what has come into our log; to be called often, so that nothing piles up.
    """
    with av.logging.Capture() as messages:

        def relay() -> None:
            for level, part, text in messages:
                logger.log(
                    av.logging.adapt_level(level), "%s: %s: %s", address.shown, part, address.scrub(text.strip())
                )
            messages.clear()

        try:
            yield relay
        finally:
            relay()


def _open(
    address: LiveAddress, container_format: str | None, options: dict[str, str], config: StreamConfig, clock: Clock
) -> InputContainer:
    started_s = clock.monotonic_s()
    try:
        return av.open(
            address.url,
            mode="r",
            format=container_format,
            container_options=options,
            metadata_errors="replace",
            timeout=(config.open_timeout_s, config.read_timeout_s),
        )
    except OpenError as exc:
        waited_s = clock.monotonic_s() - started_s
        failure = explain_opening(exc, address, waited_s=waited_s, timeout_s=config.open_timeout_s)
        says_nothing = getattr(exc, "errno", None) == errno.EIO and not address.is_webcam
    if says_nothing and (words := diagnose(address)) is not None:
        failure = FeedError("connection failed", words)
    raise failure  # out here, so that it does not carry FFmpeg's error, which shows the whole address


def _microseconds(seconds: float) -> str:
    return str(round(seconds * _US))
