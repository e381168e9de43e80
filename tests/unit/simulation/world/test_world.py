"""The simulated world: the same pixels always, exact truth, any frame at once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_autotuner.core import STREET_6
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import ConfigError
from edge_autotuner.simulation.world import SCENE_TYPES, SceneType, SimulatedWorld, Steady, WorldConditions
from edge_autotuner.simulation.world.layouts import make_layout
from edge_autotuner.simulation.world.lens import Lens
from edge_autotuner.simulation.world.motion_blur import blurred_sprite
from edge_autotuner.simulation.world.night import has_lamps
from edge_autotuner.simulation.world.people import Body, draw_person
from edge_autotuner.simulation.world.sprite import View, scale_number
from edge_autotuner.simulation.world.traffic import NO_CLASS, Demand, Traffic

SMALL: SizeWH = (320, 184)
STORM = WorldConditions(
    daylight=9, rain=20, fog=6, snow=12, season="winter", dirt=16, noise=8, n_dead_pixels=9, defocus=2, shake_px=3,
    compression=2, turn=(150, -50), demand=Demand(2.0, {"bus": 0.3}, has_works=True),
)  # fmt: skip
INFRARED = WorldConditions(daylight=0, has_infrared=True, overcast=32)
NIGHT = WorldConditions(daylight=1, season="autumn", season_before="summer", season_step=20)

GOLDEN = {
    "street": "0ceab8a581b0a17994d29601c42082fa8bf7948287f8af70fdb2773da2d68b9d",
    "parking": "00d44abb478340d4420ef078eac5f3fb320ad786d5ef0db81f378be459db6c20",
    "campus": "dc4e419e0f9e6698a8d944c9cd9377a8fd54f0ad86362b777b2a23667a15f3b0",
    "motorway": "44aaccff167b48cca41c195c9bb7e78d65c252d8d523c24858982bef83ab1673",
}
"""SHA-256 of four frames: by day, in a storm, in infrared light and at night while the season changes.

Made on x86-64 with OpenCV 5.0. They rely on IEEE doubles with + - * / and sqrt, NumPy's Philox and whole numbers, and
OpenCV's integer polygon filling, bit-exact interpolation, tables and saturated sums.
"""


def small_world(scene: SceneType = "street", conditions: WorldConditions | None = None, **more: int) -> SimulatedWorld:
    schedule = None if conditions is None else Steady(conditions)
    return SimulatedWorld(scene, size_wh=SMALL, n_frames=100_000_000, schedule=schedule, **more)


def digest_of(scene: SceneType) -> str:
    digest = hashlib.sha256()
    for conditions, index in ((WorldConditions(), 431), (STORM, 77_777_777), (INFRARED, 3), (NIGHT, 600)):
        digest.update(small_world(scene, conditions, camera=2, seed=5).image(index).tobytes())
    return digest.hexdigest()


needs_opencv_5 = pytest.mark.skipif(not cv2.__version__.startswith("5."), reason="the hashes were made with OpenCV 5")


@needs_opencv_5
@pytest.mark.parametrize("scene", SCENE_TYPES)
def test_pixels_are_those_that_were_stored(scene: SceneType) -> None:
    assert digest_of(scene) == GOLDEN[scene]


ON_A_PLAIN_PROCESSOR = """
import runpy, sys
names = runpy.run_path(sys.argv[1])
print(" ".join(names["digest_of"](scene) for scene in sys.argv[2:]))
"""


@needs_opencv_5
def test_pixels_do_not_depend_on_the_instructions_of_the_processor() -> None:
    """OpenCV without AVX, FMA and IPP, NumPy without AVX2 and AVX-512: as an old processor has them."""
    environment = {
        **os.environ,
        "OPENCV_CPU_DISABLE": "AVX512-SKX,AVX512-ICL,AVX2,FMA3,AVX,SSE4.2,SSE4.1,FP16",
        "OPENCV_IPP": "disabled",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512F AVX2 FMA3",
    }
    scenes = ("street", "motorway")
    command = [sys.executable, "-W", "ignore", "-c", ON_A_PLAIN_PROCESSOR, __file__, *scenes]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "unknown CPU feature" not in done.stderr
    assert done.stdout.split() == [GOLDEN[scene] for scene in scenes]


def test_defocus_does_not_move_the_picture_away_from_its_truth() -> None:
    size_wh = 96, 96
    for defocus in range(7):
        dot = np.zeros((96, 96, 3), np.uint8)
        dot[40:56, 40:56] = 240
        seen = Lens(size_wh, 0).expose(dot, WorldConditions(noise=0, compression=0, defocus=defocus), 0)[..., 0]
        middle = [np.average(np.arange(96) - 47.5, weights=seen.sum(axis).astype(float)) for axis in (0, 1)]
        assert np.abs(middle).max() <= 1.05


def test_frames_in_which_all_objects_stand_outside_are_drawn() -> None:
    quiet = WorldConditions(demand=Demand(0.02))
    for camera in range(4):
        world = small_world("street", quiet, camera=camera)
        for index in range(0, 4000, 40):
            world.image(index)


def test_any_frame_can_be_asked_for_at_once() -> None:
    in_order, reverse = small_world("campus"), small_world("campus")
    pictures = {index: in_order.image(index) for index in (200, 201, 230, 9_000_000)}
    for index in sorted(pictures, reverse=True):
        assert np.array_equal(reverse.image(index), pictures[index])
    frame = reverse.frame(201)
    assert (frame.index, frame.time_s, frame.size_wh) == (201, 20.1, SMALL)
    assert np.array_equal(frame.image_bgr, pictures[201])


def test_it_gets_darker_and_noisier_towards_the_night() -> None:
    empty = Demand(0.0)
    day, dusk, night = (
        [
            small_world("street", WorldConditions(daylight=step, demand=empty), camera=1).image(n).astype(int)
            for n in (0, 1)
        ]
        for step in (32, 9, 2)
    )
    assert day[0].mean() > 1.4 * dusk[0].mean() > 1.4 * 1.4 * night[0].mean() > 20
    noise = [np.abs(one[0] - one[1]).mean() for one in (day, dusk, night)]
    assert noise[0] < noise[1] < noise[2]
    colour = [np.ptp(one[0], axis=2).mean() for one in (day, dusk, night)]
    assert colour[0] > colour[1] > colour[2] > 0


def test_lamps_light_the_road_and_what_moves_is_blurred_at_night() -> None:
    light = WorldConditions(daylight=0, noise=0, compression=0)
    busy, empty = (small_world("motorway", replace(light, demand=Demand(n))).image(600).astype(int) for n in (1.0, 0.0))
    assert (busy - empty).max() > 150  # glare
    things = list(Traffic(make_layout("parking", 1, SMALL), 1, lambda _s: Demand()).things_at(50.0))
    parked = [one for one in things if one.is_parked]
    assert parked
    assert not any(has_lamps(one) for one in parked)
    sprite = draw_person(Body.number(3), "walk", 4, View(16, 3, scale_number(40.0)))
    blurred = blurred_sprite(sprite, (9, -4))
    high, wide = sprite.clear.shape[:2]
    assert blurred.clear.shape == (high + 4, wide + 9, 3)
    assert blurred.clear.min() >= sprite.clear.min()
    opaque, before = (int((128 - one.clear.astype(int)).sum()) for one in (blurred, sprite))
    assert 0.97 * before < opaque <= before  # rounded down
    assert blurred_sprite(sprite, (1, 0)).anchor[0] - sprite.anchor[0] in (0, 1)


def test_a_season_comes_step_by_step() -> None:
    def ground(step: int) -> np.ndarray:
        turning = WorldConditions(season="winter", season_before="summer", season_step=step, noise=0, compression=0)
        return small_world("campus", replace(turning, demand=Demand(0.0))).image(0).astype(int)

    summer, winter = (small_world("campus", WorldConditions(season=season, noise=0, compression=0, demand=Demand(0.0)))
                      .image(0).astype(int) for season in ("summer", "winter"))  # fmt: skip
    assert np.array_equal(ground(0), summer)
    assert np.array_equal(ground(32), winter)
    away = [np.abs(ground(step) - summer).mean() for step in (0, 8, 16, 24, 32)]
    assert away == sorted(away)
    assert away[2] > 0.25 * away[4]


@pytest.mark.parametrize("change", [{"seed": 1}, {"camera": 1}])
def test_another_seed_and_another_camera_are_other_videos(change: dict[str, int]) -> None:
    plain, other = small_world(), small_world(**change)
    assert plain.info.sha256 != other.info.sha256
    assert not np.array_equal(plain.image(50), other.image(50))


def test_a_camera_keeps_its_place_when_the_seed_changes() -> None:
    difference = np.abs(small_world(seed=1).image(0).astype(int) - small_world(seed=2).image(0))
    assert np.median(difference) < 6  # noise only, but where somebody is


@pytest.mark.parametrize("scene", SCENE_TYPES)
def test_truth_fits_the_masks_and_the_picture(scene: SceneType) -> None:
    world = small_world(scene)
    truth = world.truth(600)
    objects = truth.objects()
    assert objects
    for one in objects:
        rows, columns = np.nonzero(truth.mask(one.track_id))
        x1, y1, x2, y2 = one.box_xyxy
        assert 0 <= x1 <= columns.min() <= columns.max() < x2 <= SMALL[0]
        assert 0 <= y1 <= rows.min() <= rows.max() < y2 <= SMALL[1]
        assert 0.25 <= one.visible <= 1
        if one.visible == 1:
            assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == one.box_xyxy
    found = truth.detections()
    assert found.boxes_xyxy.tolist() == [list(map(float, one.box_xyxy)) for one in objects]
    assert all(0 <= class_id < len(STREET_6) for class_id in found.class_ids)


def test_objects_are_painted_where_the_truth_says() -> None:
    """Two worlds that differ in demand only: pixels differ inside the boxes, their shadows and nowhere else."""
    busy = small_world("motorway", WorldConditions(noise=0, compression=0, overcast=32))
    empty = small_world("motorway", WorldConditions(noise=0, compression=0, overcast=32, demand=Demand(0.0)))
    assert empty.truth(600).objects() == []
    changed = (busy.image(600) != empty.image(600)).any(axis=2)
    truth = busy.truth(600)
    solid = truth.owners >= 0
    assert changed[solid].mean() > 0.97
    around = np.zeros_like(solid)
    for one in truth.objects(min_visible=0.0):
        x1, y1, x2, y2 = one.box_xyxy
        around[max(0, y1 - 4) : y2 + 4, max(0, x1 - 4) : x2 + 4] = True
    assert changed[~around].mean() < 0.002


def test_tracks_move_smoothly() -> None:
    world = small_world("street")
    seen: dict[int, tuple[int, ...]] = {}
    n_followed = 0
    for index in range(300, 340):
        now = {one.track_id: one.box_xyxy for one in world.truth(index).objects(0.9)}
        for track_id in now.keys() & seen.keys():
            steps = np.abs(np.subtract(now[track_id], seen[track_id]))
            assert steps.max() < 0.2 * SMALL[0]
            n_followed += 1
        seen = now
    assert n_followed > 40


def test_joints_lie_in_the_box_and_hide_behind_cars() -> None:
    world = small_world("street")
    n_seen = n_hidden = 0
    for index in range(100, 900, 40):
        truth = world.truth(index)
        for one in truth.objects(min_visible=0.3):
            assert (one.joints is None) == (one.class_id != STREET_6.id_of("person"))
            if one.joints is None:
                continue
            inside = one.joints[one.joints[:, 2] > 0]
            x1, y1, x2, y2 = one.box_xyxy
            assert ((inside[:, :2] >= (x1 - 1.5, y1 - 1.5)) & (inside[:, :2] <= (x2 + 1.5, y2 + 1.5))).all()
            n_seen += int((one.joints[:, 2] == 2).sum())
            n_hidden += int((one.joints[:, 2] == 1).sum())
    assert n_seen > n_hidden > 0  # from behind, a face is hidden


def test_rare_classes_are_as_rare_as_asked() -> None:
    traffic = Traffic(make_layout("motorway", 0, SMALL), 1, lambda _time_s: Demand(1.0, {"bus": 0.02}))
    kinds = {thing.track_id: thing.class_id for time_s in range(0, 9000, 15) for thing in traffic.things_at(time_s)}
    vehicles = [class_id for class_id in kinds.values() if class_id != STREET_6.id_of("person")]
    assert len(vehicles) > 5000
    assert vehicles.count(STREET_6.id_of("bus")) / len(vehicles) == pytest.approx(0.02, abs=0.008)


def seen_kinds(scene: SceneType, shares: dict[str, float]) -> set[str]:
    world = small_world(scene, WorldConditions(demand=Demand(2.0, shares)), camera=1)
    truths = [world.truth(index) for index in range(300, 1500, 150)]
    assert all(one.class_id == NO_CLASS and one.joints is None for truth in truths for one in truth.strangers())
    assert all(0 <= one.class_id < len(STREET_6) for truth in truths for one in truth.objects(0.0))
    return {one.kind for truth in truths for one in (*truth.objects(0.0), *truth.strangers(0.0))}


def test_any_kind_can_be_new() -> None:
    """A script sets the share of a new kind to 0 before it comes."""
    assert "person" not in seen_kinds("motorway", {"person": 0.0, "motorcycle": 0.0})
    assert {"person", "dog", "car"} <= seen_kinds("motorway", {"person": 1.0, "dog": 1.0, "motorcycle": 0.0})
    assert seen_kinds("campus", {"person": 0.0, "bicycle": 0.0}) <= {"car", "bus", "truck"}
    assert {"person", "bicycle", "dog", "pushchair"} <= seen_kinds("campus", {"dog": 1.0, "pushchair": 1.0})
    assert "dog" not in seen_kinds("campus", {"dog": 0.0})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SimulatedWorld("street", size_wh=(641, 360)), "got 641x360"),
        (lambda: SimulatedWorld("street", size_wh=(64, 64)), "sides of 96 to 3840"),
        (lambda: SimulatedWorld("street", n_frames=0), "at least one frame"),
        (lambda: SimulatedWorld("harbour"), "no scene type 'harbour'"),  # type: ignore[arg-type]
    ],
    ids=["odd", "small", "empty", "scene"],
)
def test_what_cannot_be_is_refused(make: Callable[[], SimulatedWorld], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
    with pytest.raises(ValueError, match=r"frame index must be in 0\.\.599"):
        SimulatedWorld("street").image(600)


def test_memory_does_not_grow_with_time() -> None:
    world = small_world("motorway")
    for index in range(0, 3000, 150):
        world.image(index)
    assert world.n_cached_bytes < 64_000_000
