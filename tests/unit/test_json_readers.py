"""A rule: JSON that comes from a file or a peer is read through `core.json_fields` or a strict model.

A decoder (`load_json`) takes the second of two equal keys, and what it returns has any type. Where it is called all the
same, the reason stands here.
"""

from __future__ import annotations

import ast

from helpers import REPOSITORY

SOURCE = REPOSITORY / "src" / "edge_autotuner"

ALLOWED = {
    "core/json_fields.py": "the reader itself",
    "core/json_limits.py": "the decoder itself",
    "storage/journal.py": "a record of ours, whose checksum is compared; `dataset/state.py` reads its fields",
    "dataset/store.py": "copies a value that this process made",
    "dataset/folder.py": "copies a value that this process made",
    "deployment/bundle.py": "refuses NaN and keys that are there twice, and checks each field",
    "models/catalogue.py": "a file of the package itself",
    "models/torch_tfjs.py": "the description of weights, which are compared with it",
    "models/torch_weights.py": "sorts a header that this process made",
    "models/weights_store.py": "names and hashes, each checked to be text",
    "storage/child_process.py": "a line of a child process of ours",
    "node/camera_folder.py": "what this node wrote; a damaged file counts as none",
    "node/model_check.py": "what a child process of ours says",
    "node/outputs/discovery.py": "copies a value that this process made",
    "node/batch_ages.py": "what this node wrote; a damaged file counts as none",
    "deployment/deployed.py": "one name, checked to be one",
    "pipeline/remote_training/training.py": "what this machine wrote; a damaged file counts as none",
    "pipeline/remote_training/run_files.py": "lines that `dataset/replay_records.py` reads field by field",
    "training/checkpoints.py": "what this machine wrote beside its weights",
    "training/feature_files.py": "a cache; what does not fit is made anew",
}


def callers_of_decoders() -> set[str]:
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"load_json", "json.loads", "json.load"}:
                found.add(path.relative_to(SOURCE).as_posix())
    return found


def test_nobody_reads_json_without_a_check_of_its_fields() -> None:
    callers = {name for name in callers_of_decoders() if not name.startswith("server/")}  # strict requests
    assert callers - set(ALLOWED) == set(), "read it with core.json_fields, or say here why not"
    assert set(ALLOWED) - callers == set(), "an exception that nothing needs any more"
