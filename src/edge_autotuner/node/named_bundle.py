"""First models from finished bundles: a bundle that the settings name runs unchanged, at once and without torch."""

from __future__ import annotations

import logging
from pathlib import Path

from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.core import LabelMap
from edge_autotuner.deployment import ModelBundle, bundle_folder, deploy, deployed_bundle, install_bundle, read_bundle
from edge_autotuner.deployment.acceptance import read_signature
from edge_autotuner.deployment.bundle import parse_description, read_description
from edge_autotuner.deployment.signing import PublicKey, trusted_keys
from edge_autotuner.errors import ConfigError, EdgeAutotunerError
from edge_autotuner.models.transformers_folder import is_detector_folder
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.storage import is_plain_name

logger = logging.getLogger(__name__)

_UNNAMED = "start"


def names_bundle(run: RunConfig) -> bool:
    """Whether the edge model of the settings is the folder of a bundle, or an output folder with a deployed one."""
    path = Path(run.edge_model)
    return path.is_dir() and not is_detector_folder(path)


class NamedBundles:
    """Installs the bundles that the settings name.

    Args:
        config: of the node; where it names keys, the signature of a bundle that has one must be of one of them.

    Raises:
        ConfigError: a key cannot be used.
        MissingDependency: what signatures need is not installed.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._trusted: tuple[PublicKey, ...] = trusted_keys(config.registry.trusted_keys) if config.registry else ()
        self._trains_here = config.learns and config.trains_on == "node"

    def gives_first_model(self, run: RunConfig) -> bool:
        """Whether a camera's first model is a named bundle, and not made by its learner.

        Raises:
            ModelBundleError: the settings name a bundle that is missing or damaged.
        """
        if not names_bundle(run):
            return False
        return not self._trains_here or _knows_wanted_classes(run)

    def install(self, folder: CameraFolder, run: RunConfig) -> ModelBundle | None:
        """Deploy the bundle that the settings name, unless the camera has a model, or gets another one.

        Its bytes, and with them its lineage and signature, stay as they are, and so does its name.

        Raises:
            ModelBundleError: it is missing or damaged, or its signature is not trusted.
            StorageError: the disk refused.
        """
        if deployed_bundle(folder.path) is not None or not self.gives_first_model(run):
            return None
        named = bundle_folder(Path(run.edge_model))
        is_signed = read_signature(named) is not None  # an unsigned one is the choice of the settings alone
        name = parse_description(read_description(named), named).name
        installed = install_bundle(
            named,
            folder.path,
            name if is_plain_name(name) else _UNNAMED,
            trusted=self._trusted if is_signed else (),
        )
        deploy(folder.path, installed.folder.name)
        logger.info("%s: %s runs as it is", folder.path.name, named)
        return installed


def check_first_models(config: NodeConfig) -> None:
    """Make sure that each camera of a node that only detects has a model, or will get one.

    Raises:
        ConfigError: a camera would never get one.
    """
    if config.learns or config.registry is not None:
        return
    for camera in config.cameras:
        run = config.run_of(camera)
        if not has_model(config.folder / camera.name) and not names_bundle(run):
            raise ConfigError(
                f"camera {camera.name}: with learns: false and without a registry, edge_model must be the folder of a "
                f"finished bundle, or of a run that has one; got {run.edge_model}; create one with `edge-autotuner "
                "run`, set registry, or set learns: true"
            )


def has_model(folder: Path) -> bool:
    """Whether a camera has a model that can be opened, by the folder of the camera."""
    try:
        return deployed_bundle(folder) is not None
    except EdgeAutotunerError:  # a broken link, which the node sets aside
        return False


def _knows_wanted_classes(run: RunConfig) -> bool:
    wanted = run.annotation.classes
    return wanted is None or LabelMap(wanted) == read_bundle(bundle_folder(Path(run.edge_model))).detector.labels
