"""No JSON, however deep, ends in a RecursionError: one decoder, and an error that says what is wrong."""

from __future__ import annotations

import ast
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edge_autotuner.core import STREET_6
from edge_autotuner.core.json_fields import parse_json
from edge_autotuner.core.json_limits import MAX_DEPTH, load_json
from edge_autotuner.dataset.ground_truth import load_coco_truth
from edge_autotuner.deployment import read_bundle
from edge_autotuner.deployment.deployed import registry_id
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.models.trainable_weights import load_network
from edge_autotuner.node.camera_folder import BatchFolder
from edge_autotuner.pipeline.evaluation_result import read_evaluation
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.storage.journal import read_journal
from edge_autotuner.training.checkpoints import read_history
from helpers import REPOSITORY
from unit.deployment.test_bundle import made

SOURCE = REPOSITORY / "src" / "edge_autotuner"
DEEP = {
    "lists": "[" * 100_000 + "]" * 100_000,
    "objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "just too deep": "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    "900 deep": '{"a":' * 900 + "1" + "}" * 900,
    "never closed": "[" * 100_000,
    "hidden behind a quote": '"' + '\\"' * 7 + '", ' + "[" * 100_000,
    "mixed": '[{"a":' * 50_000,
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_the_decoder_refuses_what_is_nested_too_deep(text: str) -> None:
    for data in (text, text.encode(), text.encode("utf-16")):
        with pytest.raises(ValueError, match=r"nested deeper than 100 levels|Extra data|Expecting"):
            load_json(data)
        with pytest.raises(ValueError):  # noqa: PT011 (either of both)
            parse_json(data)


def test_the_decoder_reads_what_people_write() -> None:
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert json.dumps(load_json(deep)) == deep
    brackets = json.dumps({"text": "[" * 1000})
    assert load_json(brackets.encode()) == {"text": "[" * 1000}
    wide = json.dumps([[i] for i in range(10_000)])
    assert load_json(wide) == [[i] for i in range(10_000)]


def test_only_one_function_decodes_json() -> None:
    found = set()
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"json.loads", "json.load", "json.JSONDecoder"}:
                found.add(str(path.relative_to(SOURCE)))
    assert found == {"core/json_limits.py"}


def bundle(folder: Path, text: str) -> None:
    made(folder / "b")
    (folder / "b" / "bundle.json").write_text(text)
    read_bundle(folder / "b")


def bundle_with_metrics(folder: Path, text: str) -> None:
    made(folder / "b")
    path = folder / "b" / "bundle.json"
    path.write_text(path.read_text().replace('"ap": 0.5', f'"ap": {text}'))
    read_bundle(folder / "b")


def weights(folder: Path, text: str) -> None:
    save_file({"a": torch.zeros(1)}, folder / "w.safetensors", metadata={"labels": text, "architecture": text})
    load_network(folder / "w.safetensors")


def header(folder: Path, text: str) -> None:
    content = text.encode()
    (folder / "w.safetensors").write_bytes(len(content).to_bytes(8, "little") + content + bytes(64))
    load_network(folder / "w.safetensors")


def checkpoint(folder: Path, text: str) -> None:
    save_file({"a": torch.zeros(1)}, folder / "checkpoint.safetensors", metadata={"state": text})
    read_history(folder)


def journal(folder: Path, text: str) -> None:
    content = text.encode()
    (folder / "journal").write_bytes(b'{"crc32":"%08x","record":' % zlib.crc32(content) + content + b"}\n")
    read_journal(folder / "journal")


def evaluation(folder: Path, text: str) -> None:
    (folder / "evaluation.json").write_text(text)
    read_evaluation(folder / "evaluation.json")


def state(folder: Path, text: str) -> None:
    (folder / "state.json").write_text(text)
    RunFolder(folder).stage("capture")


def outcome(folder: Path, text: str) -> None:
    (folder / "outcome.json").write_text(text)
    assert BatchFolder(folder).outcome is not None


def ground_truth(folder: Path, text: str) -> None:
    (folder / "coco.json").write_text(text)
    load_coco_truth(folder / "coco.json", labels=STREET_6, map_classes={})


READERS: dict[str, Callable[[Path, str], None]] = {
    "bundle": bundle, "metrics of a bundle": bundle_with_metrics, "metadata of weights": weights,
    "header of weights": header, "checkpoint": checkpoint, "journal": journal, "ground truth": ground_truth,
     "evaluation": evaluation, "state": state, "outcome": outcome,
}  # fmt: skip


@pytest.mark.parametrize("text", [DEEP["lists"], DEEP["objects"], DEEP["900 deep"]], ids=["lists", "objects", "900"])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_every_reader_says_what_is_wrong(tmp_path: Path, read: Callable[[Path, str], None], text: str) -> None:
    with pytest.raises(EdgeAutotunerError) as caught:
        read(tmp_path, text)
    assert len(str(caught.value)) < 2000


def test_a_note_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    for text in DEEP.values():
        (tmp_path / "registry.json").write_text(text)
        assert registry_id(tmp_path) is None
