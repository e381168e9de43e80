"""The service's data folder: names of its contents, and checks that it can be used."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

from edge_autotuner.config.server import ServerConfig
from edge_autotuner.errors import StorageError
from edge_autotuner.server.database import Database, check_known_database
from edge_autotuner.storage import DiskReserve
from edge_autotuner.storage.atomic import storage_errors
from edge_autotuner.storage.outputs import check_output_folder

logger = logging.getLogger(__name__)

RESULTS_FILE = "results.sqlite"
DATABASE_FILE = "service.sqlite"
BLOBS_FOLDER = "blobs"
JOBS_FOLDER = "jobs"

OWN_NAMES = frozenset({DATABASE_FILE, RESULTS_FILE, BLOBS_FOLDER, JOBS_FOLDER})

ReadinessCheck = Callable[[], str | None]
"""Returns what does not work, None for nothing; may take a while."""


def is_of_service(path: Path) -> bool:
    """Whether an entry of the data folder was made by the service; only these are closed to other users."""
    # SQLite's files beside a database begin with its name
    return path.name in OWN_NAMES or path.name.startswith((DATABASE_FILE, RESULTS_FILE))


def database_url(config: ServerConfig) -> str:
    """Return the address of the database."""
    return config.database_url or f"sqlite:///{(config.data / DATABASE_FILE).absolute()}"


def check_data_folder(config: ServerConfig) -> None:
    """Check that the data folder can be made and written, and that its database has a known version.

    Raises:
        ConfigError, StorageError: they cannot be used.
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
            return f"cannot write to {_what(folder)}"
        return None

    return check


def room_check(folder: Path, config: ServerConfig) -> ReadinessCheck:
    """Return a check that the disk of a folder has its reserve, without which uploads and jobs are refused."""
    reserve = DiskReserve(folder, config.blobs.reserve_bytes)

    def check() -> str | None:
        try:
            has_room = reserve.has_room()
        except StorageError as exc:
            logger.error("not ready: %s", exc)
            has_room = False
        return None if has_room else f"free space is below the reserve on the disk of {_what(folder)}"

    return check


def database_check(database: Database) -> ReadinessCheck:
    """Return a check that the database can be written to."""

    def check() -> str | None:
        try:
            database.check_writable()
        except StorageError as exc:
            logger.error("not ready: %s", exc)
            return "cannot write to the database"
        return None

    return check


def _what(folder: Path) -> str:
    """Return the name of a folder for clients, who never see its path."""
    return "the folder of uploads" if folder.name == BLOBS_FOLDER else "the data folder"
