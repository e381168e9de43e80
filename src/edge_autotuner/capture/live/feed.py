"""The seam between `LiveSource` and what gives it pictures: a camera, a webcam, a recording at its own pace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from edge_autotuner.core import EventKind
from edge_autotuner.core.types import ImageArray
from edge_autotuner.errors import VideoError


class FeedError(VideoError):
    """A feed gives no more pictures; the message shows no secrets and does not name the feed.

    Attributes:
        kind: what happened.
        is_permanent: whether another attempt is bound to fail, too, unless somebody changes something.
    """

    def __init__(self, kind: EventKind, message: str, *, is_permanent: bool = False) -> None:
        super().__init__(message)
        self.kind: EventKind = kind
        self.is_permanent = is_permanent


@dataclass(frozen=True, eq=False)
class Picture:
    """What a feed gives.

    Attributes:
        luma: (H, W) uint8 brightness, read-only; it may be a view of the decoder's memory.
        to_bgr: returns the (H, W, 3) uint8 picture.
    """

    luma: ImageArray
    to_bgr: Callable[[], ImageArray]


class Connection(Protocol):
    """A feed that has been connected to."""

    @property
    def rate_hz(self) -> float | None:
        """Pictures per second as the feed states it; None where it states nothing that makes sense."""
        ...

    def pictures(self) -> Iterator[Picture]:
        """Yield pictures as they arrive, until the source ends.

        Raises:
            FeedError: the connection was lost, nothing came for too long, or no picture can be decoded.
        """
        ...


class Feed(Protocol):
    """Where pictures come from.

    Attributes:
        name: how people call it, without secrets.
        sha256: tells it from other feeds.
        can_reconnect: whether it may be connected to again when it failed. A recording may not.
        longest_block_s: longest time for which a call of `connect` or the next picture may block, seconds.
        length_s: seconds of material that there are; None for a camera.
    """

    name: str
    sha256: str
    can_reconnect: bool
    longest_block_s: float
    length_s: float | None

    def connect(self, stop: threading.Event) -> AbstractContextManager[Connection]:
        """Connect; what is opened is closed at the end of the `with` block.

        Args:
            stop: ends every wait of the connection that is not a wait for the network.

        Raises:
            FeedError: there is no connection.
        """
        ...
