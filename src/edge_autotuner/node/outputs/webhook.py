"""Detections as HTTP POST requests with a JSON body."""

from __future__ import annotations

from collections.abc import Sequence

from edge_autotuner.config.node import CameraConfig, WebhookConfig
from edge_autotuner.core import Backoff, Clock, SystemClock
from edge_autotuner.core.backoff import UNEVEN
from edge_autotuner.node.camera_health import CameraState
from edge_autotuner.node.fault_domain import FIRST_RETRY_S, LONGEST_RETRY_S
from edge_autotuner.node.outputs.queued_output import QueuedOutput
from edge_autotuner.node.outputs.report import DetectionReport
from edge_autotuner.node.outputs.webhook_post import JsonPost, NotNow, RefusedForGood
from edge_autotuner.node.outputs.webhook_schedule import Letter, WebhookSchedule

FRESH_S = 30.0
"""A report that could not be delivered for this long is dropped: stale news mislead."""

_LONGEST_HOLD_S = 600.0  # whatever Retry-After asks for


class WebhookOutput(QueuedOutput[Letter]):
    """Posts one request at a time; an address that does not answer only costs reports.

    What `when` and `min_gap_s` leave out does not count as dropped.

    Args:
        cameras: the only ones of which reports may come.
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
        super().__init__()
        self._clock = clock or SystemClock()
        self._post = JsonPost(config, self._clock)
        self._backoff = backoff or Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, jitter=UNEVEN)
        self._schedule = WebhookSchedule(config, (camera.name for camera in cameras), fresh_s=FRESH_S)
        self._start()

    def take(self, report: DetectionReport) -> None:
        """Queue a report."""
        self._mail(report)

    def tell(self, state: CameraState) -> None:
        """Queue `camera_lost` or `camera_back`."""
        if state.event_type is not None:
            self._mail(state)

    def _mail(self, content: DetectionReport | CameraState) -> None:
        self._put(Letter(content, self._clock.monotonic_s()))

    def _work(self) -> None:
        """Send all that is due; then wait for more, unless this is the end."""
        for letter in self._mailbox.take_all():
            self._tally.add_dropped(self._schedule.offer(letter))
        self._tally.add_dropped(self._schedule.drop_stale(self._clock.monotonic_s()))
        while (due := self._schedule.take_due(self._clock.monotonic_s())) is not None:
            self._send(due)
        self._mailbox.wait(self._schedule.wait_s(self._clock.monotonic_s()))

    def _finish(self) -> None:
        self._schedule.skip_gaps()
        self._work()

    def _release(self) -> int:
        self._post.close()
        return self._schedule.drop_all()

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
