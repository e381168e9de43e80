"""Each kind of source is found and loaded, with a hash and settings that say when its answers may differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_autotuner.config.server import ServedModel
from edge_autotuner.core import Detector
from edge_autotuner.errors import ConfigError, EdgeAutotunerError
from edge_autotuner.server.annotation.models import LoadedModel, find_loader
from helpers import shared_data
from support.service.service_samples import noise


def load(**values: object) -> LoadedModel:
    return find_loader("m", ServedModel.model_validate({"n_threads": 1, **values}), None)()


def test_an_onnx_file_and_its_name_in_the_catalogue_are_one_model() -> None:
    path = shared_data("models/deimv2_atto_320/deimv2_atto.onnx")
    by_path = load(source=str(path), adapter="deim")
    assert by_path.sha256 == "b114aa6610ac7c2bd9b3186ffb001afa872430db957407ef2473f7148d00646e"
    assert (by_path.detector.input_size_wh, by_path.resize) == ((320, 320), "stretch")
    assert isinstance(by_path.detector, Detector)
    assert len(by_path.detector.detect_batch([noise(seed=1), noise((50, 60), seed=2)])) == 2


def test_an_edge_model_is_served_at_an_input_of_its_own() -> None:
    pytest.importorskip("torch")
    as_made, larger = load(source="street-nano"), load(source="street-nano", input_size="640x384")
    assert (as_made.detector.input_size_wh, larger.detector.input_size_wh) == ((416, 416), (640, 384))
    assert as_made.sha256 == larger.sha256
    assert as_made.settings != larger.settings
    assert as_made.resize == "letterbox"


def test_settings_differ_only_where_answers_do() -> None:
    path = str(shared_data("models/deimv2_atto_320/deimv2_atto.onnx"))
    one = load(source=path, adapter="deim")
    assert load(source=path, adapter="deim", n_threads=2, n_parallel=2).settings == one.settings
    assert load(source=path, adapter="deim", min_score=0.2).settings != one.settings


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        pytest.param({"source": "missing.onnx"}, "missing.onnx does not exist", id="no such file"),
        pytest.param({"source": "folder/model"}, "does not exist", id="no such folder"),
        pytest.param({"source": "no-model"}, "unknown model", id="no such name"),
        pytest.param({"source": "FILE.safetensors"}, "input_size", id="weights without an input size"),
        pytest.param({"source": "FILE.bin"}, "adapter", id="a file that nobody knows to read"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_loaded(
    values: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    source = values["source"]
    if source.startswith("FILE"):
        source = str(tmp_path / source)
        Path(source).touch()
    with pytest.raises(EdgeAutotunerError, match=complaint):
        find_loader("m", ServedModel(source=source), None)


def test_a_file_has_its_own_input() -> None:
    path = str(shared_data("models/deimv2_atto_320/deimv2_atto.onnx"))
    with pytest.raises(ConfigError, match="remove input_size"):
        find_loader("m", ServedModel(source=path, adapter="deim", input_size=(640, 640)), None)


def test_an_empty_folder_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(EdgeAutotunerError, match="neither a bundle"):
        find_loader("m", ServedModel(source=str(tmp_path)), None)
