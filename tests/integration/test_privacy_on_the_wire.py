"""What others get to see, read off the wire: each picture that leaves, in whatever request, is decoded and examined."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_autotuner.config import RunConfig, load_config
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import ConfigError
from edge_autotuner.pipeline import stages
from edge_autotuner.pipeline.remote_training.run_files import describe_run
from edge_autotuner.pipeline.run_folder import RunFolder
from support.cameras.private_scene import POSTER_XYXY, SECRET, n_striped, write_figure_finder, write_private_pictures
from support.runs.cli_runs import run_cli
from support.runs.run_samples import Samples
from support.service.real_service import RealService
from support.service.recording_proxy import RecordingProxy, pictures_in

MODEL = "changes"
HIDDEN = 60  # striped pixels; trees and windows of the street alone have up to 44
POSTER_PX, FIGURE_PX = 600, 200  # so many at least in what is not hidden


@pytest.fixture(scope="module")
def service(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    jobs = {"n_workers": 1, "n_threads": 1, "priority": "normal"}
    folder = tmp_path_factory.mktemp("service")
    with RealService(folder, samples.teacher, name=MODEL, adapter="yolox", settings={"jobs": jobs}) as running:
        yield running


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_figure_finder(tmp_path_factory.mktemp("finder") / "bundle")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_private_pictures(tmp_path_factory.mktemp("pictures") / "street")


@pytest.fixture(scope="module")
def captured(pictures: Path, samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captured") / "run"
    stages.capture_frames(pictures, folder, settings(samples))
    return folder


def settings(samples: Samples, *, annotation: dict[str, Any] | None = None, **privacy: Any) -> RunConfig:
    values = load_config(samples.config).model_dump(mode="json")
    values["capture"] |= {"background": {"method": "first"}}
    values["annotation"] |= {
        "classes": ["car"],
        "min_crop_px": 16,
        "crop_margin": 0.0,
        "look": "tiles",
        "tile_grid": 2,
    } | (annotation or {})
    values["privacy"] = privacy
    return RunConfig.model_validate(values)


def at(service: RealService, proxy: RecordingProxy, **more: Any) -> dict[str, Any]:
    return {"teacher": f"remote:{MODEL}", "service": {"url": proxy.url, "token_file": str(service.token_file)}, **more}


def decoded(files: list[bytes]) -> list[ImageArray]:
    images = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in files]
    assert all(image is not None for image in images)
    return images


def readable(stream: bytes) -> list[ImageArray]:
    """Return the pictures of a stream that also holds models, parts of which may look like the beginning of one."""
    images = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in pictures_in(stream)]
    return [image for image in images if image is not None]


def sent_for_labels(
    captured: Path, to: Path, samples: Samples, service: RealService, look: str = "tiles", **privacy: Any
) -> tuple[Path, bytes]:
    """Label a copy of the run at the service; return its folder and all that went over the wire."""
    folder = Path(shutil.copytree(captured, to / "run", symlinks=True))
    with RecordingProxy(service.port) as proxy:
        stages.annotate(folder, settings(samples, annotation=at(service, proxy, look=look), **privacy))
        return folder, proxy.sent


def test_without_privacy_everything_can_be_seen(
    captured: Path, samples: Samples, service: RealService, tmp_path: Path
) -> None:
    _, sent = sent_for_labels(captured, tmp_path, samples, service)
    stripes = [n_striped(image) for image in decoded(pictures_in(sent))]
    assert len(stripes) == 18 * 5
    assert max(stripes) > POSTER_PX + FIGURE_PX
    assert SECRET not in sent, "not even then does it say where the camera hangs"


@pytest.mark.parametrize("outside", ["blur", "background"])
def test_outside_of_what_moves_nothing_can_be_seen(
    outside: str, captured: Path, samples: Samples, service: RealService, finder: Path, tmp_path: Path
) -> None:
    hiding = {"outside": outside, "hide_classes": ["person"], "hide_with": str(finder)}
    folder, sent = sent_for_labels(captured, tmp_path, samples, service, **hiding)
    left = [n_striped(image) for image in decoded(pictures_in(sent))]
    assert len(left) > 20
    if outside == "blur":
        assert max(left) <= HIDDEN
    else:  # the poster belongs to the background
        assert POSTER_PX < max(left) <= 800
    assert_nothing_is_said_about_hidden_places(folder)


def test_crops_show_what_moves_and_no_unwanted_object(
    captured: Path, samples: Samples, service: RealService, finder: Path, tmp_path: Path
) -> None:
    hiding = {"send": "crops", "hide_classes": ["person"], "hide_with": str(finder)}
    folder, sent = sent_for_labels(captured, tmp_path, samples, service, look="crops", **hiding)
    images = decoded(pictures_in(sent))
    assert len(images) > 5
    assert max(n_striped(image) for image in images) <= HIDDEN
    assert all(image.shape[:2] != (128, 192) for image in images), "no whole frame"
    with DatasetStore.open(folder / "dataset") as store:
        annotations = [store.annotation_of(record) for record in store.frames()]
    assert sum(len(a.detections) for a in annotations if a is not None) > 5, "there is something to learn"
    assert_nothing_is_said_about_hidden_places(folder)


def test_a_training_elsewhere_gets_treated_pictures_only(
    captured: Path, samples: Samples, finder: Path, tmp_path: Path
) -> None:
    folder = RunFolder(Path(shutil.copytree(captured, tmp_path / "run", symlinks=True)))
    open_settings = settings(samples)
    stages.annotate(folder.path, open_settings)
    described, files = describe_run(folder, open_settings)
    shown = [n_striped(image) for image in decoded([path.read_bytes() for path in files.values()])]
    assert max(shown) > POSTER_PX
    assert not any(SECRET in path.read_bytes() for path in files.values())

    private = settings(samples, outside="blur", hide_classes=["person"], hide_with=str(finder))
    again, treated = describe_run(folder, private)
    assert len(treated) >= 18
    assert max(n_striped(image) for image in decoded([path.read_bytes() for path in treated.values()])) <= HIDDEN
    assert not set(treated) & set(files)
    assert again != described
    assert describe_run(folder, private)[0] == again, "the same bytes, so that a job is found again"

    with pytest.raises(ConfigError, match=r"privacy\.send crops forbids training at a service"):
        describe_run(folder, settings(samples, send="crops"))


@pytest.mark.slow
def test_labels_training_and_models_in_one_go(
    captured: Path, samples: Samples, service: RealService, finder: Path, tmp_path: Path
) -> None:
    """All that is sent for a run: labels are asked for, it is trained there, its model is published."""
    folder = Path(shutil.copytree(captured, tmp_path / "gate", symlinks=True))
    token_file = service.add_token("node", "annotate", "train", "deploy")
    hiding = {"outside": "blur", "hide_classes": ["person"], "hide_with": str(finder)}
    with RecordingProxy(service.port) as proxy:
        stages.annotate(folder, settings(samples, annotation=at(service, proxy), **hiding))
        n_asked = len(readable(proxy.sent))
        tuned = run_cli("jobs", "tune", folder, "--url", proxy.url, "--token-file", token_file)
        assert tuned.code == 0, tuned.err
        sent = proxy.sent
    left = [n_striped(image) for image in readable(sent)]
    assert len(left) >= n_asked + 18, "all frames of the run went there"
    assert max(left) <= HIDDEN
    assert SECRET not in sent
    assert (folder / "bundle" / "bundle.json").is_file()
    report = (folder / "report.html").read_bytes()
    embedded = re.findall(rb"data:image/webp;base64,([A-Za-z0-9+/=]+)", report)
    assert embedded
    assert max(n_striped(image) for image in decoded([base64.b64decode(one) for one in embedded])) <= HIDDEN


def test_treated_at_rest_the_original_is_nowhere(
    pictures: Path, samples: Samples, finder: Path, tmp_path: Path
) -> None:
    config = settings(samples, outside="blur", hide_classes=["person"], hide_with=str(finder), apply="at_rest")
    run = tmp_path / "run"
    stages.capture_frames(pictures, run, config)
    stages.annotate(run, config)
    stages.report(run, config)
    images = decoded(pictures_in(b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())))
    assert len(images) >= 18
    assert max(n_striped(image) for image in images) <= HIDDEN
    _, files = describe_run(RunFolder(run), config)
    assert {path.parent.parent for path in files.values()} == {run / "dataset"}, "it may leave as it is"
    assert_nothing_is_said_about_hidden_places(run)


def assert_nothing_is_said_about_hidden_places(folder: Path) -> None:
    """No label and no claim of having looked lies on the poster, which never moves."""
    x, y = POSTER_XYXY[2] / 2, POSTER_XYXY[3] / 2
    with DatasetStore.open(folder / "dataset") as store:
        for record in store.frames():
            annotation = store.annotation_of(record)
            assert annotation is not None
            for x1, y1, x2, y2 in [*annotation.looked_xyxy.tolist(), *annotation.detections.boxes_xyxy.tolist()]:
                assert not (x1 < x < x2 and y1 < y < y2), record.file
