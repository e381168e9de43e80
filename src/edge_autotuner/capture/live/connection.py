"""A camera that FFmpeg can open, as a feed: the network's, or a webcam."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from av.container import InputContainer
from av.error import EOFError as EndOfFile
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge_autotuner.capture.live.address import LiveAddress
from edge_autotuner.capture.live.failures import OpenError, explain_reading
from edge_autotuner.capture.live.feed import FeedError, Picture
from edge_autotuner.capture.live.opening import open_camera, relayed_messages
from edge_autotuner.capture.live.waiting import Pace, Wait, wait_by
from edge_autotuner.capture.shown import LevelsOfFirst, shown_picture
from edge_autotuner.config import StreamConfig
from edge_autotuner.core import Clock, SystemClock

logger = logging.getLogger(__name__)

_SLOWEST_HZ, _FASTEST_HZ = 0.01, 1000.0  # what else is stated is a clock's rate, such as 90000
_RATE_IS_A_GUESS = {"mpjpeg", "mjpeg"}  # FFmpeg says 25
_RESYNC_S = 30.0  # longer than the parts of any usual playlist


class CameraFeed:
    """A camera of the network, or a webcam.

    Attributes:
        name: its address without secrets.
        sha256: hash of the name.
        can_reconnect: True; one that ends ends the connection only, unless it says that it has an end.
        longest_block_s: an attempt has two phases, and so has the search for the next packet.
        length_s: None.
    """

    can_reconnect = True
    length_s: float | None = None

    def __init__(
        self, address: LiveAddress, config: StreamConfig, *, clock: Clock | None = None, wait: Wait | None = None
    ) -> None:
        self._address = address
        self._config = config
        self._clock = clock or SystemClock()
        self._wait = wait or wait_by(self._clock)
        self.name = address.shown
        self.sha256 = address.sha256
        self._levels = LevelsOfFirst()
        self.longest_block_s = 2 * max(config.open_timeout_s, config.read_timeout_s)

    @contextmanager
    def connect(self, stop: threading.Event) -> Iterator[CameraConnection]:
        """Open the camera; all of it must happen in one thread.

        Raises:
            FeedError: it cannot be opened, or shows no pictures.
        """
        with (
            relayed_messages(self._address) as relay,
            open_camera(self._address, self._config, self._clock) as container,
        ):
            stream = _video_stream(container)
            pace = Pace(self._clock, self._wait, resync_s=_RESYNC_S) if container.format.name == "hls" else None
            connection = CameraConnection(container, stream, self._config, self._clock, relay, pace, stop, self._levels)
            try:
                yield connection
            finally:
                if connection.n_damaged:
                    logger.info("%s: skipped damaged packets: %d", self.name, connection.n_damaged)


class CameraConnection:
    """An open camera.

    Attributes:
        n_damaged: packets and pictures that were left out because they were damaged.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        config: StreamConfig,
        clock: Clock,
        relay: Callable[[], None],
        pace: Pace | None,
        stop: threading.Event,
        levels: LevelsOfFirst | None = None,
    ) -> None:
        """Take over an open container.

        Args:
            container: what FFmpeg opened.
            stream: the one of its streams that is watched.
            config: when to give up.
            clock: measures how long nothing came.
            relay: writes FFmpeg's messages into the log.
            pace: for sources that give many pictures at once and then none for a while, such as HLS.
            stop: ends the waits of the pace.
            levels: of this camera's earlier connections; None: there was none.
        """
        self._container = container
        self._stream = stream
        self._config = config
        self._clock = clock
        self._relay = relay
        self._pace = pace
        self._stop = stop
        self._levels = levels or LevelsOfFirst()
        self.n_damaged = 0

    @property
    def rate_hz(self) -> float | None:
        """Pictures per second as the camera states it."""
        rate = self._stream.average_rate or self._stream.codec_context.framerate
        if rate is None or self._container.format.name in _RATE_IS_A_GUESS:
            return None
        return float(rate) if _SLOWEST_HZ <= rate <= _FASTEST_HZ else None

    def pictures(self) -> Iterator[Picture]:
        """Yield the pictures as they come, without those that are damaged.

        All packets are asked for, sound included: otherwise FFmpeg would never come back from a camera that
        sends sound and no pictures.

        Raises:
            FeedError: the connection was lost, nothing came for too long, or no picture can be decoded.
        """
        video_s = picture_s = self._clock.monotonic_s()
        packets = self._container.demux()
        while (packet := self._next_packet(packets)) is not None:
            now_s = self._clock.monotonic_s()
            if packet.stream.index != self._stream.index:
                self._require_pictures(now_s - video_s)
                continue
            video_s = now_s
            for picture in self._decode(packet):
                if self._pace is not None and picture.time is not None:
                    self._pace.wait_for(picture.time, self._stop)
                yield Picture(*shown_picture(picture, self._levels.of(picture)))
                picture_s = video_s = self._clock.monotonic_s()
            self._require_decodable(now_s - picture_s)
        if not self._has_an_end():
            raise FeedError("connection lost", "the camera ended the stream")

    def _next_packet(self, packets: Iterator[Packet[Stream]]) -> Packet[Stream] | None:
        started_s = self._clock.monotonic_s()
        packet, failure = None, None
        try:
            packet = next(packets, None)
        except OpenError as exc:
            failure = explain_reading(exc, read_timeout_s=self._config.read_timeout_s)
        self._relay()
        if failure is not None:
            raise failure  # out here, so that it does not carry FFmpeg's error, which shows the whole address
        if self._clock.monotonic_s() - started_s >= self._config.read_timeout_s:
            # The parser held a packet back, and gave it out when the time was up.
            raise FeedError("stalled", f"no data for {self._config.read_timeout_s:g} s")
        return packet

    def _decode(self, packet: Packet[Stream]) -> list[VideoFrame]:
        if packet.size > 0 and packet.is_corrupt and self._pace is None:  # in playlists it means: a new part
            self.n_damaged += 1
            return []
        try:
            decoded = self._stream.decode(packet)
        except EndOfFile:
            return []
        except OpenError:
            self.n_damaged += 1
            return []
        intact = [picture for picture in decoded if not picture.is_corrupt]
        self.n_damaged += len(decoded) - len(intact)
        return intact

    def _require_pictures(self, without_s: float) -> None:
        if without_s >= self._config.read_timeout_s:
            raise FeedError("stalled", f"no picture for {self._config.read_timeout_s:g} s, only other data")

    def _require_decodable(self, without_s: float) -> None:
        if without_s >= self._config.undecodable_after_s:
            limit_s = self._config.undecodable_after_s
            raise FeedError("undecodable", f"received data for {limit_s:g} s, but no picture could be decoded")

    def _has_an_end(self) -> bool:
        """Whether this is a recording on a web server rather than a camera: its length is known."""
        if not self._container.name.startswith(("http://", "https://")):
            return False
        is_playlist = self._container.format.name == "hls"  # its size is that of the list
        return bool(self._container.duration) or (self._container.size > 0 and not is_playlist)


def _video_stream(container: InputContainer) -> VideoStream:
    if not container.streams.video:
        raise FeedError("connection failed", "the stream has no video; check the address", is_permanent=True)
    stream = container.streams.video[0]
    if stream.codec_context is None:
        words = "the installed FFmpeg cannot decode this video; set the camera to H.264"
        raise FeedError("connection failed", words, is_permanent=True)
    stream.thread_type = "SLICE"  # threads per frame would hold as many pictures back as there are threads
    return stream
