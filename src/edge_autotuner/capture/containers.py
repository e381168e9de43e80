"""Which containers FFmpeg may take a file or stream for: none that leads it to other files.

A playlist that a camera sends, or that is named like a video, could otherwise make FFmpeg read any file of this
machine, or ask any other one for data.
"""

from __future__ import annotations

from functools import cache

from av.format import formats_available

_LEADING_ELSEWHERE = frozenset(
    {"concat", "dash", "hls", "image2", "imf", "mlv", "rtp", "rtsp", "sap", "sdp", "vobsub", "webm_dash_manifest"}
)


@cache
def self_contained_formats() -> str:
    """Return the names of all formats whose pictures are in the one file, as FFmpeg's `format_whitelist` wants them."""
    return ",".join(sorted(set(formats_available) - _LEADING_ELSEWHERE))


@cache
def one_file_options() -> dict[str, str]:
    """Return options of FFmpeg under which it reads the file that it is given, and no other."""
    return {"protocol_whitelist": "file", "format_whitelist": self_contained_formats()}
