"""A learning trigger: the newest closed batch comes first."""

from __future__ import annotations

from edge_autotuner.node.camera_folder import BatchFolder, CameraFolder


def newest_closed_batch(folder: CameraFolder) -> BatchFolder | None:
    """Return the newest batch that is closed and not learned from."""
    waiting = [batch for batch in folder.batches() if batch.is_collected and batch.outcome is None]
    return max(waiting, key=lambda batch: batch.name, default=None)
