"""Connects the learning of a camera with the service that trains for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edge_autotuner.config.node import RegistryConfig
from edge_autotuner.deployment.deployed import registry_id
from edge_autotuner.deployment.signing import trusted_keys
from edge_autotuner.node.camera_folder import CameraFolder

if TYPE_CHECKING:
    from edge_autotuner.pipeline.remote_training.training import TrainingService


@contextmanager
def connected(config: RegistryConfig | None, camera: CameraFolder) -> Iterator[TrainingService | None]:
    """Connect to the service while the block runs; None where there is none, and training is done here.

    Args:
        config: where it is, and whose signatures count.
        camera: its folder has its name.

    Raises:
        ConfigError: a key or certificate cannot be used.
        MissingDependency: what signatures or connections need is not installed.
    """
    if config is None:
        yield None
        return
    from edge_autotuner.client import Connection, JobsClient, RegistryClient  # the HTTP library, which not all need
    from edge_autotuner.pipeline.remote_training.training import TrainingService

    trusted = trusted_keys(config.trusted_keys)
    with Connection(config.service, setting_of="registry.service.{}".format) as connection:
        yield TrainingService(
            JobsClient(connection),
            RegistryClient(connection),
            camera.path.name,
            trusted=trusted,
            parent_of=registry_id,
        )
