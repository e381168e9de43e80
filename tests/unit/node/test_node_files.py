"""A node closes what is its own, and nothing that somebody else keeps in the same folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from edge_autotuner.config.node import NodeConfig
from edge_autotuner.node.node_files import belongs_to_node, holds_camera, is_free_for_camera, is_reserved_for_node
from edge_autotuner.storage import keep_private

OWN = (
    "gate/bundles/v1/model.onnx",
    "old/batches/00000001/state.json",
    "status.json",
    ".lock",
    "node.yaml",
    "seen.jsonl.1",
)
FOREIGN = ("photos/1.jpg", "yard.mp4", ".ssh/id", "gate2/clip.mp4")


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def node_in(folder: Path) -> NodeConfig:
    lines = {"json_lines": {"path": str(folder / "seen.jsonl")}}
    cameras = [{"name": "gate", "source": "rtsp://h/s"}]
    return NodeConfig.model_validate({"folder": str(folder), "cameras": cameras, "outputs": lines})


def test_a_shared_folder_stays_shared(tmp_path: Path) -> None:
    for name in (*OWN, *FOREIGN):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    tmp_path.chmod(0o755)
    keep_private(tmp_path, is_own=partial(belongs_to_node, node_in(tmp_path), tmp_path / "node.yaml"))
    assert {name: (tmp_path / name).stat().st_mode & 0o777 for name in OWN} == dict.fromkeys(OWN, 0o600)
    assert {name: (tmp_path / name).stat().st_mode & 0o777 for name in FOREIGN} == dict.fromkeys(FOREIGN, 0o666)
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("name", "is_kept"),
    [
        ("status.json", True), ("STATUS.JSON", True), (".lock", True), ("gate", True), ("GATE/x", True),
        ("../node/gate/batches/x", True), ("seen.jsonl", False), ("gate.jsonl", False), ("../gate", False),
        (".", False),
    ],
)  # fmt: skip
def test_what_the_node_writes_itself(name: str, is_kept: bool, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    assert is_reserved_for_node(node_in(folder), folder / name) == is_kept


@pytest.mark.parametrize(
    ("names", "is_usable"),
    [
        ((), True), ((".learning.yaml.7-9.tmp",), True), (("learning.yaml",), True), (("learning.yaml", "x.jpg"), True),
        (("bundles/v1/model.onnx",), True), (("registry.json",), True), (("x.jpg",), False), ((".hidden", "x"), False),
    ],
)  # fmt: skip
def test_a_node_that_was_killed_at_its_first_steps_starts_again(
    names: tuple[str, ...], is_usable: bool, tmp_path: Path
) -> None:
    place = tmp_path / "gate"
    assert is_free_for_camera(place)
    place.mkdir()
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    assert (holds_camera(place) or is_free_for_camera(place)) == is_usable
