"""Which edge model a run starts from, with which classes, and what is wrong with those that it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edge_autotuner.config import RunConfig
from edge_autotuner.core import COCO_80, STREET_6, LabelMap
from edge_autotuner.errors import ConfigError, ModelBundleError, WeightsError
from edge_autotuner.models.torch_detector import TorchDetector
from edge_autotuner.models.torch_weights import network_bytes, save_network
from edge_autotuner.models.yolox import Yolox
from edge_autotuner.models.yolox_weights import save_yolox
from edge_autotuner.pipeline.annotation_stage import check_teacher
from edge_autotuner.pipeline.edge_model import open_edge_model
from edge_autotuner.pipeline.session import Session
from support.runs.run_samples import FinishedRun, Samples, camera
from support.runs.trainable_cases import NARROW, add_narrow_networks, fresh_ssdlite


def config(edge_model: Path | str, classes: tuple[str, ...] | None = None, **more: object) -> RunConfig:
    return RunConfig.model_validate({"edge_model": str(edge_model), "annotation": {"classes": classes}, **more})


def test_a_weights_file(samples: Samples) -> None:
    edge = open_edge_model(config(samples.edge_model))
    assert (edge.name, edge.labels, edge.network.n_classes) == ("edge", STREET_6, 6)
    assert edge.network.architecture == "yolox-nano"
    assert not edge.network.training


def test_a_run_or_a_bundle_as_the_start(finished_run: FinishedRun) -> None:
    from_run = open_edge_model(config(finished_run.folder))
    from_bundle = open_edge_model(config(finished_run.folder / "bundle"))
    assert from_run.name == from_bundle.name
    assert from_run.name == (finished_run.folder / "bundle").resolve().name
    assert from_run.sha256 == from_bundle.sha256
    assert from_run.labels == STREET_6


def test_the_same_weights_give_the_same_file(samples: Samples) -> None:
    """The header of safetensors is in random order; twelve files would hardly be equal by chance."""
    edge = open_edge_model(config(samples.edge_model))
    files = {network_bytes(edge.network, edge.labels) for _ in range(12)}
    assert files == {samples.edge_model.read_bytes()}


def test_wanted_classes_keep_their_weights(samples: Samples) -> None:
    everything = open_edge_model(config(samples.edge_model))
    some = open_edge_model(config(samples.edge_model, ("car", "person")))
    assert some.labels == LabelMap(("car", "person"))
    assert some.sha256 == everything.sha256
    rows = [STREET_6.id_of("car"), STREET_6.id_of("person")]
    with torch.no_grad():
        image = torch.rand(1, 3, 96, 96) * 255
        expected = everything.network(image)[..., [0, 1, 2, 3, 4, 5 + rows[0], 5 + rows[1]]]
        torch.testing.assert_close(some.network(image), expected)


def test_a_coco_model_learns_the_street_classes(tmp_path: Path) -> None:
    save_yolox(tmp_path / "coco.safetensors", Yolox("yolox-nano", 80), COCO_80)
    assert open_edge_model(config(tmp_path / "coco.safetensors")).labels == STREET_6
    assert open_edge_model(config(tmp_path / "coco.safetensors", ("dog",))).labels == LabelMap(("dog",))


def test_a_dataset_binds_the_classes(samples: Samples, tmp_path: Path) -> None:
    assert Session.open(tmp_path, config(samples.edge_model)).edge_model(of_dataset=STREET_6).labels == STREET_6
    with pytest.raises(ConfigError, match="should learn car, but the dataset was captured for person, bicycle"):
        Session.open(tmp_path, config(samples.edge_model, ("car",))).edge_model(of_dataset=STREET_6)
    with pytest.raises(ConfigError, match="use the dataset's classes, or capture into another folder"):
        Session.open(tmp_path, config(samples.edge_model)).edge_model(of_dataset=LabelMap(STREET_6.names[::-1]))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("unicorn",), "unknown class 'unicorn'; known classes: person, bicycle"),
        (("car", "car"), "no duplicates"),
        ((), "at least one class"),
    ],
)
def test_wrong_classes(classes: tuple[str, ...], message: str, samples: Samples) -> None:
    with pytest.raises(ConfigError, match=message):
        open_edge_model(config(samples.edge_model, classes))


def test_edge_models_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"a/b does not exist; give a weights file, a bundle, a known model's name, or the folder"
    ):
        open_edge_model(config("a/b"))
    with pytest.raises(ConfigError, match=r"w\.pth does not exist; give a weights file"):
        open_edge_model(config("w.pth"))
    with pytest.raises(ConfigError, match="unknown model 'nobody'; known models: street-nano"):
        open_edge_model(config("nobody"))
    with pytest.raises(ConfigError, match="deimv2-femto is a teacher and cannot be trained; edge models: street-nano"):
        open_edge_model(config("deimv2-femto"))
    with pytest.raises(ModelBundleError, match="is neither a bundle nor the folder of a run"):
        open_edge_model(config(tmp_path))


def test_a_known_model_that_is_not_on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("EDGE_AUTOTUNER_DATA", raising=False)
    with pytest.raises(WeightsError, match="yolox-s is not on this machine: run `edge-autotuner models pull yolox-s`"):
        open_edge_model(config("yolox-s"))


def test_weights_of_another_architecture(samples: Samples) -> None:
    with pytest.raises(WeightsError, match="does not contain weights of yolox-tiny"):
        open_edge_model(config(samples.edge_model, architecture="yolox-tiny"))


def test_the_input_must_fit_the_network(samples: Samples) -> None:
    with pytest.raises(ConfigError, match=r"^input_size: both sides must be multiples of 32 for yolox-nano, got 300x"):
        open_edge_model(config(samples.edge_model, input_size=300))


def test_an_ssdlite_takes_any_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_narrow_networks(monkeypatch)
    save_network(tmp_path / "ssd.safetensors", fresh_ssdlite(n_classes=6), STREET_6)
    edge = open_edge_model(config(tmp_path / "ssd.safetensors", ("car",), input_size="97x64"))
    assert (edge.network.architecture, edge.network.n_classes, edge.labels) == (NARROW, 1, LabelMap(("car",)))


def test_an_exported_network_answers_like_the_trained_one(samples: Samples, tmp_path: Path) -> None:
    edge = open_edge_model(config(samples.edge_model))
    image = camera().frame(60).image_bgr
    exported = edge.as_detector((96, 64), tmp_path / "edge.onnx", n_threads=1).detect(image)
    trained = TorchDetector(edge.network, edge.labels, (96, 64)).detect(image)
    assert len(exported) == len(trained) > 0
    np.testing.assert_allclose(np.sort(exported.scores), np.sort(trained.scores), atol=1e-4)
    assert [file.name for file in tmp_path.iterdir()] == ["edge.onnx"]


def test_an_export_that_is_there_is_kept(samples: Samples, tmp_path: Path) -> None:
    (tmp_path / "edge.onnx").write_bytes(b"from before")
    edge = open_edge_model(config(samples.edge_model))
    assert edge.export((96, 96), tmp_path / "edge.onnx").read_bytes() == b"from before"


def teacher(name: Path | str, adapter: str | None = None) -> RunConfig:
    return RunConfig.model_validate({"annotation": {"teacher": str(name), "adapter": adapter}})


def test_teachers_that_are_there(samples: Samples) -> None:
    check_teacher(teacher("zoom"))
    check_teacher(teacher(samples.teacher, "yolox"))


def test_teachers_that_are_not(samples: Samples, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"teacher no\.onnx does not exist; give an ONNX file, the folder of a transformers detector"
    ):
        check_teacher(teacher("no.onnx"))
    with pytest.raises(ConfigError, match="teacher a/b does not exist"):
        check_teacher(teacher("a/b"))
    with pytest.raises(ConfigError, match="unknown model 'nobody'"):
        check_teacher(teacher("nobody"))
    with pytest.raises(ConfigError, match="set --edge-model yolox-tiny with --teacher zoom"):
        check_teacher(teacher("yolox-tiny"))
    with pytest.raises(ConfigError, match="set --adapter to one of"):
        check_teacher(teacher(samples.teacher))
    (tmp_path / "t.onnx").write_bytes(b"garbage")
    with pytest.raises(WeightsError, match="is not a usable ONNX model"):
        check_teacher(teacher(tmp_path / "t.onnx", "yolox"))


@pytest.mark.parametrize(("teacher", "second_look"), [("zoom,deimv2-femto", False), ("deimv2-femto", True)])
def test_the_input_for_magnified_views_is_checked_before_a_long_run(
    teacher: str, second_look: bool, samples: Samples
) -> None:
    """Whoever lets the edge model look at magnified views: as one of the teachers, or at the second look."""
    with pytest.raises(ConfigError, match=r"annotation\.zoom_input: both sides must be multiples of 32"):
        open_edge_model(_magnifying(samples, teacher, second_look=second_look))


def test_an_input_for_magnified_views_that_nobody_uses(samples: Samples) -> None:
    assert open_edge_model(_magnifying(samples, "deimv2-femto", second_look=False)).labels == STREET_6


def _magnifying(samples: Samples, teacher: str, *, second_look: bool) -> RunConfig:
    annotation: dict[str, Any] = {"zoom_input": 100, "teacher": teacher}
    training = {"second_look": {"enabled": second_look}}
    return RunConfig.model_validate(
        {"edge_model": str(samples.edge_model), "annotation": annotation, "training": training}
    )
