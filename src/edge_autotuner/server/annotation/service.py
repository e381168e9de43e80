"""Annotates pictures: checks them, looks them up in the cache, and runs models on the rest."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from edge_autotuner.config.server import LimitsConfig
from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.core.detections import Detections
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.server.annotation.batch_queue import BatchRules, Place
from edge_autotuner.server.annotation.batcher import Batcher, QueueFull, whole_seconds
from edge_autotuner.server.annotation.call_threads import CallThreads
from edge_autotuner.server.annotation.decoders import SMALL_PIXELS, Decoders
from edge_autotuner.server.annotation.models import LoadedModel, ModelLoader
from edge_autotuner.server.annotation.pictures import CheckedPicture, Upload, check_picture
from edge_autotuner.server.annotation.quotas import Quotas
from edge_autotuner.server.annotation.result_cache import ResultCache, ResultKey
from edge_autotuner.server.annotation.shared_work import SharedWork
from edge_autotuner.server.metrics import Metrics
from edge_autotuner.server.problems import Problem
from edge_autotuner.wire.annotation_messages import ModelInfo

logger = logging.getLogger(__name__)

How = Literal["computed", "cached", "shared"]

_LOADING_RETRY_S = 5.0


@dataclass(frozen=True, eq=False)
class AnnotatedPicture:
    """The answer about one picture.

    Attributes:
        found: pixels of the picture, by falling score.
        how: computed, cached, or shared with another request.
    """

    found: Detections
    picture_sha256: str
    size_wh: SizeWH
    how: How


@dataclass(frozen=True, eq=False)
class _ReadyModel:
    info: ModelInfo
    settings: str
    batcher: Batcher


@dataclass(frozen=True, eq=False)
class _Question:
    picture: CheckedPicture
    key: ResultKey
    known: Detections | None
    image: ImageArray | None  # decoded already


class AnnotationService:
    """All models of a service; `load` and everything else run on one event loop.

    Args:
        is_shared: whether clients share results; see `ResultCacheConfig.shared`.
        n_decoders: threads that check and decode pictures.
    """

    def __init__(
        self,
        loaders: Mapping[str, ModelLoader],
        rules: Mapping[str, BatchRules],
        *,
        limits: LimitsConfig,
        quotas: Quotas,
        cache: ResultCache,
        metrics: Metrics,
        is_shared: bool = False,
        n_decoders: int = 2,
        clock: Clock | None = None,
    ) -> None:
        self._loaders = dict(loaders)
        self._rules = dict(rules)
        self._limits = limits
        self._quotas = quotas
        self._cache = cache
        self._is_shared = is_shared
        self._metrics = metrics
        self._clock = clock or SystemClock()
        self._threads = CallThreads(n_decoders, "decoder")
        self._decoders = Decoders(max_pixels=int(limits.max_megapixels * 1e6), max_wait_s=limits.request_timeout_s)
        self._ready: dict[str, _ReadyModel] = {}
        self._failed: set[str] = set()
        self._is_closed = False
        self._shared: SharedWork[ResultKey, Detections] = SharedWork()
        metrics.cache_bytes.set_function(lambda: cache.n_bytes)

    async def load(self) -> None:
        """Load all models, one after the other.

        Raises:
            EdgeAutotunerError: one cannot be loaded; those before it can be used.
        """
        for name, loader in self._loaders.items():
            try:
                self._ready[name] = self._started(name, await self._threads.run(loader))
            except BaseException:
                self._failed.add(name)
                raise
            logger.info("model %s is ready", name)

    def forget_old_results(self) -> None:
        """Delete old results on disk."""
        self._cache.forget_old()

    def close(self) -> None:
        """Close threads and files; later requests are refused."""
        self._is_closed = True
        for model in self._ready.values():
            model.batcher.close()
        self._threads.close()
        self._cache.close()

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """The loaded models, in the order of the settings."""
        return tuple(model.info for model in self._ready.values())

    def info(self, name: str) -> ModelInfo:
        """Return one of the loaded models."""
        return self._ready[name].info

    def not_ready(self) -> list[str]:
        """Return why models cannot be used; empty if all can."""
        failed = [f"cannot load model {name}" for name in self._loaders if name in self._failed]
        missing = [name for name in self._loaders if name not in self._ready and name not in self._failed]
        longest_s = self._limits.request_timeout_s
        stuck = [name for name, model in self._ready.items() if model.batcher.longest_call_s > longest_s]
        return [
            *failed,
            *(f"model {name} is being loaded" for name in missing),
            *(f"model {name} has not responded for more than {longest_s:g} s" for name in stuck),
        ]

    async def annotate(self, name: str, uploads: Sequence[Upload], *, client: str) -> list[AnnotatedPicture | Problem]:
        """Return an answer for each picture, a problem for one that cannot be used.

        The pictures of one request are admitted together or not at all. Cancelling the call removes pictures that no
        other request waits for from the queue.

        Raises:
            Problem: 404 unknown model; 429 quota or queue are used up; 503 the model is being loaded or takes too long,
                or the service is being stopped.
        """
        if self._is_closed:
            raise Problem(503, "stopping", "the service is shutting down")
        model = self._model(name)
        self._check_quota(client)
        self._quotas.take(client, n_requests=1)
        try:
            async with asyncio.timeout(self._limits.request_timeout_s):
                return await self._answer(model, uploads, client)
        except TimeoutError as exc:
            wait = {"Retry-After": whole_seconds(model.batcher.retry_after_s)}
            raise Problem(503, "too-slow", f"the request timed out in the queue of model {name}", headers=wait) from exc

    async def _answer(
        self, model: _ReadyModel, uploads: Sequence[Upload], client: str
    ) -> list[AnnotatedPicture | Problem]:
        checks = await asyncio.gather(*(self._threads.run(self._question(model, upload, client)) for upload in uploads))
        checks = [self._seen_again(check) for check in checks]
        questions = [check for check in checks if isinstance(check, _Question)]
        fresh = self._start(model, questions, client)
        asked = [question for question in questions if question.known is None]
        joined = [(question.key, self._shared.join(question.key)) for question in asked]
        try:
            results = await asyncio.gather(*(asyncio.shield(task) for _, task in joined), return_exceptions=True)
        finally:
            for key, task in joined:
                self._shared.leave(key, task)
        by_key = {question.key: result for question, result in zip(asked, results, strict=True)}
        answers: list[AnnotatedPicture | Problem] = []
        for check in checks:
            if isinstance(check, Problem):
                answers.append(check)
                continue
            how: How = "cached" if check.known is not None else "computed" if check.key in fresh else "shared"
            fresh.discard(check.key)  # the same picture again in this request: shared with the first
            answers.append(self._one(model, check, by_key.get(check.key), how, client))
        return answers

    def _question(self, model: _ReadyModel, upload: Upload, client: str) -> Callable[[], _Question | Problem]:
        """Return a call that checks a picture, looks it up, and decodes a small one that is unknown."""

        def check() -> _Question | Problem:
            try:
                picture = check_picture(upload, max_pixels=int(self._limits.max_megapixels * 1e6))
                owner, task = None if self._is_shared else client, model.info.labels.task
                key = ResultKey(picture.sha256, model.info.sha256, model.settings, owner, task)
                known = self._cache.get(key)
                is_wanted = known is None and picture.header.n_pixels <= SMALL_PIXELS  # saves a switch of threads
                return _Question(picture, key, known, self._decoders.decode(picture) if is_wanted else None)
            except Problem as problem:
                return problem

        return check

    def _seen_again(self, check: _Question | Problem) -> _Question | Problem:
        """Return a question with the answer of a computation that ended during the lookup."""
        if isinstance(check, Problem) or check.known is not None or check.key in self._shared:
            return check
        return replace(check, known=self._cache.recall(check.key))

    def _start(self, model: _ReadyModel, questions: Iterable[_Question], client: str) -> set[ResultKey]:
        """Start computing what is neither known nor running, all or nothing; return the keys of these."""
        fresh = {q.key: q for q in questions if q.known is None and q.key not in self._shared}
        if not fresh:
            return set()
        n_pixels = [question.picture.header.n_pixels for question in fresh.values()]
        try:
            places = model.batcher.reserve(n_pixels)
        except QueueFull as exc:
            wait = {"Retry-After": whole_seconds(exc.retry_after_s)}
            raise Problem(429, "queue-full", f"model {model.info.name} is overloaded: {exc}", headers=wait) from exc
        self._quotas.take(client, n_pixels=sum(n_pixels))
        for (key, question), place in zip(fresh.items(), places, strict=True):
            work = self._compute(model, question, place)
            self._shared.start(key, work, on_end=partial(model.batcher.release, place))
        return set(fresh)

    async def _compute(self, model: _ReadyModel, question: _Question, place: Place) -> Detections:
        image = question.image
        if image is None:
            image = await self._threads.run(lambda: self._decoders.decode(question.picture))
        found = await model.batcher.detect(place, image)
        self._cache.put(question.key, found)
        return found

    def _one(
        self,
        model: _ReadyModel,
        question: _Question,
        result: Detections | BaseException | None,
        how: How,
        client: str,
    ) -> AnnotatedPicture | Problem:
        found = question.known if question.known is not None else result
        if isinstance(found, Problem):
            return found
        if isinstance(found, Exception):
            return _failure(model.info.name, found)
        if not isinstance(found, Detections):
            raise asyncio.CancelledError  # the service is being stopped
        self._metrics.pictures.labels(model.info.name, client, how).inc()
        return AnnotatedPicture(found, question.picture.sha256, question.picture.header.size_wh, how)

    def _model(self, name: str) -> _ReadyModel:
        if name in self._ready:
            return self._ready[name]
        if name in self._loaders and name not in self._failed:
            wait = {"Retry-After": whole_seconds(_LOADING_RETRY_S)}
            raise Problem(503, "model-not-ready", f"model {name} is being loaded", headers=wait)
        known = ", ".join(self._ready)
        raise Problem(404, "no-such-model", f"no such model; the models are {known}")

    def _check_quota(self, client: str) -> None:
        wait_s = self._quotas.wait_s(client)
        if wait_s > 0:
            wait = {"Retry-After": whole_seconds(wait_s)}
            raise Problem(429, "quota", "this client's quota is exhausted", headers=wait)

    def _started(self, name: str, loaded: LoadedModel) -> _ReadyModel:
        labels, size_wh = loaded.detector.labels, loaded.detector.input_size_wh
        info = ModelInfo(
            name=name, sha256=loaded.sha256, classes=labels.names, input_size_wh=size_wh, resize=loaded.resize
        )
        metrics = self._metrics

        def note_call(n_pictures: int, seconds: float) -> None:
            metrics.batch_pictures.labels(name).observe(n_pictures)
            metrics.call_seconds.labels(name).observe(seconds)

        batcher = Batcher(loaded.detector, self._rules[name], name=name, on_call=note_call, clock=self._clock)
        metrics.queue_pictures.labels(name).set_function(lambda: batcher.n_waiting)
        return _ReadyModel(info, loaded.settings, batcher)


def _failure(name: str, exc: Exception) -> Problem:
    """Return the refusal for a model that failed; the log has the cause under the same ID."""
    reference = uuid.uuid4().hex[:12]
    logger.error("model %s failed on a picture (%s): %s", name, reference, exc, exc_info=exc.__cause__ or exc)
    return Problem(500, "model-failed", f"model {name} failed on this picture; see the service's log: {reference}")
