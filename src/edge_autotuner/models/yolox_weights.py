"""Loads and stores YOLOX weights: our own files, folded ONNX initializers, and official checkpoints.

Nothing from outside is unpickled: safetensors needs no pickle, and official `.pth` files are opened with
`weights_only=True`, which allows tensors only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from edge_autotuner.core.labels import COCO_80, LabelMap
from edge_autotuner.dataset.atomic import atomic_write_bytes
from edge_autotuner.errors import WeightsError
from edge_autotuner.models.yolox import YOLOX_SIZES, ConvBlock, Yolox

MAX_WEIGHTS_BYTES = 1 << 30
_BN_EPS = 1e-3  # of the official models


def load_yolox(
    path: Path, *, architecture: str | None = None, labels: LabelMap | None = None
) -> tuple[Yolox, LabelMap]:
    """Read a network and the classes that it knows.

    Args:
        path: `.safetensors` (ours, or ONNX initializers of a folded export) or an official `.pth`.
        architecture: "yolox-nano", "yolox-tiny" or "yolox-s"; None: taken from the file, or found out by trying.
        labels: classes of the file where it does not name them; None: COCO.

    Raises:
        WeightsError: the file is missing, damaged, or belongs to another architecture.
    """
    tensors, metadata = _read(path)
    file_labels = _labels_in(metadata, path) or labels or COCO_80
    named = metadata.get("architecture")
    candidates = [architecture or named] if architecture or named else list(YOLOX_SIZES)
    problems = []
    for candidate in candidates:
        if candidate not in YOLOX_SIZES:
            raise WeightsError(f"{path}: unknown architecture '{candidate}'; known: {', '.join(YOLOX_SIZES)}")
        network = Yolox(candidate, len(file_labels))
        try:
            network.load_state_dict(_to_our_names(network, tensors))
        except (RuntimeError, KeyError, ValueError) as exc:
            problems.append(f"{candidate}: {str(exc).splitlines()[-1].strip()}")
            continue
        return network.eval(), file_labels
    raise WeightsError(
        f"{path} does not hold weights of {' or '.join(map(str, candidates))} ({'; '.join(problems)}); "
        f"give a file of {', '.join(YOLOX_SIZES)}, or leave the architecture out to have it found"
    )


def save_yolox(path: Path, network: Yolox, labels: LabelMap, *, half: bool = False) -> None:
    """Write the weights atomically as safetensors, with architecture and class names inside.

    Args:
        path: target file.
        network: what to store.
        labels: its classes.
        half: store 16-bit floats (half the size; boxes move by less than a tenth of a pixel).
    """
    atomic_write_bytes(path, yolox_bytes(network, labels, half=half))


def yolox_bytes(network: Yolox, labels: LabelMap, *, half: bool = False) -> bytes:
    """Return the file that `save_yolox` writes."""
    dtype = torch.float16 if half else torch.float32
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in network.state_dict().items()}
    metadata = {"architecture": network.architecture, "labels": json.dumps(labels.names)}
    return _with_sorted_header(bytes(save(tensors, metadata)))


def _with_sorted_header(file: bytes) -> bytes:
    """Return a safetensors file whose header is in order, so that the same weights give the same bytes.

    safetensors 0.8.0 writes the metadata in random order.
    """
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # tensors stay aligned
    return len(header).to_bytes(8, "little") + header + file[end:]


def with_classes(network: Yolox, from_labels: LabelMap, to_labels: LabelMap) -> Yolox:
    """Return a copy that knows only some of the classes, with their trained class rows.

    Raises:
        ConfigError: a wanted class is not known to the network.
    """
    rows = list(from_labels.ids_of(to_labels))
    copy = Yolox(network.architecture, len(to_labels))
    state = dict(network.state_dict())
    for name in [n for n in state if ".cls_preds." in n]:
        state[name] = state[name][rows]
    copy.load_state_dict(state)
    return copy.eval()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise WeightsError(f"no weights file at {path}; `edge-autotuner models list` shows what is known")
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise WeightsError(f"{path} is larger than {MAX_WEIGHTS_BYTES >> 20} MB; not a weights file of these models")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as exc:
        raise WeightsError(f"cannot read weights {path}: {exc}; the file is damaged, copy it again") from exc
    except Exception as exc:  # weights_only refuses foreign objects with pickle's own exception classes
        raise WeightsError(
            f"{path} holds more than tensors and was not opened ({type(exc).__name__}); "
            "convert it to safetensors with the tool that made it"
        ) from exc
    return _tensors_of_checkpoint(checkpoint, path), {}


def _labels_in(metadata: Mapping[str, str], path: Path) -> LabelMap | None:
    """Return the classes that our own files name."""
    if "labels" not in metadata:
        return None
    try:
        names = json.loads(metadata["labels"])
        return LabelMap(tuple(str(name) for name in names))
    except (ValueError, TypeError) as exc:
        raise WeightsError(f"{path}: the class names inside are damaged ({exc})") from exc


def _tensors_of_checkpoint(checkpoint: object, path: Path) -> dict[str, Tensor]:
    """Find the tensors of an official checkpoint, {"model": {...}} or the plain mapping."""
    if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get("model"), Mapping):
        checkpoint = checkpoint["model"]
    if not isinstance(checkpoint, Mapping):
        raise WeightsError(f"{path}: expected a mapping of names to tensors, got {type(checkpoint).__name__}")
    return {str(name): tensor for name, tensor in checkpoint.items() if isinstance(tensor, Tensor)}


def _to_our_names(network: Yolox, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    if any(name.endswith(".bn.running_mean") for name in tensors):
        return _fold_batch_norm(tensors)
    if any(name.isdigit() for name in tensors):
        return _name_by_execution_order(network, tensors)
    return tensors


def _fold_batch_norm(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Merge every BatchNorm into the convolution before it."""
    folded = {}
    for name, tensor in tensors.items():
        if ".bn." in name:
            continue
        prefix = name.removesuffix(".conv.weight")
        if f"{prefix}.bn.weight" not in tensors:
            folded[name] = tensor
            continue
        norm = {key: tensors[f"{prefix}.bn.{key}"] for key in ("weight", "bias", "running_mean", "running_var")}
        factor = norm["weight"] / torch.sqrt(norm["running_var"] + _BN_EPS)
        folded[name] = tensor * factor.reshape(-1, 1, 1, 1)
        folded[f"{prefix}.conv.bias"] = norm["bias"] - norm["running_mean"] * factor
    return folded


def _name_by_execution_order(network: Yolox, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Map the numbered initializers of a folded ONNX export, which rise in execution order."""
    numbers = sorted(int(name) for name, tensor in tensors.items() if name.isdigit() and tensor.ndim == 4)
    blocks = _blocks_in_execution_order(network)
    if len(blocks) != len(numbers):
        raise ValueError(f"{len(numbers)} convolutions in the file, {len(blocks)} in the architecture")
    named = {name: tensor for name, tensor in tensors.items() if name.startswith("head.")}
    for block, number in zip(blocks, numbers, strict=True):
        named[f"{block}.conv.weight"] = tensors[str(number)]
        named[f"{block}.conv.bias"] = tensors[str(number + 1)]
    return named


def _blocks_in_execution_order(network: Yolox) -> list[str]:
    order: list[str] = []
    hooks = [
        module.register_forward_hook(lambda _m, _i, _o, name=name: order.append(name))
        for name, module in network.named_modules()
        if isinstance(module, ConvBlock)
    ]
    with torch.inference_mode():
        network(torch.zeros(1, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    return order


def freeze_except(network: nn.Module, trainable: list[nn.Parameter]) -> None:
    """Let only these parameters have gradients."""
    chosen = {id(parameter) for parameter in trainable}
    for parameter in network.parameters():
        parameter.requires_grad_(id(parameter) in chosen)
