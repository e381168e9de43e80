"""The deployed bundle changes in one step, and a kill leaves the old one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge_autotuner.deployment import bundle_folder, deploy, deployed_bundle, load_edge_detector, new_bundle_folder
from edge_autotuner.errors import ModelBundleError
from unit.deployment.test_bundle import made

KILLED_BEFORE_THE_SWAP = """
import os, signal, sys
from pathlib import Path
from edge_autotuner.deployment import deploy
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
deploy(Path(sys.argv[1]), "second")
"""


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output folder with two bundles."""
    for name in ("first", "second"):
        made(tmp_path / "output" / "bundles" / name, name=name)
    return tmp_path / "output"


def test_nothing_is_deployed_at_first(output: Path) -> None:
    assert deployed_bundle(output) is None


def test_deploying_points_the_link_and_deploying_again_moves_it(output: Path) -> None:
    deploy(output, "first")
    assert deployed_bundle(output) == output / "bundles" / "first"
    deploy(output, "second")
    assert deployed_bundle(output) == output / "bundles" / "second"
    assert os.readlink(output / "bundle") == "bundles/second"
    assert sorted(path.name for path in output.iterdir()) == ["bundle", "bundles"]


def test_the_output_folder_can_be_moved(output: Path, tmp_path: Path) -> None:
    deploy(output, "first")
    moved = tmp_path / "moved"
    shutil.move(output, moved)
    assert deployed_bundle(moved) == moved / "bundles" / "first"
    assert (moved / "bundle" / "bundle.json").is_file()


def test_a_kill_before_the_swap_leaves_the_old_one(output: Path) -> None:
    deploy(output, "first")
    killed = subprocess.run([sys.executable, "-c", KILLED_BEFORE_THE_SWAP, str(output)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert deployed_bundle(output) == output / "bundles" / "first"
    deploy(output, "second")
    assert deployed_bundle(output) == output / "bundles" / "second"


def test_a_damaged_bundle_is_not_deployed(output: Path) -> None:
    deploy(output, "first")
    (output / "bundles" / "second" / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelBundleError, match=r"model.onnx has 7 bytes"):
        deploy(output, "second")
    assert deployed_bundle(output) == output / "bundles" / "first"


@pytest.mark.parametrize("name", ["", ".", "..", "../first", "a/b", "/etc", "a\0b"])
def test_only_plain_names_are_deployed(output: Path, name: str) -> None:
    with pytest.raises(ModelBundleError, match="cannot be a name in"):
        deploy(output, name)


def test_a_folder_in_place_of_the_link_is_not_touched(output: Path) -> None:
    (output / "bundle").mkdir()
    with pytest.raises(ModelBundleError, match="is not a link to a bundle; move it away"):
        deploy(output, "first")


def test_links_that_lead_elsewhere_are_refused(output: Path) -> None:
    (output / "bundle").symlink_to("../outside")
    with pytest.raises(ModelBundleError, match=r"points to ../outside, not into bundles/"):
        deployed_bundle(output)
    (output / "bundle").unlink()
    (output / "bundle").symlink_to("bundles/gone")
    with pytest.raises(ModelBundleError, match=r"points to bundles/gone, which no longer exists"):
        deployed_bundle(output)


def test_a_bundle_or_an_output_folder_can_be_named(output: Path, tmp_path: Path) -> None:
    deploy(output, "second")
    assert bundle_folder(output) == output / "bundles" / "second"
    assert bundle_folder(output / "bundles" / "first") == output / "bundles" / "first"
    assert load_edge_detector(output).labels.names == ("person", "car")
    with pytest.raises(ModelBundleError, match="is neither a bundle nor the folder of a run"):
        bundle_folder(tmp_path)


def test_new_folders_never_meet_old_ones(output: Path) -> None:
    assert new_bundle_folder(output, "third") == output / "bundles" / "third"
    assert new_bundle_folder(output, "first") == output / "bundles" / "first-2"
    made(output / "bundles" / "first-2")
    assert new_bundle_folder(output, "first") == output / "bundles" / "first-3"
    with pytest.raises(ValueError, match="a bundle's name may have"):
        new_bundle_folder(output, "a/b")
