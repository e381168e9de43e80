"""Calls a model with batches of pictures of all clients."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.core.detections import Detections
from edge_autotuner.core.protocols import Detector
from edge_autotuner.core.types import ImageArray
from edge_autotuner.server.annotation.batch_queue import BatchQueue, BatchRules, Place
from edge_autotuner.server.annotation.call_threads import CallThreads

logger = logging.getLogger(__name__)

OnCall = Callable[[int, float], None]
"""Called with the number of pictures and the seconds of each call."""

_SMOOTHING = 0.2  # weight of the last call in the mean time of a picture
_FIRST_GUESS_S = 0.1  # of that mean


class QueueFull(Exception):
    """There is no room for these pictures; there should be after `retry_after_s`."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"try again in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class ModelFailed(Exception):
    """A model failed on one picture; the cause is attached."""


Answer = Detections | ModelFailed


@dataclass(frozen=True, eq=False)
class _Waiting:
    image: ImageArray
    answer: asyncio.Future[Detections]


class Batcher:
    """One model with its queue; all methods are called on the event loop.

    Args:
        detector: called from `rules.n_parallel` threads.
        clock: its monotonic time orders the queue.
    """

    def __init__(
        self,
        detector: Detector,
        rules: BatchRules,
        *,
        name: str,
        on_call: OnCall = lambda n_pictures, seconds: None,
        clock: Clock | None = None,
    ) -> None:
        self._detector = detector
        self._rules = rules
        self._name = name
        self._on_call = on_call
        self._clock = clock or SystemClock()
        self._queue: BatchQueue[_Waiting] = BatchQueue(rules)
        self._threads = CallThreads(rules.n_parallel, f"model-{name}")
        self._calls: dict[asyncio.Future[tuple[list[Answer], float]], float] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._picture_s = _FIRST_GUESS_S
        self._has_measured = False

    @property
    def n_waiting(self) -> int:
        """Pictures in the queue."""
        return self._queue.n_held

    @property
    def retry_after_s(self) -> float:
        """Estimated seconds until the queue is done, from the mean time of recent pictures."""
        return self._queue.n_ahead * self._picture_s / self._rules.n_parallel

    @property
    def longest_call_s(self) -> float:
        """Seconds that the oldest running call has taken so far, 0 if there is none."""
        now_s = self._clock.monotonic_s()
        return max((now_s - started_s for started_s in self._calls.values()), default=0.0)

    def reserve(self, n_pixels: Sequence[int]) -> list[Place]:
        """Return a place in the queue for each picture; raises `QueueFull` without room for all of them."""
        places = self._queue.reserve(list(n_pixels))
        if places is None:
            raise QueueFull(self.retry_after_s)
        return places

    def release(self, place: Place) -> None:
        """Free the place of a picture, unless it is in a call."""
        self._queue.release(place)

    async def detect(self, place: Place, image_bgr: ImageArray) -> Detections:
        """Return the detections of a picture, which the model gets in a batch with others.

        Raises:
            ModelFailed: the model raised, or returned what cannot be detections.
        """
        answer: asyncio.Future[Detections] = asyncio.get_running_loop().create_future()
        self._queue.add(place, _Waiting(image_bgr, answer), self._clock.monotonic_s())
        self._start_ready()
        try:
            return await answer
        finally:
            self.release(place)

    def close(self) -> None:
        """End the threads; no picture may wait."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._threads.close()

    def _start_ready(self) -> None:
        """Start the batches that are ready, and set a timer for the next one."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now_s = self._clock.monotonic_s()
        while batch := self._queue.take(now_s):
            self._start(batch, now_s)
        wait_s = self._queue.wait_s(now_s)
        if wait_s is not None:
            self._alarm = asyncio.get_running_loop().call_later(wait_s, self._start_ready)

    def _start(self, batch: list[_Waiting], now_s: float) -> None:
        images = [waiting.image for waiting in batch]
        call = self._threads.run(lambda: self._timed_call(images))
        self._calls[call] = now_s
        call.add_done_callback(partial(self._end, batch))

    def _end(self, batch: list[_Waiting], call: asyncio.Future[tuple[list[Answer], float]]) -> None:
        del self._calls[call]
        self._queue.finished(len(batch))
        self._start_ready()
        error = call.exception()
        if error is not None:  # not of the model, whose failures belong to single pictures
            answers: list[Answer] = [_failed(error)] * len(batch)
        else:
            answers, seconds = call.result()
            self._note(len(batch), seconds)
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.answer.done():
                continue  # the request was cancelled
            if isinstance(answer, Detections):
                waiting.answer.set_result(answer)
            else:
                waiting.answer.set_exception(answer)

    def _timed_call(self, images: list[ImageArray]) -> tuple[list[Answer], float]:
        started_s = self._clock.monotonic_s()
        answers = detect_all(self._detector, images, self._name)
        return answers, self._clock.monotonic_s() - started_s

    def _note(self, n_pictures: int, seconds: float) -> None:
        per_picture_s = seconds / n_pictures
        weight = _SMOOTHING if self._has_measured else 1.0
        self._picture_s += weight * (per_picture_s - self._picture_s)
        self._has_measured = True
        self._on_call(n_pictures, seconds)


def whole_seconds(seconds: float) -> str:
    """Return the value of a Retry-After header, which knows whole seconds only.

    >>> whole_seconds(0.2), whole_seconds(7.1)
    ('1', '8')
    """
    return str(max(1, math.ceil(seconds)))


def detect_all(detector: Detector, images: list[ImageArray], name: str) -> list[Answer]:
    """Return an answer for each picture; if a batch fails, try each picture alone: only the bad one fails."""
    if len(images) > 1:
        try:
            answers = detector.detect_batch(images)
            if len(answers) == len(images):
                return [_checked(answer, detector) for answer in answers]
            logger.warning(
                "model %s returned %d results for %d pictures; retrying one by one", name, len(answers), len(images)
            )
        except Exception:  # the other pictures of the batch may be fine
            logger.warning("model %s: a batch of %d failed; retrying one by one", name, len(images), exc_info=True)
    return [_detect_one(detector, image) for image in images]


def _detect_one(detector: Detector, image: ImageArray) -> Answer:
    try:
        return _checked(detector.detect(image), detector)
    except Exception as exc:  # of one picture
        return _failed(exc)


def _failed(exc: BaseException) -> ModelFailed:
    failed = ModelFailed(f"{type(exc).__name__}: {exc}")
    failed.__cause__ = exc
    return failed


def _checked(answer: Any, detector: Detector) -> Answer:  # noqa: ANN401 (what a model returned)
    if not isinstance(answer, Detections):
        return ModelFailed(f"the model returned {type(answer).__name__} instead of detections")
    if not answer.is_finite or ((answer.class_ids < 0) | (answer.class_ids >= len(detector.labels))).any():
        return ModelFailed("the model returned numbers that are not finite, or a class that it does not have")
    return answer
