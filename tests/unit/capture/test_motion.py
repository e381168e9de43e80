"""The motion gate on pictures with known changes."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture import MotionGate
from edge_autotuner.capture.motion import PRESETS, change_threshold
from edge_autotuner.config import BackgroundConfig, MotionConfig
from edge_autotuner.core import Frame
from edge_autotuner.core.types import ImageArray
from support.cameras.capture_samples import frame_of, scene_with_square

FIRST = BackgroundConfig(method="first")
PLAIN = MotionConfig(min_region_px=1, padding_fraction=0.0)


def _flat(level: int = 100, size_wh: tuple[int, int] = (160, 120)) -> ImageArray:
    return np.full((size_wh[1], size_wh[0]), level, np.uint8)


def _with_box(luma: ImageArray, box_xyxy: tuple[int, int, int, int], level: int) -> ImageArray:
    changed = luma.copy()
    changed[box_xyxy[1] : box_xyxy[3], box_xyxy[0] : box_xyxy[2]] = level
    return changed


def _gate_after(luma: ImageArray, motion: MotionConfig = PLAIN) -> MotionGate:
    """Return a gate whose background is this picture."""
    gate = MotionGate(motion, FIRST)
    gate.look(frame_of(luma, 0))
    return gate


def test_first_frame_has_no_background() -> None:
    gate = MotionGate(PLAIN, FIRST)
    result = gate.look(frame_of(_flat(), 0))
    assert not result.background_known
    assert not result.has_motion
    assert result.regions_xyxy.shape == (0, 4)
    np.testing.assert_array_equal(gate.look(frame_of(_flat(), 1)).background, _flat())


def test_empty_scene_has_nothing_new() -> None:
    result = _gate_after(_flat()).look(frame_of(_flat(), 1))
    assert result.background_known
    assert result.motion_fraction == 0.0
    assert not result.mask.any()


@pytest.mark.parametrize("method", ["median", "mog2", "first"])
def test_sensor_noise_is_no_motion_at_medium(method: str) -> None:
    gate = MotionGate(MotionConfig(), BackgroundConfig.model_validate({"method": method}))
    results = [gate.look(scene_with_square(index, None, noise=5.0)) for index in range(80)]
    assert results[-1].background_known
    assert not any(result.has_motion for result in results)


def test_region_encloses_the_object_closely() -> None:
    luma = _flat()
    result = _gate_after(luma).look(frame_of(_with_box(luma, (50, 40, 80, 70), 200), 1))
    ((x1, y1, x2, y2),) = result.regions_xyxy.tolist()
    assert 42 <= x1 <= 50
    assert 32 <= y1 <= 40
    assert 80 <= x2 <= 88
    assert 70 <= y2 <= 78
    assert result.motion_fraction == (x2 - x1) * (y2 - y1) / (160 * 120)
    assert result.mask[40:70, 50:80].all()


def test_regions_are_in_frame_pixels_when_the_frame_is_shrunk() -> None:
    luma = _flat(size_wh=(1280, 720))
    result = _gate_after(luma).look(frame_of(_with_box(luma, (640, 360, 800, 460), 200), 1))
    assert result.mask.shape == (270, 480)
    ((x1, y1, x2, y2),) = result.regions_xyxy.tolist()
    assert 615 <= x1 <= 640
    assert 335 <= y1 <= 360
    assert 800 <= x2 <= 825
    assert 460 <= y2 <= 485


@pytest.mark.parametrize(
    ("difference", "seen_by"),
    [(60, {"low", "medium", "high"}), (20, {"medium", "high"}), (12, {"high"}), (6, set())],
)
def test_sensitivity_sets_the_threshold(difference: int, seen_by: set[str]) -> None:
    luma = _flat()
    changed = frame_of(_with_box(luma, (50, 40, 90, 80), 100 + difference), 1)
    seen = {
        name
        for name in PRESETS
        if _gate_after(luma, MotionConfig.model_validate({"sensitivity": name})).look(changed).has_motion
    }
    assert seen == seen_by


@pytest.mark.parametrize(
    ("motion", "threshold"),
    [
        (MotionConfig(), PRESETS["medium"].threshold),
        (MotionConfig(sensitivity="low"), PRESETS["low"].threshold),
        (MotionConfig(threshold=9), 9),
    ],
)
def test_threshold(motion: MotionConfig, threshold: int) -> None:
    assert change_threshold(motion) == threshold


def test_difference_equal_to_the_threshold_counts() -> None:
    luma = _flat()
    for level, expected in ((119, False), (120, True)):
        gate = _gate_after(luma, MotionConfig(threshold=20))
        assert gate.look(frame_of(_with_box(luma, (40, 40, 80, 80), level), 1)).has_motion is expected


@pytest.mark.parametrize(("min_area_px", "expected"), [(800, True), (1100, False)])
def test_minimum_area_is_in_frame_pixels_and_before_growing(min_area_px: float, expected: bool) -> None:
    luma = _flat(size_wh=(960, 720))  # shrunk by two
    gate = _gate_after(luma, MotionConfig(min_area_px=min_area_px, blur_px=1, dilate_px=21))
    result = gate.look(frame_of(_with_box(luma, (400, 400, 432, 432), 250), 1))  # 1024 pixels
    assert result.has_motion is expected
    assert result.mask.any() == expected


def test_merging() -> None:
    luma = _flat()
    two = frame_of(_with_box(_with_box(luma, (10, 10, 30, 30), 200), (110, 80, 140, 110), 200), 1)
    counts = {
        how: len(
            _gate_after(luma, MotionConfig.model_validate({"merge": how, "min_region_px": 1})).look(two).regions_xyxy
        )
        for how in ("none", "overlapping", "all")
    }
    assert counts == {"none": 2, "overlapping": 2, "all": 1}
    grown = MotionConfig(min_region_px=100)
    assert len(_gate_after(luma, grown).look(two).regions_xyxy) == 1
    apart = _gate_after(luma, MotionConfig(min_region_px=100, merge="none")).look(two)
    assert len(apart.regions_xyxy) == 2
    assert apart.motion_fraction <= 1.0


def test_dilation_joins_what_is_close() -> None:
    luma = _flat()
    stripes = frame_of(_with_box(_with_box(luma, (40, 40, 60, 70), 200), (66, 40, 86, 70), 200), 1)
    apart = MotionConfig(dilate_px=0, blur_px=1, merge="none")
    joined = MotionConfig(dilate_px=9, blur_px=1, merge="none")
    assert len(_gate_after(luma, apart).look(stripes).regions_xyxy) == 2
    assert len(_gate_after(luma, joined).look(stripes).regions_xyxy) == 1


def test_reset_timer_forgets_the_background() -> None:
    gate = MotionGate(PLAIN, BackgroundConfig(method="first", reset_every_s=1.0))
    known = [gate.look(scene_with_square(index, None)).background_known for index in range(25)]
    assert [index for index, is_known in enumerate(known) if not is_known] == [0, 10, 20]


def test_reset_absorbs_what_stands_still() -> None:
    gate = MotionGate(PLAIN, BackgroundConfig(method="first", reset_every_s=2.0))
    results = [gate.look(scene_with_square(index, None if index < 5 else 60)) for index in range(30)]
    assert all(result.has_motion for result in results[6:20])  # a change must last for two frames
    assert not any(result.has_motion for result in results[20:])


def test_median_background_does_not_contain_the_passing_square() -> None:
    gate = MotionGate(PLAIN, BackgroundConfig(n_frames=9, every_k_frames=2))
    results = [gate.look(scene_with_square(index, 4 * index)) for index in range(30)]
    for index, result in enumerate(results):
        if index >= 18:
            ((x1, y1, x2, y2),) = result.regions_xyxy.tolist()
            assert x1 <= 4 * index
            assert min(160, 4 * index + 24) <= x2
            assert y1 <= 50
            assert y2 >= 74


def test_same_frames_same_answers_and_inputs_unchanged() -> None:
    frames = [scene_with_square(index, 4 * index) for index in range(30)]
    copies = [frame.luma.copy() for frame in frames]

    def regions(sequence: list[Frame]) -> list[list[list[float]]]:
        gate = MotionGate(MotionConfig(), BackgroundConfig())
        return [gate.look(frame).regions_xyxy.tolist() for frame in sequence]

    assert regions(frames) == regions(frames)
    np.testing.assert_array_equal([frame.luma for frame in frames], copies)


def test_a_change_of_one_frame_is_no_motion() -> None:
    luma, box = _flat(), (50, 40, 80, 70)
    for persistence_frames, expected in ((1, [True, False]), (2, [False, False])):
        gate = MotionGate(MotionConfig(persistence_frames=persistence_frames), FIRST)
        for index in range(2):
            gate.look(frame_of(luma, index))
        seen = [gate.look(frame_of(picture, 2 + i)) for i, picture in enumerate((_with_box(luma, box, 200), luma))]
        assert [result.has_motion for result in seen] == expected


def test_pictures_without_continuity_need_no_persistence() -> None:
    gate = MotionGate(MotionConfig(persistence_frames=5), FIRST)
    luma = _flat()
    gate.look(frame_of(luma, 0, rate_hz=1.0))
    gate.look(frame_of(luma, 1, rate_hz=1.0))
    assert gate.look(frame_of(_with_box(luma, (50, 40, 80, 70), 200), 2, rate_hz=1.0)).has_motion


LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))


@pytest.mark.parametrize(
    ("zones", "seen"),
    [
        pytest.param({}, ["left", "right"], id="everywhere"),
        pytest.param({"ignore": [LEFT_HALF]}, ["right"], id="ignored"),
        pytest.param({"watch": [LEFT_HALF]}, ["left"], id="watched"),
        pytest.param({"watch": [LEFT_HALF], "ignore": [LEFT_HALF]}, [], id="ignoring wins"),
    ],
)
@pytest.mark.parametrize("size_wh", [(160, 120), (1280, 720)], ids=["small", "shrunk"])
def test_zones(zones: dict[str, object], seen: list[str], size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    luma = _flat(size_wh=size_wh)
    changed = luma
    for left in (width // 8, width * 5 // 8):
        changed = _with_box(changed, (left, height // 4, left + width // 8, height // 2), 200)
    motion = MotionConfig.model_validate({"min_region_px": 1, "padding_fraction": 0, **zones})
    regions = _gate_after(luma, motion).look(frame_of(changed, 1)).regions_xyxy
    assert ["left" if x1 < width / 2 else "right" for x1 in regions[:, 0]] == seen


def test_another_size_starts_anew_and_goes_on() -> None:
    gate = MotionGate(MotionConfig(), BackgroundConfig(n_frames=5, every_k_frames=1))
    small, large = _flat(size_wh=(160, 120)), _flat(60, size_wh=(320, 240))
    for index in range(10):
        assert not gate.look(frame_of(small, index)).has_motion
    assert not gate.look(frame_of(large, 10)).background_known
    for index in range(11, 20):
        gate.look(frame_of(large, index))
    changed = frame_of(_with_box(large, (100, 80, 160, 140), 220), 20)
    gate.look(changed)
    result = gate.look(frame_of(changed.luma, 21))
    assert result.mask.shape == (240, 320)
    ((x1, y1, x2, y2),) = result.regions_xyxy.tolist()
    assert x1 <= 100 < 160 <= x2
    assert y1 <= 80 < 140 <= y2


def test_a_place_that_always_flickers_is_learnt_and_a_car_there_is_still_seen() -> None:
    """A tree for a minute, then something large and dark before it."""
    rng = np.random.default_rng(0)
    motion = MotionConfig(noise_factor=30, persistence_frames=1)
    gate, blind = MotionGate(motion, FIRST), MotionGate(motion.model_copy(update={"noise_factor": 0.0}), FIRST)

    def tree(index: int) -> ImageArray:
        luma = _flat(120)
        luma[20:80, 20:80] = 120 + np.kron(rng.choice([-80, 80], (20, 20)), np.ones((3, 3), int))
        return luma

    n_frames = 700
    seen = [
        (gate.look(frame_of(luma, i)), blind.look(frame_of(luma, i))) for i in range(n_frames) for luma in [tree(i)]
    ]
    late = seen[-50:]
    assert sum(result.has_motion for result, _ in late) < 0.5 * sum(result.has_motion for _, result in late)
    car = _with_box(_flat(120), (100, 20, 150, 60), 20)
    assert gate.look(frame_of(car, n_frames)).has_motion


def test_more_places_than_can_be_sorted_out_are_one_region() -> None:
    luma = _flat()
    spots = luma.copy()
    for top in range(5, 120, 10):
        for left in range(5, 160, 10):
            spots[top : top + 4, left : left + 4] = 200  # 192 of them
    motion = MotionConfig(min_region_px=1, padding_fraction=0.0, blur_px=1, dilate_px=0, merge="none")
    assert _gate_after(luma, motion).look(frame_of(spots, 1)).regions_xyxy.tolist() == [[5, 5, 159, 119]]
    few = luma.copy()
    few[:60] = spots[:60]  # 96
    assert len(_gate_after(luma, motion).look(frame_of(few, 1)).regions_xyxy) == 96


def test_exposure_that_changes_is_no_motion() -> None:
    gate = MotionGate(MotionConfig(), FIRST)
    scene = scene_with_square(0, None)
    gate.look(scene)
    for index in range(1, 10):
        brighter = frame_of(np.clip(scene.luma.astype(int) + 5 * index, 0, 255).astype(np.uint8), index)
        assert not gate.look(brighter).has_motion


def test_later_frames_leave_earlier_results_alone() -> None:
    gate = MotionGate(MotionConfig(), BackgroundConfig(n_frames=5, every_k_frames=1))
    results = [gate.look(scene_with_square(index, 4 * index)) for index in range(20)]
    kept = results[-1]
    assert kept.has_motion
    assert kept.background is not None
    before = [part.copy() for part in (kept.mask, kept.blurred_luma, kept.background)]
    for index in range(20, 40):
        gate.look(scene_with_square(index, 4 * index, grey=20))
    for part, copy in zip((kept.mask, kept.blurred_luma, kept.background), before, strict=True):
        np.testing.assert_array_equal(part, copy)


def test_another_frame_size_with_the_same_working_size_goes_on() -> None:
    gate = MotionGate(MotionConfig(working_width_px=80, padding_fraction=0.0, min_region_px=1), FIRST)
    gate.look(frame_of(_flat(size_wh=(160, 120)), 0))
    for index in (1, 2):
        result = gate.look(frame_of(_with_box(_flat(size_wh=(320, 240)), (100, 80, 160, 140), 200), index))
    ((x1, y1, x2, y2),) = result.regions_xyxy.tolist()
    assert 80 <= x1 <= 100 < 160 <= x2 <= 180
    assert 60 <= y1 <= 80 < 140 <= y2 <= 160
