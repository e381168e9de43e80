"""The collaborators of the HTTP interface; routes find them in `app.state.services`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from edge_autotuner.config.server import ServedModel, ServerConfig
from edge_autotuner.core.clock import Clock
from edge_autotuner.deployment.signing import PublicKey, trusted_keys
from edge_autotuner.errors import EdgeAutotunerError, StorageError
from edge_autotuner.server.access import Authenticator
from edge_autotuner.server.annotation.batch_queue import BatchRules
from edge_autotuner.server.annotation.models import ModelLoader, find_loader
from edge_autotuner.server.annotation.quotas import Quotas
from edge_autotuner.server.annotation.result_cache import ResultCache
from edge_autotuner.server.annotation.result_store import ResultStore
from edge_autotuner.server.annotation.service import AnnotationService
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.blobs import Blobs
from edge_autotuner.server.collection_schedule import CollectionSchedule
from edge_autotuner.server.data_folder import (
    BLOBS_FOLDER,
    JOBS_FOLDER,
    RESULTS_FILE,
    ReadinessCheck,
    database_check,
    database_url,
    disk_check,
    room_check,
)
from edge_autotuner.server.database import Database
from edge_autotuner.server.garbage_collection import StaleJobFolders
from edge_autotuner.server.jobs.rows import protected_blobs
from edge_autotuner.server.jobs.signing_policy import JobKeys
from edge_autotuner.server.jobs.store import JobStore
from edge_autotuner.server.metrics import Metrics
from edge_autotuner.server.registry import Registry
from edge_autotuner.server.retention import RetentionRules
from edge_autotuner.server.tokens import Tokens
from edge_autotuner.storage import DiskReserve
from edge_autotuner.storage.atomic import make_folder

logger = logging.getLogger(__name__)


@dataclass
class Services:
    """The parts of a running service.

    Attributes:
        blobs: uploaded contents; None: the service only annotates.
        registry: cameras and their bundles; None: the service only annotates.
        jobs: tuning jobs; None: the service only annotates.
        schedule: of the garbage collection; None: it runs on request only.
        checks: of readiness, beside the models.
        on_failure: called when the service must be stopped because of `failure`.
        failure: why the service cannot continue.
        stopping: set when the service is being stopped.
        closers: called when it has stopped, the last one first.
    """

    config: ServerConfig
    authenticator: Authenticator
    annotations: AnnotationService
    metrics: Metrics
    blobs: Blobs | None = None
    registry: Registry | None = None
    jobs: JobStore | None = None
    schedule: CollectionSchedule | None = None
    checks: tuple[ReadinessCheck, ...] = ()
    on_failure: Callable[[], None] = lambda: None
    failure: EdgeAutotunerError | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    closers: list[Callable[[], None]] = field(default_factory=list)
    _asking: asyncio.Task[list[str]] | None = None

    async def load(self) -> None:
        """Load the models; one that cannot be loaded stops the service."""
        try:
            await self.annotations.load()
        except EdgeAutotunerError as exc:
            self.failure = exc
            self.on_failure()
        except Exception:  # the task's edge; readiness says which model is missing
            logger.exception("cannot load a model")

    def start(self) -> None:
        """Start the work beside requests."""
        if self.schedule is not None:
            self.schedule.start()

    def stop(self) -> None:
        """Answer the requests that wait for news: the service is being stopped."""
        self.stopping.set()
        if self.schedule is not None:
            self.schedule.stop()
        if self.registry is not None:
            self.registry.close()
        if self.jobs is not None:
            self.jobs.close()

    def close(self) -> None:
        """Write what is pending, and close files and threads; a second call does nothing."""
        while self.closers:
            self.closers.pop()()

    def has_jobs(self) -> bool:
        """Whether there are tuning jobs; without any, no worker is started."""
        try:
            return self.jobs is not None and any(self.jobs.counts().values())
        except StorageError as exc:
            logger.error("cannot look for jobs: %s", exc)
            return False

    async def not_ready(self) -> list[str]:
        """Return the unavailable parts; concurrent calls share one answer."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._check_all())
        return await asyncio.shield(self._asking)

    async def _check_all(self) -> list[str]:
        reasons = ["the service is shutting down"] if self.stopping.is_set() else []
        found = [await run_in_threadpool(check) for check in self.checks]
        return reasons + self.annotations.not_ready() + [reason for reason in found if reason is not None]


def open_services(
    config: ServerConfig, *, loaders: Mapping[str, ModelLoader] | None = None, clock: Clock | None = None
) -> Services:
    """Return the services of some settings, or of other `loaders`; models are found and not loaded yet.

    Raises:
        ConfigError, WeightsError, ModelBundleError, MissingDependency: a model is not there, or a setting does not fit.
        StorageError: the data folder or the database cannot be used.
    """
    make_folder(config.data)
    metrics = Metrics()
    annotations = open_annotations(config, metrics, loaders=loaders, clock=clock)
    database = Database(database_url(config))
    audit = AuditLog(database, clock)
    tokens = Tokens(database, audit, clock)
    blobs = Blobs.from_config(config.data / BLOBS_FOLDER, config.blobs, clock=clock)
    registry = Registry(
        database,
        blobs,
        audit,
        rules=RetentionRules.from_config(config.retention),
        protected=[protected_blobs],
        trusted=trusted_signers(config),
        clock=clock,
    )
    jobs = JobStore(database, blobs, audit, config.jobs, clock=clock)
    metrics.watch("jobs", "Tuning jobs by state.", "state", jobs.counts)
    retention, jobs_folder = config.retention, config.data / JOBS_FOLDER
    stale = StaleJobFolders(jobs_folder, database, max_age_s=retention.pictures_max_age_s, clock=clock)
    schedule = CollectionSchedule(
        registry,
        database,
        audit,
        metrics,
        every_s=retention.every_s,
        first_after_s=retention.first_after_s,
        also=(stale.remove,),
        chores=(blobs.remove_leftovers, annotations.forget_old_results),
        clock=clock,
    )
    folders = (config.data, config.data / BLOBS_FOLDER)
    return Services(
        config=config,
        authenticator=tokens,
        annotations=annotations,
        metrics=metrics,
        blobs=blobs,
        registry=registry,
        jobs=jobs,
        schedule=schedule,
        checks=(*map(disk_check, folders), *(room_check(each, config) for each in folders), database_check(database)),
        closers=[database.close, tokens.close, annotations.close, schedule.close],
    )


def trusted_signers(config: ServerConfig) -> tuple[PublicKey, ...]:
    """Return the keys whose signatures the registry accepts; none: any.

    Raises:
        ConfigError: a key cannot be used.
    """
    if not config.trusted_keys:
        return ()
    return (*trusted_keys(config.trusted_keys), *JobKeys.from_config(config.jobs).public)


def open_annotations(
    config: ServerConfig,
    metrics: Metrics,
    *,
    loaders: Mapping[str, ModelLoader] | None = None,
    clock: Clock | None = None,
) -> AnnotationService:
    """Return the annotation service of some settings, with models that are found and not loaded yet.

    Raises:
        ConfigError, WeightsError, ModelBundleError, MissingDependency: a model is not there.
        StorageError: the data folder cannot be used.
    """
    found = loaders or find_loaders(config)
    quotas = Quotas(
        requests_per_minute=config.quotas.requests_per_minute,
        pixels_per_minute=_in_units(config.quotas.megapixels_per_minute),
    )
    return AnnotationService(
        found,
        {name: _rules(config, model) for name, model in config.models.items()},
        limits=config.limits,
        quotas=quotas,
        cache=_open_cache(config, clock),
        metrics=metrics,
        is_shared=config.cache.shared,
    )


def find_loaders(config: ServerConfig) -> dict[str, ModelLoader]:
    """Return the loaders of the models in the settings, by name; raises as `find_loader`."""
    return {name: find_loader(name, model, config.models_dir) for name, model in config.models.items()}


def _rules(config: ServerConfig, model: ServedModel) -> BatchRules:
    batching = config.batching
    return BatchRules(
        max_batch=batching.max_batch,
        max_wait_s=batching.max_wait_ms / 1000,
        max_items=batching.max_queue,
        max_pixels=int(batching.max_queue_megapixels * 1e6),
        n_parallel=model.n_parallel,
    )


def _open_cache(config: ServerConfig, clock: Clock | None) -> ResultCache:
    store = None
    if config.cache.disk_mb > 0:
        make_folder(config.data)
        max_bytes = int(config.cache.disk_mb * 1e6)
        reserve = DiskReserve(config.data, config.blobs.reserve_bytes)
        store = ResultStore(
            config.data / RESULTS_FILE,
            max_bytes,
            max_age_s=config.cache.max_age_s,
            has_room=reserve.has_room,
            clock=clock,
        )
    return ResultCache(int(config.cache.memory_mb * 1e6), store)


def _in_units(mega: float | None) -> float | None:
    return None if mega is None else mega * 1e6
