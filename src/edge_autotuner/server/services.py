"""The collaborators of the HTTP interface, in one place: routes find them in `app.state.services`."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from edge_autotuner.config.server import RetentionConfig, ServedModel, ServerConfig
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
from edge_autotuner.server.collection import CollectionSchedule
from edge_autotuner.server.data_folder import BLOBS_FOLDER, DATABASE_FILE, OWN_NAMES, RESULTS_FILE
from edge_autotuner.server.database import Database, check_known_database
from edge_autotuner.server.jobs.folder import JOBS_FOLDER
from edge_autotuner.server.jobs.rows import protected_blobs
from edge_autotuner.server.jobs.store import JobStore
from edge_autotuner.server.jobs.vouching import JobKeys
from edge_autotuner.server.metrics import Metrics
from edge_autotuner.server.old_folders import OldFolders
from edge_autotuner.server.registry import Registry
from edge_autotuner.server.retention import RetentionRules
from edge_autotuner.server.tokens import Tokens
from edge_autotuner.storage import DiskReserve
from edge_autotuner.storage.atomic import make_folder, storage_errors
from edge_autotuner.storage.outputs import check_output_folder

logger = logging.getLogger(__name__)

ReadinessCheck = Callable[[], str | None]
"""Says what does not work, None for nothing; may take a while."""


@dataclass
class Services:
    """What routes call.

    Attributes:
        config: all settings.
        authenticator: knows the tokens.
        annotations: the groundtruth models.
        metrics: what is counted.
        blobs: uploaded contents; None: the service only annotates.
        registry: cameras and their bundles; None: the service only annotates.
        jobs: tunings that clients leave to the service; None: the service only annotates.
        schedule: removes what is not to be kept; None: nothing does by itself.
        checks: what readiness depends on, beside the models.
        on_failure: called when the service cannot go on; it is then to be stopped.
        failure: why it cannot.
        stopping: set when the service is being stopped.
        closers: called when it has stopped.
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
        """Load the models; where one cannot be loaded, say so and ask to be stopped."""
        try:
            await self.annotations.load()
        except EdgeAutotunerError as exc:
            self.failure = exc
            self.on_failure()
        except Exception:  # the task's edge; readiness says which model is missing
            logger.exception("a model cannot be loaded")

    def start(self) -> None:
        """Begin what goes on beside requests."""
        if self.schedule is not None:
            self.schedule.start()

    def stop(self) -> None:
        """Let those who wait for news wait no longer: the service is being stopped."""
        self.stopping.set()
        if self.schedule is not None:
            self.schedule.stop()
        if self.registry is not None:
            self.registry.close()
        if self.jobs is not None:
            self.jobs.close()

    def close(self) -> None:
        """Write what is pending, and let go of files and threads; once more does nothing."""
        while self.closers:
            self.closers.pop()()

    def has_jobs(self) -> bool:
        """Whether there are tuning jobs; without any, nobody needs a worker."""
        try:
            return self.jobs is not None and any(self.jobs.counts().values())
        except StorageError as exc:
            logger.error("cannot look for jobs: %s", exc)
            return False

    async def not_ready(self) -> list[str]:
        """Return why not all of the service can be used now, nothing when it can; who asks meanwhile gets the same."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._check_all())
        return await asyncio.shield(self._asking)

    async def _check_all(self) -> list[str]:
        reasons = ["the service is being stopped"] if self.stopping.is_set() else []
        found = [await run_in_threadpool(check) for check in self.checks]
        return reasons + self.annotations.not_ready() + [reason for reason in found if reason is not None]


def open_services(
    config: ServerConfig, *, loaders: Mapping[str, ModelLoader] | None = None, clock: Clock | None = None
) -> Services:
    """Return all that the settings ask for; models are found and not loaded yet.

    Args:
        config: all settings.
        loaders: other models than those of the settings, by the same names.
        clock: of what is kept: tokens, audit log, registry, contents, results.

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
        rules=retention_rules(config.retention),
        protected=[protected_blobs()],
        trusted=trusted_signers(config),
        clock=clock,
    )
    jobs = JobStore(database, blobs, audit, config.jobs, clock=clock)
    metrics.watch("jobs", "Tuning jobs by state.", "state", jobs.counts)
    old_folders = OldFolders(
        config.data / JOBS_FOLDER, database, max_age_s=config.retention.pictures_max_age_s, clock=clock
    )
    schedule = CollectionSchedule(
        registry,
        database,
        audit,
        metrics,
        every_s=config.retention.every_s,
        first_after_s=config.retention.first_after_s,
        also=(old_folders.remove,),
        chores=(blobs.remove_leftovers, annotations.forget_old_results),
        clock=clock,
    )
    return Services(
        config=config,
        authenticator=tokens,
        annotations=annotations,
        metrics=metrics,
        blobs=blobs,
        registry=registry,
        jobs=jobs,
        schedule=schedule,
        checks=(
            *(disk_check(folder) for folder in (config.data, config.data / BLOBS_FOLDER)),
            *(room_check(folder, config) for folder in (config.data, config.data / BLOBS_FOLDER)),
            database_check(database),
        ),
        closers=[database.close, tokens.close, annotations.close, schedule.close],
    )


def trusted_signers(config: ServerConfig) -> tuple[PublicKey, ...]:
    """Return whose signatures the registry takes; none where the settings name nobody: then it takes any.

    Raises:
        ConfigError: a key cannot be used.
    """
    if not config.trusted_keys:
        return ()
    return (*trusted_keys(config.trusted_keys), *JobKeys.from_config(config.jobs).public)


def retention_rules(config: RetentionConfig) -> RetentionRules:
    """Return how long what is kept."""
    return RetentionRules(
        max_age_s=config.max_age_s,
        min_age_s=config.min_age_s,
        n_rollbacks=config.n_rollbacks,
        max_bytes=None if config.max_contents_mb is None else int(config.max_contents_mb * 1e6),
        grace_s=config.grace_s,
        pictures_max_age_s=config.pictures_max_age_s,
    )


def database_url(config: ServerConfig) -> str:
    """Return where tokens, registry and jobs are kept."""
    return config.database_url or f"sqlite:///{(config.data / DATABASE_FILE).absolute()}"


def open_annotations(
    config: ServerConfig,
    metrics: Metrics,
    *,
    loaders: Mapping[str, ModelLoader] | None = None,
    clock: Clock | None = None,
) -> AnnotationService:
    """Return the annotation service of some settings, with models that are found and not loaded yet.

    Args:
        config: all settings.
        metrics: told of everything.
        loaders: other models than those of the settings, by the same names.
        clock: its wall time says which results are old.

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
    """Return what loads the models that the settings name, by their names; raises as `find_loader`."""
    return {name: find_loader(name, model, config.models_dir) for name, model in config.models.items()}


def check_data_folder(config: ServerConfig) -> None:
    """Make sure that the data folder can be made and written, and that its database is one that is understood.

    Raises:
        ConfigError, StorageError: it cannot.
    """
    check_output_folder(config.data, option="data", reads={}, own=OWN_NAMES)
    check_known_database(database_url(config))


def disk_check(folder: Path) -> ReadinessCheck:
    """Return a check that a folder can be written to."""

    def check() -> str | None:
        try:
            with storage_errors(folder), tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"ready")
                file.flush()
        except StorageError as exc:
            logger.error("not ready: %s", exc)
            return f"{_what(folder)} cannot be written to"
        return None

    return check


def room_check(folder: Path, config: ServerConfig) -> ReadinessCheck:
    """Return a check that the reserve of a folder's disk is whole: without it, uploads and jobs are refused."""
    reserve = DiskReserve(folder, int(config.blobs.reserve_mb * 1e6))

    def check() -> str | None:
        try:
            has_room = reserve.has_room()
        except StorageError as exc:
            logger.error("not ready: %s", exc)
            has_room = False
        return None if has_room else f"less than the reserve is free on the disk of {_what(folder)}"

    return check


def database_check(database: Database) -> ReadinessCheck:
    """Return a check that the database can be written to."""

    def check() -> str | None:
        try:
            database.check_writable()
        except StorageError as exc:
            logger.error("not ready: %s", exc)
            return "the database cannot be written to"
        return None

    return check


def _what(folder: Path) -> str:
    """Return what clients are told of a folder: never its path."""
    return "the folder of uploads" if folder.name == BLOBS_FOLDER else "the data folder"


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
        reserve = DiskReserve(config.data, int(config.blobs.reserve_mb * 1e6))
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
