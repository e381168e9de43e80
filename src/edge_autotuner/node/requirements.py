"""Finds out before anything begins whether a node can do what its settings say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from edge_autotuner.config.annotation import ZOOM
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.errors import MissingDependency
from edge_autotuner.node.named_bundle import check_first_models


def check_can_start(config: NodeConfig) -> None:
    """Make sure that every camera gets a model, and that what learning needs is installed.

    Raises:
        ConfigError: nobody gives a camera its first model.
        MissingDependency: a library is not there.
    """
    check_first_models(config)
    check_can_learn(config)


def check_can_learn(config: NodeConfig) -> None:
    """Make sure that torch is there where it is needed: to train here, and for teachers that are made of it.

    Raises:
        MissingDependency: it is not.
    """
    if not config.learns or importlib.util.find_spec("torch") is not None:
        return
    if config.trains_on == "node":
        raise MissingDependency(
            "training on this machine needs torch: pip install 'edge-autotuner[edge,train]', or set trains_on: service"
        )
    for camera in config.cameras:
        for teacher in config.run_of(camera).annotation.teachers:
            if teacher == ZOOM or Path(teacher).is_dir():
                raise MissingDependency(
                    f"camera {camera.name}: the teacher {teacher} needs torch, which is not installed; take "
                    "remote:NAME, a model of the service, or an ONNX file"
                )
