"""What a killed training needs to continue with the same result: weights, average, optimizer, history.

Everything is safetensors and JSON; no pickle.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from edge_autotuner.dataset.atomic import atomic_write_bytes
from edge_autotuner.errors import TrainingError

_CHECKPOINT = "checkpoint.safetensors"
_BEST = "best.safetensors"


@dataclass(frozen=True)
class EpochRecord:
    """One line of the learning curves; losses are means over the epoch's steps."""

    epoch: int
    loss: float
    box_loss: float
    objectness_loss: float
    class_loss: float
    distillation_loss: float
    val_ap: float
    seconds: float


@dataclass
class TrainingState:
    """Everything that changes while training."""

    fingerprint: str
    epoch: int = 0
    step: int = 0
    best_epoch: int = -1
    best_val_ap: float = -1.0
    seconds: float = 0.0
    history: list[EpochRecord] = field(default_factory=list)


def save_checkpoint(
    folder: Path, state: TrainingState, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write a checkpoint as one file, so that a kill leaves the one before or this one."""
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for i, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{key}": value for key, value in values.items()}
    contiguous = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    data = save(contiguous, {"state": json.dumps(asdict(state))})
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(folder / _CHECKPOINT, data)


def load_checkpoint(
    folder: Path, fingerprint: str, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> TrainingState | None:
    """Restore the last checkpoint in place; None when there is none of this fingerprint.

    Raises:
        TrainingError: the file is damaged.
    """
    path = folder / _CHECKPOINT
    if not path.is_file():
        return None
    try:
        tensors, state = load_file(path), _read_state(path)
        if state.fingerprint != fingerprint:
            return None
        network.load_state_dict(_part(tensors, "network."))
        average.load_state_dict(_part(tensors, "average."))
        _load_optimizer(optimizer, _part(tensors, "optimizer."))
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError, TypeError) as exc:
        raise TrainingError(f"checkpoint {path} is damaged ({exc}); delete it to start this training again") from exc
    return state


def save_best(folder: Path, best: nn.Module) -> None:
    """Write the best weights so far."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in best.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(folder / _BEST, save(tensors))


def load_best(folder: Path, best: nn.Module) -> None:
    """Restore the best weights in place.

    Raises:
        TrainingError: the file is missing or damaged.
    """
    path = folder / _BEST
    try:
        best.load_state_dict(load_file(path))
    except (SafetensorError, OSError, RuntimeError) as exc:
        raise TrainingError(
            f"{path} is missing or damaged ({exc}); delete {folder} to start this training again"
        ) from exc


def _read_state(path: Path) -> TrainingState:
    with safe_open(path, framework="pt") as file:
        values: dict[str, Any] = json.loads(file.metadata()["state"])
    values["history"] = [EpochRecord(**record) for record in values["history"]]
    return TrainingState(**values)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
