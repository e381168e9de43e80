"""Worker processes, and their supervision by `serve`.

`python -m edge_autotuner.server.jobs.process SUPERVISOR` reads its settings from standard input: they may hold the
password of the database, which belongs neither in a command line nor in a file.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

from edge_autotuner.config.server import ServerConfig
from edge_autotuner.core.redaction import guard_tracebacks, redacting_handler, remember_secrets_in
from edge_autotuner.deployment.signing import trusted_keys
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.blobs import Blobs
from edge_autotuner.server.data_folder import BLOBS_FOLDER, JOBS_FOLDER, database_url, is_of_service
from edge_autotuner.server.database import Database
from edge_autotuner.server.jobs.queue import JobQueue
from edge_autotuner.server.jobs.rows import protected_blobs
from edge_autotuner.server.jobs.signing_policy import JobKeys, SigningPolicy
from edge_autotuner.server.jobs.worker import Worker
from edge_autotuner.server.registry import Registry
from edge_autotuner.storage import keep_private
from edge_autotuner.storage.atomic import write_all
from edge_autotuner.storage.child_process import ChildProcess, die_with, module_command

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_STEADY_S = 60.0  # a worker that ran longer did not fail at its start
_ENDING_S = 15.0  # includes the time that a worker gives its job's process

StartProcess = Callable[[], ChildProcess]


def run_worker(config: ServerConfig) -> None:
    """Run jobs until SIGTERM or SIGINT; the current one is then left to the next worker.

    Raises:
        ConfigError: a key cannot be used, or the database has another version.
        StorageError: the data folder or the database cannot be used.
    """
    stop = threading.Event()

    def set_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, set_stop)
    keep_private(config.data, is_own=is_of_service, for_group=config.group_access)
    signing = SigningPolicy(JobKeys.from_config(config.jobs), trusted_keys(config.trusted_keys), config.models_dir)
    database = Database(database_url(config))
    try:
        audit = AuditLog(database)
        blobs = Blobs.from_config(config.data / BLOBS_FOLDER, config.blobs)
        registry = Registry(database, blobs, audit, protected=[protected_blobs])
        queue = JobQueue(database, audit, config.data / JOBS_FOLDER, config.jobs)
        Worker(queue, blobs, registry, config, signing=signing).run(stop)
    finally:
        database.close()


class WorkerProcesses:
    """Keeps worker processes running, from `start` to `stop`; one that ends is restarted.

    Args:
        start_one: starts a worker, which dies with the thread that calls this.
        is_wanted: whether there is work; before, no worker is started.
    """

    def __init__(self, n_workers: int, start_one: StartProcess, *, is_wanted: Callable[[], bool]) -> None:
        self._start_one, self._is_wanted = start_one, is_wanted
        self._slots = [_Slot() for _ in range(n_workers)]
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the supervision; workers die with this process, however it ends."""
        if self._slots:
            self._thread = threading.Thread(target=self._supervise, name="job workers", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the workers; their jobs are left to the next ones. A second call does nothing."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def problem(self) -> str | None:
        """Return why jobs are not run, None if they are."""
        if self._thread is not None and not self._thread.is_alive() and not self._stop.is_set():
            return "the supervisor of the job workers has stopped"
        if self._slots and all(slot.is_failing for slot in self._slots):
            return "cannot start job workers; see the log"
        return None

    def _supervise(self) -> None:
        while not self._stop.is_set():
            try:
                if self._is_wanted():
                    for slot in self._slots:
                        slot.look_after(self._start_one)
            except Exception:  # the edge of the thread, which must go on to start workers
                logger.exception("the supervisor of the job workers failed; next attempt in %.0f s", _LOOK_S)
            self._stop.wait(_LOOK_S)
        running = [slot.process for slot in self._slots if slot.process is not None]
        for process in running:
            process.terminate()
        for process in running:
            process.end(patience_s=_ENDING_S)


class _Slot:
    """A slot for one worker at a time."""

    def __init__(self) -> None:
        self.process: ChildProcess | None = None
        self._started_s = self._not_before_s = 0.0
        self._pause_s = _FIRST_PAUSE_S

    @property
    def is_failing(self) -> bool:
        """Whether no worker runs because the last one failed at its start."""
        return self.process is None and self._not_before_s > 0

    def look_after(self, start_one: StartProcess) -> None:
        """Start a worker if none runs, after a pause that doubles with each early end."""
        now_s = time.monotonic()
        if self.process is not None and self.process.has_ended:
            is_early = now_s - self._started_s < _STEADY_S
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S) if is_early else _FIRST_PAUSE_S
            logger.error(
                "a worker exited with %s; starting a new one in %.0f s", self.process.returncode, self._pause_s
            )
            self.process, self._not_before_s = None, now_s + self._pause_s
        if self.process is None and now_s >= self._not_before_s:
            try:
                self.process, self._started_s = start_one(), now_s
            except OSError as exc:
                self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
                logger.error("cannot start a worker: %s; next attempt in %.0f s", exc, self._pause_s)
                self._not_before_s = now_s + self._pause_s


def worker_starter(config: ServerConfig) -> StartProcess:
    """Return a function that starts a worker with these settings."""

    def start() -> ChildProcess:
        command = module_command("edge_autotuner.server.jobs.process", os.getpid())
        process = ChildProcess(command, stdin=subprocess.PIPE)
        assert process.stdin is not None
        try:
            with process.stdin as settings:
                write_all(settings.fileno(), config.model_dump_json().encode())
        except BrokenPipeError:
            logger.error("a worker died at its start")
        return process

    return start


def main(arguments: Sequence[str]) -> int:
    """Run a worker of `serve`; return the exit code."""
    die_with(int(arguments[0]))
    guard_tracebacks()
    layout = "%(asctime)s %(levelname)s %(name)s %(message)s"
    logging.basicConfig(level=logging.INFO, handlers=[redacting_handler(sys.stderr, layout)])
    config = ServerConfig.model_validate_json(sys.stdin.read())
    remember_secrets_in(config.database_url or "")
    try:
        run_worker(config)
    except EdgeAutotunerError as exc:
        logger.error("a worker stopped: %s", exc)
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
