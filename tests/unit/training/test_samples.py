"""Pictures and labels on the network's canvas."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.core.types import FloatArray, ImageArray, SizeWH
from edge_autotuner.models.catalogue import deim_spec, yolox_spec
from edge_autotuner.models.detector_spec import Resize
from edge_autotuner.models.preprocess import place, prepare_input
from edge_autotuner.models.yolox import CellGrid
from edge_autotuner.training import PreparedSample, TrainingSample, canvas_size, prepare_sample
from support.cameras.coloured_scene import LABELS, sample_of

STILL = AugmentationConfig(flip=0, scale=0, translate=0, brightness=0, contrast=0, saturation=0)
MIRROR = STILL.model_copy(update={"flip": 1.0})


@pytest.mark.parametrize(
    ("frame_wh", "input_wh", "canvas_wh"),
    [
        pytest.param((416, 416), (416, 416), (416, 416), id="the same"),
        pytest.param((640, 480), (416, 416), (416, 320), id="4:3 needs 312 rows"),
        pytest.param((1920, 1080), (416, 416), (416, 256), id="16:9 needs 234 rows"),
        pytest.param((480, 640), (416, 416), (320, 416), id="upright"),
        pytest.param((100, 100), (416, 416), (416, 416), id="enlarged"),
        pytest.param((640, 320), (320, 320), (320, 160), id="exactly five cells of 32"),
        pytest.param((1280, 720), (640, 384), (640, 384), id="wide input"),
        pytest.param((640, 480), (640, 384), (512, 384), id="input wider than the frame"),
        pytest.param((1000, 10), (416, 416), (416, 32), id="a strip"),
        pytest.param((1, 1), (32, 32), (32, 32), id="one pixel"),
    ],
)
def test_the_canvas_leaves_padding_out(frame_wh: SizeWH, input_wh: SizeWH, canvas_wh: SizeWH) -> None:
    assert canvas_size(frame_wh, input_wh) == canvas_wh


@pytest.mark.parametrize("input_wh", [(300, 300), (97, 131), (32, 32)])
@pytest.mark.parametrize("frame_wh", [(640, 480), (1920, 1080), (7, 1000), (301, 299)])
def test_a_stretched_frame_fills_the_input(frame_wh: SizeWH, input_wh: SizeWH) -> None:
    assert canvas_size(frame_wh, input_wh, resize="stretch", step_px=1) == input_wh


def prepared(
    sample: TrainingSample,
    *,
    input_wh: SizeWH = (64, 64),
    augmentation: AugmentationConfig | None = None,
    seed: int = 0,
    image: ImageArray | None = None,
    resize: Resize = "letterbox",
) -> PreparedSample:
    canvas_wh = canvas_size(sample.size_wh, input_wh, resize=resize)
    return prepare_sample(
        sample,
        sample.read_image() if image is None else image,
        canvas_wh=canvas_wh,
        input_size_wh=input_wh,
        centres_xy=centres(canvas_wh),
        augmentation=augmentation,
        rng=np.random.default_rng(seed),
        resize=resize,
    )


def centres(canvas_wh: SizeWH) -> FloatArray:
    return np.asarray(CellGrid.of_input(canvas_wh[1], canvas_wh[0]).centres.numpy())


def smooth_picture(size_wh: SizeWH) -> ImageArray:
    """Return soft blobs: two ways of resizing differ only where the picture is rough."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, size_wh, interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize(
    ("frame_wh", "max_levels"),
    [
        # OpenCV's two ways of resizing round in different places
        pytest.param((128, 96), 2, id="halved"),
        pytest.param((192, 108), 2, id="a third"),
        pytest.param((96, 128), 2, id="upright"),
        pytest.param((64, 64), 0, id="as it is"),
        # 48.32 rows are 48 at run time: the last rows lie a third of a pixel higher
        pytest.param((200, 151), 12, id="no whole number of rows"),
    ],
)
def test_without_changes_the_picture_lies_as_at_run_time(frame_wh: SizeWH, max_levels: int) -> None:
    image, input_wh = smooth_picture(frame_wh), (64, 64)
    box = np.array([[10, 20, 60, 50]], np.float32)
    result = prepared(sample_of(image, boxes_xyxy=box, class_ids=np.array([1])), input_wh=input_wh)
    spec = yolox_spec("m", input_wh, LABELS)
    placement = place(frame_wh, spec)
    at_run_time = prepare_input(image, spec)[0][0]
    width, height = placement.resized_size_wh
    difference = np.abs(result.image[:, :height, :width].astype(float) - at_run_time[:, :height, :width])
    assert difference.max() <= max_levels
    # the run-time size is cut to whole pixels, so the scales differ by less than one pixel over the picture
    assert result.boxes_xyxy == pytest.approx(np.asarray(box) * placement.scale_xyxy, abs=1.0)
    assert result.class_ids.tolist() == [1]


@pytest.mark.parametrize("frame_wh", [(128, 96), (96, 160), (64, 64)], ids=["wide", "high", "as it is"])
def test_a_stretched_picture_lies_as_at_run_time(frame_wh: SizeWH) -> None:
    image, input_wh = smooth_picture(frame_wh), (64, 64)
    box = np.array([[10, 20, 60, 50]], np.float32)
    result = prepared(sample_of(image, boxes_xyxy=box), input_wh=input_wh, resize="stretch")
    spec = deim_spec("m", input_wh, LABELS)
    assert spec.resize == "stretch"
    placement = place(frame_wh, spec)
    at_run_time = cv2.resize(image, input_wh).transpose(2, 0, 1)
    assert np.abs(result.image.astype(float) - at_run_time).max() <= 2  # OpenCV's two ways of resizing
    assert result.boxes_xyxy == pytest.approx(np.asarray(box) * placement.scale_xyxy, abs=1e-3)
    assert result.is_known.all()


def test_a_stretched_picture_is_scaled_and_mirrored_as_a_whole() -> None:
    image = np.zeros((48, 96, 3), np.uint8)
    image[18:30, 30:54] = 255
    sample = sample_of(image, boxes_xyxy=np.array([[30, 18, 54, 30]], np.float32))
    changes = MIRROR.model_copy(update={"scale": 0.3, "translate": 0.1})
    for seed in range(5):
        result = prepared(sample, augmentation=changes, seed=seed, resize="stretch")
        (x1, y1, x2, y2) = result.boxes_xyxy[0]
        assert x2 - x1 == pytest.approx(y2 - y1, rel=1e-4)  # 96 x 48 became square, and 24 x 12 with it
        rows, columns = np.nonzero(result.image[0] > 184)  # between grey padding and white
        seen = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        assert seen == pytest.approx((x1, y1, x2, y2), abs=1.5)


def test_weights_stay_with_their_boxes() -> None:
    boxes = np.array([[-44, 16, 20, 32], [4, 4, 30, 30], [40, 40, 60, 60]], np.float32)  # the first is hardly visible
    plain = sample_of(np.zeros((64, 64, 3), np.uint8), boxes_xyxy=boxes)
    assert prepared(plain).weights.tolist() == [1, 1]
    weighted = replace(plain, weights=np.array([0.1, 0.2, 0.3], np.float32))
    assert prepared(weighted).weights.tolist() == pytest.approx([0.2, 0.3])


def test_what_the_picture_does_not_fill_is_grey_and_known() -> None:
    result = prepared(sample_of(np.zeros((36, 64, 3), np.uint8), looked_xyxy=np.zeros((0, 4), np.float32)))
    assert result.image.shape == (3, 64, 64)
    assert (result.image[:, 37:] == 114).all()
    assert (result.image[:, :35] == 0).all()
    assert (result.is_known == (centres((64, 64))[:, 1] >= 36)).all()


def test_a_mirror_image_of_a_mirror_image_is_the_picture() -> None:
    image = smooth_picture((64, 64))
    sample = sample_of(
        image,
        boxes_xyxy=np.array([[2, 4, 20, 30]], np.float32),
        ignored_xyxy=np.array([[40, 40, 60, 60]], np.float32),
        looked_xyxy=np.array([[0, 0, 48, 64]], np.float32),
    )
    once = prepared(sample, augmentation=MIRROR)
    assert (once.image == image.transpose(2, 0, 1)[:, :, ::-1]).all()
    assert once.boxes_xyxy.tolist() == [[44, 4, 62, 30]]
    mirrored = sample_of(
        np.ascontiguousarray(once.image.transpose(1, 2, 0)),
        boxes_xyxy=once.boxes_xyxy,
        ignored_xyxy=np.array([[4, 40, 24, 60]], np.float32),
        looked_xyxy=np.array([[16, 0, 64, 64]], np.float32),
    )
    twice, plain = prepared(mirrored, augmentation=MIRROR), prepared(sample)
    assert (twice.image == plain.image).all()
    assert (twice.boxes_xyxy == plain.boxes_xyxy).all()
    assert (twice.is_known == plain.is_known).all()


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        pytest.param([-30, 16, 20, 32], [[0, 16, 20, 32]], id="40 % visible: cut and kept"),
        pytest.param([-44, 16, 20, 32], [], id="31 % visible"),
        pytest.param([70, 16, 90, 32], [], id="outside"),
        pytest.param([16, 16, 17.5, 32], [], id="thinner than two pixels"),
        pytest.param([16, 16, 16, 16], [], id="a point"),
    ],
)
def test_boxes_that_leave_the_picture_become_unknown(box: list[float], kept: list[list[float]]) -> None:
    result = prepared(sample_of(np.zeros((64, 64, 3), np.uint8), boxes_xyxy=np.array([box], np.float32)))
    assert result.boxes_xyxy.tolist() == kept
    assert len(result.class_ids) == len(kept)
    xy = centres((64, 64))
    inside = (xy >= box[:2]).all(axis=1) & (xy < box[2:]).all(axis=1)
    assert result.is_known[inside].all() == (bool(kept) or not inside.any())
    assert result.is_known[~inside].all()


def test_uncertain_boxes_and_unlooked_places_are_unknown() -> None:
    sample = sample_of(
        np.zeros((64, 64, 3), np.uint8),
        ignored_xyxy=np.array([[0, 0, 16, 16]], np.float32),
        looked_xyxy=np.array([[0, 0, 64, 32], [0, 32, 16, 48]], np.float32),
    )
    known = prepared(sample).is_known[:64].reshape(8, 8).astype(int)  # stride 8
    expected = np.zeros((8, 8), int)
    expected[:4], expected[4:6, :2], expected[:2, :2] = 1, 1, 0
    assert known.tolist() == expected.tolist()


def test_a_sample_without_any_labels() -> None:
    result = prepared(sample_of(np.zeros((64, 64, 3), np.uint8)), augmentation=AugmentationConfig())
    assert (result.boxes_xyxy.shape, result.class_ids.shape) == ((0, 4), (0,))


def test_a_shrunk_copy_of_the_picture_lies_in_the_same_place() -> None:
    image = smooth_picture((256, 192))
    sample = sample_of(image, boxes_xyxy=np.array([[64, 48, 128, 96]], np.float32))
    small = np.asarray(cv2.resize(image, (128, 96), interpolation=cv2.INTER_AREA), np.uint8)
    full, shrunk = prepared(sample), prepared(sample, image=small)
    assert full.boxes_xyxy.tolist() == shrunk.boxes_xyxy.tolist() == [[16, 12, 32, 24]]
    difference = np.abs(full.image[:, :48].astype(float) - shrunk.image[:, :48])
    assert difference.max() <= 8  # area averages against single pixels
    assert difference.mean() < 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, (60, 120, 180), id="none"),
        pytest.param({"noise": 30.0}, None, id="noise"),
        pytest.param({"brightness": 0.3}, None, id="brightness"),
        pytest.param({"saturation": 0.3}, None, id="saturation"),
    ],
)
def test_light_changes_colours_and_not_labels(changes: dict[str, float], expected: tuple[int, ...] | None) -> None:
    image = np.full((64, 64, 3), (60, 120, 180), np.uint8)
    sample = sample_of(image, boxes_xyxy=np.array([[2, 4, 20, 30]], np.float32))
    result = prepared(sample, augmentation=STILL.model_copy(update=changes), seed=1)
    colour = result.image.reshape(3, -1).mean(axis=1)
    if expected:
        assert colour.tolist() == list(expected)
    else:
        assert (result.image != image.transpose(2, 0, 1)).any()
        assert np.abs(colour - (60, 120, 180)).max() < 0.31 * 180
    assert result.boxes_xyxy.tolist() == [[2, 4, 20, 30]]
    assert (image == (60, 120, 180)).all()


def test_contrast_keeps_the_mean() -> None:
    image = np.full((64, 64, 3), 80, np.uint8)
    image[:, 32:] = 120
    result = prepared(sample_of(image), augmentation=STILL.model_copy(update={"contrast": 0.5}), seed=0)
    dark, bright = (float(v) for v in (result.image[:, :, 0].mean(), result.image[:, :, 63].mean()))
    assert (dark + bright) / 2 == pytest.approx(100, abs=1)
    assert abs(bright - dark - 40) > 5
