"""Every runtime of bundles, the same expectations; ONNX Runtime is the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edge_autotuner.core import Detector
from edge_autotuner.core.plugins import RUNTIMES
from edge_autotuner.core.types import ImageArray
from edge_autotuner.errors import WeightsError
from edge_autotuner.models import DetectorSpec, describe_onnx
from support.machine.installed_plugin import NAME as EXAMPLE
from support.machine.installed_plugin import installed_example
from support.runs.run_samples import Samples, camera

REFERENCE = "onnxruntime"
LIMITS: dict[str, Any] = {"n_threads": 1, "min_score": 0.05, "max_detections": 300}


@pytest.fixture(scope="module", autouse=True)
def _example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with installed_example(tmp_path_factory.mktemp("example") / "site"):
        yield


@pytest.fixture(params=[*RUNTIMES.names, EXAMPLE])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def spec(samples: Samples) -> DetectorSpec:
    return describe_onnx(samples.teacher, "yolox")


@pytest.fixture
def detector(runtime: str, samples: Samples, spec: DetectorSpec) -> Detector:
    opened: Detector = RUNTIMES.load(runtime)(samples.teacher.read_bytes(), spec, **LIMITS)
    return opened


@pytest.fixture(scope="module")
def picture() -> ImageArray:
    """Return a frame with objects, which nobody may change."""
    image = camera().frame(60).image_bgr
    image.flags.writeable = False
    return image


def test_is_a_detector_of_the_models_classes(detector: Detector, spec: DetectorSpec) -> None:
    assert isinstance(detector, Detector)
    assert detector.labels == spec.labels
    assert detector.input_size_wh == spec.input_size_wh


def test_finds_what_the_reference_finds(
    detector: Detector, samples: Samples, spec: DetectorSpec, picture: ImageArray
) -> None:
    expected = RUNTIMES.load(REFERENCE)(samples.teacher.read_bytes(), spec, **LIMITS).detect(picture)
    found = detector.detect(picture)
    assert len(expected) > 0
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=0.5)  # pixels; half precision is allowed
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.02)


def test_several_pictures_get_the_answers_of_each(detector: Detector, picture: ImageArray) -> None:
    pictures = [picture, np.ascontiguousarray(picture[:64, :96]), np.zeros((1, 1, 3), np.uint8)]
    assert detector.detect_batch([]) == []
    for together, alone in zip(detector.detect_batch(pictures), map(detector.detect, pictures), strict=True):
        np.testing.assert_allclose(together.boxes_xyxy, alone.boxes_xyxy, atol=0.01)
        np.testing.assert_array_equal(together.class_ids, alone.class_ids)


def test_the_limits_are_kept(runtime: str, samples: Samples, spec: DetectorSpec, picture: ImageArray) -> None:
    strict = RUNTIMES.load(runtime)(
        samples.teacher.read_bytes(), spec, n_threads=None, min_score=0.6, max_detections=2
    ).detect(picture)
    assert len(strict) <= 2
    assert (strict.scores >= 0.6).all()
    assert (np.diff(strict.scores) <= 0).all()


def test_repeatable(detector: Detector, picture: ImageArray) -> None:
    first, again = detector.detect(picture), detector.detect(picture)
    np.testing.assert_array_equal(first.boxes_xyxy, again.boxes_xyxy)
    np.testing.assert_array_equal(first.scores, again.scores)


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_a_damaged_file(runtime: str, spec: DetectorSpec, content: bytes) -> None:
    with pytest.raises(WeightsError):
        RUNTIMES.load(runtime)(content, spec, **LIMITS)
