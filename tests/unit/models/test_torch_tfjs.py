"""TensorFlow.js archives are read as they are, and nothing else is taken for one."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edge_autotuner.models import torch_tfjs
from edge_autotuner.models.torch_tfjs import read_tfjs_archive

WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3)
COUNT = np.array(7, np.int32)
STREAM = WEIGHTS.tobytes() + COUNT.tobytes()
ENTRIES = [
    {"name": "a/weights", "shape": [2, 3], "dtype": "float32"},
    {"name": "a/count", "shape": [], "dtype": "int32"},
]


def manifest(entries: list[dict[str, Any]] | None = None, paths: tuple[str, ...] = ("part1", "part2")) -> bytes:
    return json.dumps({"weightsManifest": [{"paths": paths, "weights": entries or ENTRIES}]}).encode()


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def files(**changes: bytes) -> dict[str, bytes]:
    """Return a model in a folder of a package, its numbers in two shards that cut through one of them."""
    usual = {"model.json": manifest(), "part1": STREAM[:5], "part2": STREAM[5:]}
    contents = {**usual, **{name.replace("_", "."): content for name, content in changes.items()}}
    return {"package/README.md": b"?", **{f"package/models/m/{name}": content for name, content in contents.items()}}


def test_tensors_come_back_with_their_names_and_shapes(tmp_path: Path) -> None:
    tensors = read_tfjs_archive(archive(tmp_path / "m.tgz", files()))
    assert list(tensors) == ["a/weights", "a/count"]
    assert torch.equal(tensors["a/weights"], torch.from_numpy(WEIGHTS))
    assert (tensors["a/count"].shape, tensors["a/count"].dtype, int(tensors["a/count"])) == ((), torch.int32, 7)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        pytest.param({"package/README.md": b"?"}, "one file named model.json inside, got 0", id="no model"),
        pytest.param(
            {**files(), "package/other/model.json": manifest()},
            "one file named model.json inside, got 2",
            id="two models",
        ),
        pytest.param(files(model_json=b"{}"), "KeyError: 'weightsManifest'", id="another JSON"),
        pytest.param(files(model_json=b"{"), "Expecting property name", id="no JSON"),
        pytest.param(files(model_json=manifest(paths=("part1", "part3"))), "part3", id="a shard is missing"),
        pytest.param(files(part2=STREAM[5:] + b"more"), "32 bytes of weights, expected 28", id="too long"),
        pytest.param(files(part2=STREAM[5:-4]), "buffer", id="too short"),
        pytest.param(
            files(model_json=manifest([{"name": "a", "shape": [7], "dtype": "uint8"}])),
            "a is stored as uint8",
            id="uint8",
        ),
        pytest.param(
            files(model_json=manifest([{**ENTRIES[0], "quantization": {"scale": 1}}])), "or quantized", id="quantized"
        ),
    ],
)
def test_other_archives_are_refused(contents: dict[str, bytes], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_tfjs_archive(archive(tmp_path / "m.tgz", contents))


@pytest.mark.parametrize("keep", [0, 1, 40, -60], ids=["nothing", "a byte", "the beginning", "all but the end"])
def test_truncated_archives_are_refused(keep: int, tmp_path: Path) -> None:
    path = archive(tmp_path / "m.tgz", files())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"not a TensorFlow\.js model in an archive"):
        read_tfjs_archive(path)


def test_garbage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.tgz").write_bytes(b"no archive at all")
    with pytest.raises(ValueError, match=r"not a TensorFlow\.js model in an archive"):
        read_tfjs_archive(tmp_path / "m.tgz")


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_tfjs, "_MAX_BYTES", 100)
    with pytest.raises(ValueError, match="more than 0 MB inside"):
        read_tfjs_archive(archive(tmp_path / "m.tgz", files(part1=bytes(200))))
