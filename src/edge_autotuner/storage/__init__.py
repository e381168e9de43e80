"""What every stage writes with: names that become paths, and folders that are removed."""

from edge_autotuner.storage.paths import PLAIN_NAME, child_path, is_plain_name, remove_folder

__all__ = ["PLAIN_NAME", "child_path", "is_plain_name", "remove_folder"]
