"""Saves and restores a training: weights, their average, best weights, optimizer, history.

A checkpoint is one file, so that a kill leaves either the previous or the new one. It contains safetensors and JSON, no
pickle. A continued training gives the same result as an uninterrupted one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from edge_autotuner.core.file_names import path_for_library
from edge_autotuner.core.json_limits import load_json
from edge_autotuner.errors import TrainingError
from edge_autotuner.storage.atomic import atomic_write_bytes, make_folder
from edge_autotuner.training.learning_curve import EpochRecord

_CHECKPOINT = "checkpoint.safetensors"
_BEST, _OPTIMIZER = "best", "optimizer"


@dataclass
class TrainingState:
    """The mutable state of a training, besides tensors.

    Attributes:
        fingerprint: of data and settings.
        epoch: validated epochs, including one that a deadline cut short.
        step: steps made.
        best_epoch: epoch of the best weights; 0: starting weights.
        best_val_ap: their AP50:95.
        seconds: spent on steps.
        validation_s: longest validation.
        write_s: longest write of a checkpoint before this one.
        history: one record per epoch.
    """

    fingerprint: str
    epoch: int = 0
    step: int = 0
    best_epoch: int = -1
    best_val_ap: float = -1.0
    seconds: float = 0.0
    validation_s: float = 0.0
    write_s: float = 0.0
    history: list[EpochRecord] = field(default_factory=list)


def save_checkpoint(
    folder: Path, state: TrainingState, networks: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> None:
    """Write a checkpoint.

    The folder is created if needed. One of the networks is named "best"; of the optimizer, its moments are saved.
    """
    tensors = {f"{name}.{k}": v for name, network in networks.items() for k, v in network.state_dict().items()}
    for i, values in optimizer.state_dict()["state"].items():
        tensors |= {f"{_OPTIMIZER}.{i}.{key}": value for key, value in values.items()}
    contiguous = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    data = save(contiguous, {"state": json.dumps(asdict(state))})
    make_folder(folder)
    atomic_write_bytes(folder / _CHECKPOINT, data)


def load_checkpoint(
    folder: Path, fingerprint: str, networks: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> TrainingState | None:
    """Restore the last checkpoint in place; None without one with this fingerprint.

    Raises:
        TrainingError: the file is damaged.
    """
    path = folder / _CHECKPOINT
    if not path.is_file():
        return None
    with _damages(path):
        tensors, state = _load(path), _read_state(path)
        if state.fingerprint != fingerprint:
            return None
        for name, network in networks.items():
            network.load_state_dict(_part(tensors, name))
        _load_optimizer(optimizer, _part(tensors, _OPTIMIZER))
    return state


def read_history(folder: Path) -> list[EpochRecord]:
    """Return the learning curves so far; empty before the first checkpoint.

    Raises:
        TrainingError: the file is damaged.
    """
    path = folder / _CHECKPOINT
    if not path.is_file():
        return []
    with _damages(path):
        return _read_state(path).history


def load_best(folder: Path, fingerprint: str, network: nn.Module) -> TrainingState | None:
    """Restore only the best weights, in place; None without a checkpoint with this fingerprint.

    Raises:
        TrainingError: the file is damaged.
    """
    path = folder / _CHECKPOINT
    if not path.is_file():
        return None
    with _damages(path):
        state = _read_state(path)
        if state.fingerprint == fingerprint:
            network.load_state_dict(_part(_load(path), _BEST))
            return state
    return None


@contextmanager
def _damages(path: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError, TypeError) as exc:
        reason = str(exc).split("\n", 1)[0]  # torch lists every tensor
        raise TrainingError(f"checkpoint {path} is damaged ({reason}); delete it to restart this training") from exc


def _load(path: Path) -> dict[str, Tensor]:
    with path_for_library(path) as readable:
        tensors: dict[str, Tensor] = load_file(readable)
        return tensors


def _read_state(path: Path) -> TrainingState:
    with path_for_library(path) as readable, safe_open(readable, framework="pt") as file:
        values: dict[str, Any] = load_json(file.metadata()["state"])
    values["history"] = [EpochRecord(**record) for record in values["history"]]
    return TrainingState(**values)


def _part(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    prefix = f"{part}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
