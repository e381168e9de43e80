"""Reads and writes weights files of all architectures.

Nothing is unpickled: safetensors needs no pickle, and `.pth` files are opened with `weights_only=True`, which allows
tensors only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from edge_autotuner.core.file_names import path_for_library
from edge_autotuner.core.json_fields import Fields, parse_json
from edge_autotuner.core.json_limits import load_json
from edge_autotuner.core.labels import COCO_80, LabelMap
from edge_autotuner.errors import WeightsError
from edge_autotuner.models.torch_tfjs import ARCHIVE_SUFFIX, read_tfjs_archive
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.storage.atomic import atomic_write_bytes

MAX_WEIGHTS_BYTES = 1 << 30
_MAX_PROBLEM = 300

Tensors = dict[str, Tensor]
N = TypeVar("N", bound=TrainableNetwork, covariant=True)
Network = TypeVar("Network", bound=TrainableNetwork)


@dataclass(frozen=True)
class Family(Generic[N]):
    """Architectures that are built and read in the same way.

    Attributes:
        names: of the architectures; read anew each time.
        build: makes a network with random weights from architecture, number of classes and file metadata; raises
            ValueError where these do not suffice.
        to_our_names: converts the tensors of a file to the state of a network; raises KeyError, ValueError or
            RuntimeError for those of another network.
        is_guessed: whether it is tried for files without architecture.
    """

    names: Mapping[str, object]
    build: Callable[[str, int, Mapping[str, str]], N]
    to_our_names: Callable[[TrainableNetwork, Tensors], Tensors]
    is_guessed: bool = True


def load_weights(
    path: Path, families: Sequence[Family[N]], *, architecture: str | None, labels: LabelMap | None
) -> tuple[N, LabelMap]:
    """Read a network and the classes that it knows.

    Args:
        path: `.safetensors`, `.pth`, or the `.tgz` of a TensorFlow.js model.
        families: candidates.
        architecture: default: from the file, or by trial.
        labels: classes of a file that does not name them; default: COCO.

    Raises:
        WeightsError: the file is missing, damaged, or belongs to another architecture.
    """
    tensors, metadata = _read(path)
    file_labels = _labels_in(metadata, path) or labels or COCO_80
    family_of = {name: family for family in families for name in family.names}
    named = architecture or metadata.get("architecture")
    candidates = [named] if named else [name for name, family in family_of.items() if family.is_guessed]
    problems = []
    for candidate in candidates:
        if candidate not in family_of:
            raise WeightsError(f"{path}: unknown architecture {candidate!r:.80}; known: {', '.join(family_of)}")
        try:
            network = family_of[candidate].build(candidate, len(file_labels), metadata)
            network.load_state_dict(family_of[candidate].to_our_names(network, tensors))
        except (RuntimeError, KeyError, ValueError) as exc:
            problems.append(f"{candidate}: {str(exc).splitlines()[-1].strip():.{_MAX_PROBLEM}}")
            continue
        return network.eval(), file_labels
    raise WeightsError(
        f"{path} does not contain weights of {' or '.join(candidates)} ({'; '.join(problems)}); give a file of "
        f"{', '.join(family_of)}, or leave `architecture` unset to detect it"
    )


def save_network(path: Path, network: TrainableNetwork, labels: LabelMap, *, half: bool = False) -> None:
    """Write the weights atomically as safetensors, with architecture and class names inside.

    Args:
        path: target file.
        network: what to store.
        labels: its classes.
        half: store 16-bit floats (half the size; boxes move by less than a tenth of a pixel).
    """
    atomic_write_bytes(path, network_bytes(network, labels, half=half))


def network_bytes(network: TrainableNetwork, labels: LabelMap, *, half: bool = False) -> bytes:
    """Return the content of the file of `save_network`."""
    dtype = torch.float16 if half else torch.float32
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in network.state_dict().items()}
    known = {"architecture": network.architecture, "labels": json.dumps(labels.names)}
    return _with_sorted_header(bytes(save(tensors, network.description() | known)))


def with_classes(network: Network, from_labels: LabelMap, to_labels: LabelMap) -> Network:
    """Return a copy that knows only some of the classes, with their trained class rows.

    Raises:
        ConfigError: a wanted class is not known to the network.
    """
    rows = list(from_labels.ids_of(to_labels))
    copy = network.of_classes(len(to_labels))
    copy.load_state_dict(network.state_of_classes(rows))
    return copy.eval()


def _with_sorted_header(file: bytes) -> bytes:
    """Sort the header of a safetensors file: safetensors 0.8.0 writes metadata in random order."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(load_json(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # tensors stay aligned
    return len(header).to_bytes(8, "little") + header + file[end:]


def _read(path: Path) -> tuple[Tensors, dict[str, str]]:
    if not path.is_file():
        raise WeightsError(f"no weights file at {path}; see `edge-autotuner models list` for known models")
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise WeightsError(f"{path} is larger than {MAX_WEIGHTS_BYTES >> 20} MB; not a weights file of these models")
    if path.suffix.lower() == ".onnx":
        raise WeightsError(
            f"{path} is an ONNX file, which can be a teacher but cannot be trained; use the weights it was exported "
            "from (.safetensors or .pth), or a bundle"
        )
    try:
        if path.suffix == ".safetensors":
            with path_for_library(path) as readable, safe_open(readable, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return _as_float32(tensors), file.metadata() or {}
        if path.suffix == ARCHIVE_SUFFIX:
            return _as_float32(read_tfjs_archive(path)), {}
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as exc:
        raise WeightsError(f"cannot read weights {path}: {exc}; the file is damaged; copy it again") from exc
    except Exception as exc:  # weights_only refuses foreign objects with pickle's own exception classes
        raise WeightsError(
            f"{path} contains more than tensors and was not opened ({type(exc).__name__}); convert it to safetensors "
            "with the tool that made it"
        ) from exc
    return _as_float32(_tensors_of_checkpoint(checkpoint, path)), {}


def _as_float32(tensors: Tensors) -> Tensors:
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def _labels_in(metadata: Mapping[str, str], path: Path) -> LabelMap | None:
    """Return the class names in our own files."""
    if "labels" not in metadata:
        return None
    try:
        return LabelMap(tuple(Fields({"labels": parse_json(metadata["labels"])}, "").texts("labels")))
    except ValueError as exc:
        raise WeightsError(f"{path}: the class names inside are damaged ({exc})") from exc


def _tensors_of_checkpoint(checkpoint: object, path: Path) -> Tensors:
    """Find the tensors of an official checkpoint, {"model": {...}} or the plain mapping."""
    if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get("model"), Mapping):
        checkpoint = checkpoint["model"]
    if not isinstance(checkpoint, Mapping):
        raise WeightsError(f"{path}: expected a mapping of names to tensors, got {type(checkpoint).__name__}")
    return {str(name): tensor for name, tensor in checkpoint.items() if isinstance(tensor, Tensor)}
