"""Reads the weights of a published TensorFlow.js package without unpacking it."""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edge_autotuner.core.json_limits import load_json

ARCHIVE_SUFFIX = ".tgz"

_MODEL = "model.json"
_MAX_BYTES = 1 << 30
_TYPES = {"float32": np.dtype("<f4"), "int32": np.dtype("<i4")}


def read_tfjs_archive(path: Path) -> dict[str, Tensor]:
    """Return the tensors of the one model in an archive, with TensorFlow's names and layout.

    Args:
        path: gzipped tar file with a `model.json` and the shards that it names beside it.

    Raises:
        ValueError: the archive is damaged, holds no model or several, or one of another kind.
    """
    try:
        with tarfile.open(path, "r:gz") as archive:
            sizes = {member.name: member.size for member in archive.getmembers() if member.isfile()}
            if sum(sizes.values()) > _MAX_BYTES:
                raise ValueError(f"more than {_MAX_BYTES >> 20} MB inside")
            models = [name for name in sizes if PurePosixPath(name).name == _MODEL]
            if len(models) != 1:
                raise ValueError(f"expected one file named {_MODEL} inside, got {len(models)}")
            groups = load_json(_content(archive, models[0]))["weightsManifest"]
            folder = PurePosixPath(models[0]).parent
            return {name: tensor for group in groups for name, tensor in _tensors(archive, folder, group).items()}
    except (tarfile.TarError, EOFError, OSError, zlib.error, KeyError, TypeError) as exc:
        raise ValueError(f"not a TensorFlow.js model in an archive ({type(exc).__name__}: {exc})") from exc


def _tensors(archive: tarfile.TarFile, folder: PurePosixPath, group: dict[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of one group of shards, which form one stream of numbers."""
    stream = b"".join(_content(archive, str(folder / name)) for name in group["paths"])
    tensors, start = {}, 0
    for weight in group["weights"]:
        if "quantization" in weight or weight["dtype"] not in _TYPES:
            raise ValueError(f"{weight['name']} is stored as {weight['dtype']} or quantized; expected float32 or int32")
        dtype, shape = _TYPES[weight["dtype"]], tuple(weight["shape"])
        values = np.frombuffer(stream, dtype, count=int(np.prod(shape)), offset=start)
        tensors[str(weight["name"])] = torch.from_numpy(values.reshape(shape).copy())
        start += values.nbytes
    if start != len(stream):
        raise ValueError(f"{len(stream)} bytes of weights, expected {start}")
    return tensors


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()
