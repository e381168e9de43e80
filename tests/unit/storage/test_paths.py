"""A name becomes a path only inside its folder; a folder is removed only below another one. Rules for all of src."""

from __future__ import annotations

import ast
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.errors import ModelBundleError, StorageError
from edge_autotuner.storage import child_path, is_plain_name, remove_folder
from helpers import REPOSITORY

SOURCE = REPOSITORY / "src" / "edge_autotuner"

HOSTILE = [
    *(
        "",
        ".",
        "..",
        "../x",
        "../../etc",
        "/etc",
        "//etc",
        "a/b",
        "a/../b",
        "a\\b",
        "..\\x",
        "C:\\x",
        "C:x",
        "\\\\host\\x",
    ),
    *("a\0b", "\0", "a\nb", "a\n", "a b", " a", "-rf", "~", "~root", "$HOME", ".hidden", "_x", "\xe4", "\uff41"),
    *("a\u202e", "*", "[a]", "a" * 101, "x" * 10_000_000),
]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name[:12]))
def test_no_text_but_a_plain_name_becomes_a_path(tmp_path: Path, name: str) -> None:
    assert not is_plain_name(name)
    with pytest.raises(ModelBundleError, match="cannot be a name in") as caught:
        child_path(tmp_path, name, error=ModelBundleError)
    assert len(str(caught.value)) < 1000
    with pytest.raises(StorageError):
        child_path(tmp_path, "fine", name)


@pytest.mark.parametrize("name", [None, 7, b"a", ["a"], {"a": 1}], ids=repr)
def test_only_text_is_a_name(tmp_path: Path, name: object) -> None:
    with pytest.raises(StorageError):
        child_path(tmp_path, name)  # type: ignore[arg-type]


@given(st.text(max_size=120) | st.text(alphabet="ab./\\~\0 -_0", max_size=12))
def test_whatever_the_text_the_path_stays_inside(text: str) -> None:
    folder = Path("/nowhere/folder")
    try:
        path = child_path(folder, text)
    except StorageError:
        return
    assert path.parent == folder
    assert Path(os.path.normpath(path)) == path


def test_a_plain_name_gives_the_path_below_the_folder(tmp_path: Path) -> None:
    assert child_path(tmp_path, "b0123") == tmp_path / "b0123"
    assert child_path(tmp_path, "frames", "train_1.jpg") == tmp_path / "frames" / "train_1.jpg"
    with pytest.raises(ValueError, match="needs a name"):
        child_path(tmp_path)


def test_a_link_that_leads_out_is_refused_and_one_that_stays_is_not(tmp_path: Path) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    (folder / "inner").mkdir(parents=True)
    outside.mkdir()
    (folder / "out").symlink_to(outside)
    (folder / "in").symlink_to("inner")
    (folder / "round").symlink_to("round")
    for names in (("out",), ("out", "x"), ("round",)):
        with pytest.raises(StorageError, match="points outside"):
            child_path(folder, *names)
    assert child_path(folder, "in", "x") == folder / "in" / "x"
    (tmp_path / "linked").symlink_to(folder)  # the folder itself may be reached by a link
    assert child_path(tmp_path / "linked", "inner") == tmp_path / "linked" / "inner"


def _tree(path: Path) -> Path:
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "file").write_text("x")
    return path


def test_a_folder_below_is_removed(tmp_path: Path) -> None:
    assert remove_folder(_tree(tmp_path / "a" / "b"), below=tmp_path)
    assert not (tmp_path / "a" / "b").exists()
    assert (tmp_path / "a").is_dir()
    assert remove_folder(tmp_path / "a" / "b", below=tmp_path)  # it is gone


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("where", [".", "..", "../outside", "x/..", "x/../..", "/", ""])
def test_what_is_not_strictly_below_is_refused(
    tmp_path: Path, where: str, strict: bool, caplog: pytest.LogCaptureFixture
) -> None:
    below = _tree(tmp_path / "below")
    (below / "x").mkdir()
    outside = _tree(tmp_path / "outside")
    with caplog.at_level(logging.ERROR):
        if strict:
            with pytest.raises(StorageError, match="EPERM"):
                remove_folder(below / where, below=below, strict=True)
        else:
            assert not remove_folder(below / where, below=below)
            assert "EPERM" in caplog.text
    assert (outside / "deep" / "file").is_file()
    assert (below / "deep" / "file").is_file()


def test_links_are_removed_and_never_followed(tmp_path: Path) -> None:
    below, outside = _tree(tmp_path / "below"), _tree(tmp_path / "outside")
    (below / "deep" / "link").symlink_to(outside)
    (below / "top").symlink_to(outside)
    assert remove_folder(below / "top", below=below)
    assert remove_folder(below / "deep", below=below)
    assert list(below.iterdir()) == []
    (below / "door").symlink_to(tmp_path)
    assert not remove_folder(below / "door" / "outside", below=below)
    assert (outside / "deep" / "file").is_file()


def test_a_failure_is_logged_with_path_and_errno_and_keeps_the_first_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")

    def fail() -> None:
        try:
            raise KeyError("first")
        finally:
            remove_folder(file, below=tmp_path)

    with pytest.raises(KeyError, match="first"):
        fail()
    assert f"cannot remove {file}" in caplog.text
    assert "ENOTDIR" in caplog.text
    with pytest.raises(StorageError, match="ENOTDIR"):
        remove_folder(file, below=tmp_path, strict=True)


# Rules for all of src

_PATH_LIKE = re.compile(
    r"(path|folder|dir|cache|incoming|arrivals|partial|output|together|trainings|dataset|blobs|root|run|base|home|place)s?$"
)
_OUR_OWN_NAMES = {
    "server/jobs/folder.py: name": "order.json and outputs.json",
    "pipeline/remote_training/results.py: f'{kind}-bundle'": "candidate and start",
    "pipeline/training_identity.py: f'replay-{fingerprint_of(fingerprint, str(reservoir))}'": "a hash",
    "pipeline/capture_stage.py: f'{known_by}.onnx'": "a hash",
    "deployment/deployed.py: f'.{DEPLOYED_LINK}.{os.getpid()}{TEMPORARY_SUFFIX}'": "a constant and a number",
    "models/torch_tfjs.py: name": "inside an archive, never on the disk",
    "training/feature_files.py: name": "three constants",
    "pipeline/forgetting.py: name": "constants",
    "pipeline/remote_training/run_files.py: name": "frames and backgrounds",
    "pipeline/watch_outputs.py: name": "frame_%08d.jpg",
    "pipeline/rounds.py: name": "first and second",
    "dataset/derived_files.py: name": "the derived files of a dataset",
    "simulation/world/script.py: f'{script}.yaml'": "one of READY_SCRIPTS",
    "dataset/folder.py: name": "'', frames and backgrounds",
    "dataset/replay.py: name": "'' and pictures",
    "models/transformers_folder.py: name": "three constants",
    "models/weights_store.py: file.name": "of the catalogue",
    "models/weights_store.py: file.mirror": "of the catalogue",
    "node/camera_folder.py: name": "outcome.json and state.json",
    "node/memory_budget.py: *parts[:n]": "of the kernel",
    "node/named_bundle.py: camera.name": "a PlainName of the settings; may be a link to another disk",
    "node/node.py: camera.name": "a PlainName of the settings; may be a link to another disk",
    "node/node_files.py: name": "_OF_CAMERA",
    "node/settings_check.py: camera.name": "a PlainName of the settings; may be a link to another disk",
}


def _last_name(node: ast.expr) -> str:
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.BinOp):
        return "path" if isinstance(node.op, ast.Div) and _is_text(node.right) else ""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_our_own(node: ast.expr) -> bool:
    """Whether the right side of a join is text of this package: a literal or a constant."""
    return _is_text(node) or re.fullmatch(r"_?[A-Z][A-Z_0-9]+", _last_name(node)) is not None


def _joins(path: Path) -> Iterator[str]:
    """Yield what is joined to a path and is neither a literal nor a constant."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            is_path = re.search(_PATH_LIKE, _last_name(node.left).lower())
            if is_path and not isinstance(node.right, ast.Constant) and not _is_our_own(node.right):
                yield ast.unparse(node.right)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "joinpath":
            yield from (ast.unparse(argument) for argument in node.args if not _is_our_own(argument))


_NUMBERS = re.compile(r"(_s|_px|_gb|_bytes|n_\w+|max\(.*|len\(.*|_GB|float\(.*|sum\(.*|step\w*|\d.*)$")


def test_only_child_path_joins_what_a_peer_or_a_file_says() -> None:
    found = set()
    for path in sorted(SOURCE.rglob("*.py")):
        where = str(path.relative_to(SOURCE))
        if where != "storage/paths.py":
            found |= {f"{where}: {text}" for text in _joins(path) if not _NUMBERS.search(text)}
    assert found - set(_OUR_OWN_NAMES) == set(), "use storage.child_path, or say above why the name is our own"
    assert set(_OUR_OWN_NAMES) - found == set(), "an exception that nothing needs any more"


def test_only_remove_folder_removes_folders() -> None:
    found = set()
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            if name in {"rmtree", "removedirs"}:
                found.add(str(path.relative_to(SOURCE)))
    assert found == {"storage/paths.py"}


def test_the_rules_see_what_they_forbid(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("incoming = self._folder.path / _INCOMING / decided.id\nx = folder / f'{name}.x'\n")
    assert list(_joins(file)) != []
