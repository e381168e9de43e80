"""Detections as HTTP POST requests with a JSON body."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from edge_autotuner.config.node import CameraConfig, WebhookConfig
from edge_autotuner.core import Backoff, Clock, LabelMap, SystemClock
from edge_autotuner.core.backoff import UNEVEN
from edge_autotuner.node.camera_health import CameraState
from edge_autotuner.node.fault_domain import FIRST_RETRY_S, LONGEST_RETRY_S
from edge_autotuner.node.outputs.mailbox import Mailbox
from edge_autotuner.node.outputs.report import DetectionReport
from edge_autotuner.node.outputs.tally import OutputStatus, Tally
from edge_autotuner.node.outputs.webhook_post import JsonPost, NotNow, RefusedForGood
from edge_autotuner.node.outputs.webhook_schedule import Letter, WebhookSchedule

logger = logging.getLogger(__name__)

FRESH_S = 30.0
"""A report that could not be delivered for so long is dropped: old news mislead."""

_CAPACITY = 256
_CLOSE_S = 3.0
_LONGEST_HOLD_S = 600.0  # whatever Retry-After asks for


class WebhookOutput:
    """Posts from a thread of its own, one request at a time; an address that does not answer only costs reports.

    Args:
        config: where to and when.
        cameras: the only ones of which reports may come.
        clock: of gaps and time limits.
        backoff: waits between failed attempts.

    Raises:
        MissingDependency: httpx2 is not installed.
        ConfigError: the address, the token or the authorities cannot be used.
    """

    name = "webhook"

    def __init__(
        self,
        config: WebhookConfig,
        cameras: Sequence[CameraConfig],
        *,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._post = JsonPost(config, self._clock)
        self._backoff = backoff or Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, jitter=UNEVEN)
        self._names = {camera.name for camera in cameras}
        self._schedule = WebhookSchedule(config, self._names, fresh_s=FRESH_S)
        self._tally = Tally(self.name)
        self._mailbox: Mailbox[Letter] = Mailbox(_CAPACITY)
        self._thread = threading.Thread(target=self._run, name=f"output {self.name}", daemon=True)
        self._thread.start()

    @property
    def status(self) -> OutputStatus:
        """Its counts; what `when` and `min_gap_s` leave out is not dropped."""
        return self._tally.status

    def announce(self, camera: str, labels: LabelMap) -> None:
        """Do nothing: each request says what it is about."""

    def take(self, report: DetectionReport) -> None:
        """Have a report posted if it is worth it."""
        self._put(report)

    def tell(self, state: CameraState) -> None:
        """Have it posted that a camera is lost or back."""
        if state.event_type is not None:
            self._put(state)

    def _put(self, content: DetectionReport | CameraState) -> None:
        if content.camera not in self._names:
            raise ValueError(f"there is no camera {content.camera}")
        self._tally.add_dropped(self._mailbox.put(Letter(content, self._clock.monotonic_s())))

    def close(self) -> None:
        """Post what waits, once, and drop what cannot be delivered within three seconds."""
        self._mailbox.close()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        try:
            while not self._mailbox.is_closed:
                self._run_once()
            self._schedule.skip_gaps()
            self._run_once()
        finally:
            self._tally.add_dropped(self._schedule.drop_all() + len(self._mailbox.take_all()))
            self._post.close()

    def _run_once(self) -> None:
        """Send all that is due; then wait for more, unless this is the end."""
        try:
            for letter in self._mailbox.take_all():
                self._tally.add_dropped(self._schedule.offer(letter))
            self._tally.add_dropped(self._schedule.drop_stale(self._clock.monotonic_s()))
            while (due := self._schedule.take_due(self._clock.monotonic_s())) is not None:
                self._send(due)
            self._mailbox.wait(self._schedule.wait_s(self._clock.monotonic_s()))
        except Exception as exc:  # the thread's edge
            logger.exception("output %s: unexpected error", self.name)
            self._tally.add_failure(f"unexpected {type(exc).__name__}")

    def _send(self, letter: Letter) -> None:
        try:
            self._post.send(letter.text)
        except RefusedForGood as exc:
            self._schedule.settle(letter)
            self._tally.add_dropped()
            self._tally.add_failure(str(exc))
        except NotNow as exc:
            wait_s = max(self._backoff.next_wait_s(), min(exc.retry_after_s, _LONGEST_HOLD_S))
            self._schedule.put_back(letter, until_s=self._clock.monotonic_s() + wait_s)
            self._tally.add_failure(str(exc))
        else:
            self._schedule.settle(letter)
            self._backoff.reset()
            self._tally.add_sent()
            self._tally.set_working()
