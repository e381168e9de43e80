"""Writing to disk, for all stages: atomic files, locks, paths from names, disk space, permissions, child processes."""

from edge_autotuner.storage.atomic import atomic_write_bytes, atomic_write_json, atomic_write_text, storage_errors
from edge_autotuner.storage.disk import DiskReserve, file_sha256, free_bytes, written_bytes
from edge_autotuner.storage.paths import PLAIN_NAME, child_path, is_plain_name, remove_folder
from edge_autotuner.storage.private import keep_private, make_private_file, make_private_folder

__all__ = [
    "PLAIN_NAME",
    "DiskReserve",
    "atomic_write_bytes",
    "atomic_write_json",
    "atomic_write_text",
    "child_path",
    "file_sha256",
    "free_bytes",
    "is_plain_name",
    "keep_private",
    "make_private_file",
    "make_private_folder",
    "remove_folder",
    "storage_errors",
    "written_bytes",
]
