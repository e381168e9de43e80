"""What a folder of the transformers library says of its detector, and which folders are refused. Needs no library."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.core import COCO_80
from edge_autotuner.errors import MissingDependency, WeightsError
from edge_autotuner.models import transformers_folder
from edge_autotuner.models.transformers_folder import PixelScaling, is_detector_folder, read_detector_folder

PIXELS: dict[str, Any] = {"size": {"height": 64, "width": 96}, "do_rescale": True, "rescale_factor": 0.5}
CONFIG: dict[str, Any] = {"model_type": "d_fine", "id2label": {"0": "person", "1": "sofa", "2": "tram"}}


@pytest.fixture(autouse=True)
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the library seem to be there: the descriptions are read without it."""
    monkeypatch.setattr(transformers_folder.importlib.util, "find_spec", lambda _: object())


def folder(path: Path, config: object = CONFIG, pixels: object = PIXELS) -> Path:
    (path / "config.json").write_text(json.dumps(config))
    (path / "preprocessor_config.json").write_text(json.dumps(pixels))
    (path / "model.safetensors").write_bytes(b"weights")
    return path


def test_a_folder_is_described(tmp_path: Path) -> None:
    found = read_detector_folder(folder(tmp_path))
    assert (found.architecture, found.labels.names) == ("d-fine", ("person", "couch", "tram"))
    assert (found.input_size_wh, found.pixels) == ((96, 64), PixelScaling(0.5))
    spec = found.spec
    assert (spec.name, spec.input_size_wh, spec.labels) == (tmp_path.name, (96, 64), found.labels)
    assert (spec.resize, spec.colour, spec.scale, spec.decode) == ("stretch", "bgr", 1, "boxes_scores")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Person", "person"), ("motorbike", "motorcycle"), ("aeroplane", "airplane"), ("tvmonitor", "tv"),
        ("pottedplant", "potted plant"), ("diningtable", "dining table"), (" car ", "car"), ("SUV", "SUV"),
    ],
)  # fmt: skip
def test_coco_classes_have_coco_names(theirs: str, ours: str, tmp_path: Path) -> None:
    config = {"model_type": "rt_detr_v2", "id2label": {"0": theirs}}
    assert read_detector_folder(folder(tmp_path, config)).labels.names == (ours,)


def test_all_of_coco_in_its_order(tmp_path: Path) -> None:
    config = {"model_type": "rt_detr_v2", "id2label": {str(i): name for i, name in enumerate(COCO_80)}}
    assert read_detector_folder(folder(tmp_path, config)).labels == COCO_80


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, PixelScaling(0.5), id="scaled"),
        pytest.param({"do_rescale": False}, PixelScaling(1.0), id="as they are"),
        pytest.param(
            {"do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1]},
            PixelScaling(0.5, (0.5, 0.4, 0.3), (0.2, 0.2, 0.1)),
            id="normalized",
        ),
        pytest.param(
            {"do_normalize": False, "image_mean": [0.5] * 3, "image_std": [0.2] * 3},
            PixelScaling(0.5),
            id="switched off",
        ),
    ],
)
def test_pixels(changes: dict[str, Any], expected: PixelScaling, tmp_path: Path) -> None:
    assert read_detector_folder(folder(tmp_path, pixels={**PIXELS, **changes})).pixels == expected


@pytest.mark.parametrize(
    ("config", "pixels", "message"),
    [
        pytest.param(
            {"model_type": "yolos"}, PIXELS, "a model of type 'yolos'; expected one of rt_detr_v2, d_fine", id="kind"
        ),
        pytest.param({}, PIXELS, "a model of type None", id="no kind"),
        pytest.param([1], PIXELS, "expected an object with keys", id="a list"),
        pytest.param({"model_type": "d_fine"}, PIXELS, "id2label must name the classes", id="no classes"),
        pytest.param({"model_type": "d_fine", "id2label": {"1": "car"}}, PIXELS, "id2label must name", id="gap"),
        pytest.param(
            {"model_type": "d_fine", "id2label": {"0": "tv", "1": "tvmonitor"}}, PIXELS, "must be unique", id="twice"
        ),
        pytest.param(CONFIG, {"size": {"shortest_edge": 800}}, "expected a size of fixed height and width", id="edge"),
        pytest.param(CONFIG, {**PIXELS, "do_pad": True}, "do_pad is not supported", id="padded"),
        pytest.param(
            CONFIG, {**PIXELS, "do_normalize": True}, "'image_mean' must be a list of 3 numbers", id="no mean"
        ),
        pytest.param(CONFIG, {**PIXELS, "rescale_factor": 0}, "'rescale_factor' must be positive", id="no factor"),
        pytest.param(CONFIG, {**PIXELS, "rescale_factor": "0.5"}, "must be a number, got '0.5'", id="factor as text"),
        pytest.param(
            CONFIG, {**PIXELS, "do_rescale": "false"}, "'do_rescale' must be true or false", id="flag as text"
        ),
        pytest.param(CONFIG, {**PIXELS, "size": {"height": 64, "width": True}}, "'width' must be a whole", id="true"),
        pytest.param({"model_type": "d_fine", "id2label": {"0": 7}}, PIXELS, "id2label: '0' must be text", id="number"),
        pytest.param({"model_type": ["d_fine"]}, PIXELS, "a model of type", id="list of kinds"),
    ],
)
def test_descriptions_that_are_refused(config: object, pixels: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=message):
        read_detector_folder(folder(tmp_path, config, pixels))


def without(name: str) -> Callable[[Path], object]:
    return lambda path: (path / name).unlink()


def with_pickle(path: Path) -> None:
    (path / "model.safetensors").rename(path / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(without("config.json"), "cannot read .*config.json: No such file", id="no config"),
        pytest.param(without("preprocessor_config.json"), "copy the whole folder", id="no pixels"),
        pytest.param(without("model.safetensors"), "has no model.safetensors", id="no weights"),
        pytest.param(
            with_pickle, "pytorch_model.bin but no model.safetensors: pickled weights can run code", id="pickle"
        ),
        pytest.param(lambda path: (path / "config.json").write_text("{"), "not valid JSON", id="half a file"),
        pytest.param(lambda path: (path / "config.json").write_text(" " * (5 << 20)), "at most 4 MB", id="too long"),
    ],
)
def test_folders_that_are_refused(damage: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    damage(folder(tmp_path))
    with pytest.raises(WeightsError, match=message):
        read_detector_folder(tmp_path)


def test_the_hash_is_of_everything_that_decides(tmp_path: Path) -> None:
    found = read_detector_folder(folder(tmp_path))
    hashes = {found.sha256(), found.sha256()}
    assert len(hashes) == 1
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        with (tmp_path / name).open("ab") as file:
            file.write(b" ")
        hashes.add(found.sha256())
    (tmp_path / "README.md").write_text("other")
    assert len(hashes | {found.sha256()}) == 4


def test_without_the_library_the_install_command_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers_folder.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        MissingDependency, match=r"need transformers and scipy: pip install 'edge-autotuner\[train,trans"
    ):
        read_detector_folder(folder(tmp_path))


def test_what_is_such_a_folder(tmp_path: Path) -> None:
    assert not is_detector_folder(tmp_path)
    assert not is_detector_folder(tmp_path / "nothing")
    assert is_detector_folder(folder(tmp_path))
