"""What every stage writes with: names that become paths, folders that are removed, room on the disk, who may read."""

from edge_autotuner.storage.disk import DiskReserve, written_bytes
from edge_autotuner.storage.paths import PLAIN_NAME, child_path, is_plain_name, remove_folder
from edge_autotuner.storage.private import keep_private, make_private_file, make_private_folder

__all__ = [
    "PLAIN_NAME",
    "DiskReserve",
    "child_path",
    "is_plain_name",
    "keep_private",
    "make_private_file",
    "make_private_folder",
    "remove_folder",
    "written_bytes",
]
