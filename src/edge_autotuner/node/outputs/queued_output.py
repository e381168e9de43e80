"""The queue and the thread between the detection and an output whose other side may be slow, away or broken."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic

from edge_autotuner.core import LabelMap
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.node.outputs.mailbox import Item, Mailbox
from edge_autotuner.node.outputs.tally import OutputStatus, Tally

logger = logging.getLogger(__name__)

_CAPACITY = 256


class QueuedOutput(ABC, Generic[Item]):
    """Puts items into a bounded queue, and delivers them from its own thread; callers never wait.

    A subclass calls `_put` in `take` and `tell`, and `_start` at the end of its constructor. What `_work` raises is
    logged and counted, and the thread continues.

    Attributes:
        name: how the log and the node's status call it.
        close_s: longest time that `close` takes, seconds.
    """

    name: ClassVar[str]
    close_s: ClassVar[float] = 3.0

    def __init__(self) -> None:
        self._tally = Tally(self.name)
        self._mailbox: Mailbox[Item] = Mailbox(_CAPACITY)
        self._thread = threading.Thread(target=self._run, name=f"output {self.name}", daemon=True)

    @property
    def status(self) -> OutputStatus:
        """Its counts."""
        return self._tally.status

    def announce(self, camera: str, labels: LabelMap) -> None:
        """Do nothing: each message names its classes."""

    def close(self) -> None:
        """Deliver what waits, and count what cannot be delivered in time as dropped."""
        self._mailbox.close()
        if self._thread.is_alive():
            self._thread.join(self.close_s)

    def _start(self) -> None:
        self._thread.start()

    def _put(self, item: Item) -> None:
        self._tally.add_dropped(self._mailbox.put(item))

    @abstractmethod
    def _work(self) -> None:
        """Deliver what is in the mailbox, and wait for more."""

    @abstractmethod
    def _finish(self) -> None:
        """Deliver what is still in the mailbox, which is closed."""

    def _release(self) -> int:
        """Give back what the thread holds; return how many items are lost by that."""
        return 0

    def _run(self) -> None:
        try:
            while not self._mailbox.is_closed:
                self._attempt(self._work)
            self._attempt(self._finish)
        finally:
            self._tally.add_dropped(self._release() + len(self._mailbox.take_all()))

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except EdgeAutotunerError as exc:
            self._tally.add_failure(str(exc))
        except Exception as exc:  # the thread's edge
            logger.exception("output %s: unexpected error", self.name)
            self._tally.add_failure(f"unexpected {type(exc).__name__}")
