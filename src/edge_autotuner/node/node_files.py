"""Which files in a node's folder belong to the node: only those are closed to other users, and cannot be replaced."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edge_autotuner.config.node import NodeConfig
from edge_autotuner.deployment.deployed import BUNDLES_FOLDER, DEPLOYED_LINK, NOTE_FILE
from edge_autotuner.node.camera_folder import BATCHES_FOLDER, LEARNING_FILE, RESERVOIR_FOLDER
from edge_autotuner.node.incoming_bundles import INCOMING_FOLDER
from edge_autotuner.node.outputs.json_lines import ROTATED_SUFFIX
from edge_autotuner.storage.lock import LOCK_NAME
from edge_autotuner.storage.outputs import is_same_file

_OF_NODE = {LOCK_NAME, "status.json"}
_OF_CAMERA = (
    DEPLOYED_LINK,
    BUNDLES_FOLDER,
    BATCHES_FOLDER,
    RESERVOIR_FOLDER,
    INCOMING_FOLDER,
    NOTE_FILE,
    LEARNING_FILE,
)


def belongs_to_node(config: NodeConfig, settings_file: Path | None, path: Path) -> bool:
    """Whether an entry of a node's folder belongs to the node, or is readable for it alone.

    Args:
        config: of the node.
        settings_file: that they came from.
        path: in the node's folder.
    """
    if path.name in _OF_NODE or holds_camera(path):
        return True
    return any(is_same_file(path, own) for own in (*lines_files(config), settings_file) if own is not None)


def holds_camera(path: Path) -> bool:
    """Whether a folder is that of a camera of some node."""
    return path.is_dir() and any(os.path.lexists(path / name) for name in _OF_CAMERA)


def is_free_for_camera(path: Path) -> bool:
    """Whether a camera's folder can be made here: the path is free, or holds only leftovers of a kill."""
    if not os.path.lexists(path):
        return True
    return path.is_dir() and all(child.name.startswith(".") for child in path.iterdir())


def lines_files(config: NodeConfig) -> Iterator[Path]:
    """Yield the files of the JSON lines output."""
    lines = config.outputs.json_lines
    if lines is not None and lines.path is not None:
        yield lines.path
        yield lines.path.with_name(lines.path.name + ROTATED_SUFFIX)


def is_reserved_for_node(config: NodeConfig, path: Path) -> bool:
    """Whether the node itself writes to a path, or to a folder around it."""
    folder, real = Path(os.path.realpath(config.folder)), Path(os.path.realpath(path))
    if not real.is_relative_to(folder):
        return False
    first = next(iter(real.relative_to(folder).parts), "").lower()
    return first in _OF_NODE | {camera.name.lower() for camera in config.cameras}
