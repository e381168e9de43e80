"""Every background model, the same expectations, alone and in the hands of the keeper."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from edge_autotuner.capture.background import BackgroundKeeper, make_background
from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core import BackgroundModel
from edge_autotuner.core.plugins import BACKGROUNDS
from edge_autotuner.core.types import ImageArray
from support.cameras.capture_samples import frame_of
from support.machine.installed_plugin import NAME as EXAMPLE
from support.machine.installed_plugin import installed_example

N_FRAMES = 120
SCENE = (60 + np.arange(48 * 64).reshape(48, 64) % 97).astype(np.uint8)


@pytest.fixture(scope="module", autouse=True)
def _example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with installed_example(tmp_path_factory.mktemp("example") / "site"):
        yield


@pytest.fixture(params=[*BACKGROUNDS.names, EXAMPLE])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(method: str) -> BackgroundModel:
    return _new(method)


@pytest.fixture
def keeper(method: str) -> BackgroundKeeper:
    return BackgroundKeeper(BackgroundConfig.model_validate({"method": method, "every_k_frames": 2}))


def _new(name: str) -> BackgroundModel:
    return make_background(BackgroundConfig.model_validate({"method": name}))


def _frames(*, with_object: bool, seed: int = 0, noise: float = 2.0) -> list[ImageArray]:
    """Return noisy pictures of the scene; the object passes from the third frame on."""
    rng = np.random.default_rng(seed)
    frames = []
    for index in range(N_FRAMES):
        image = SCENE + rng.normal(0, noise, SCENE.shape)
        if with_object and index >= 3:
            left = (index - 3) * 2
            image[20:30, left : left + 8] = 240
        frames.append(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    return frames


def _after(model: BackgroundModel, frames: list[ImageArray]) -> list[ImageArray | None]:
    seen: list[ImageArray | None] = []
    for frame in frames:
        model.update(frame)
        seen.append(None if model.background is None else model.background.copy())
    return seen


def test_is_a_background_model(model: BackgroundModel) -> None:
    assert isinstance(model, BackgroundModel)


def test_unknown_at_the_start(model: BackgroundModel) -> None:
    assert model.background is None


def test_known_after_a_few_frames_and_stays_known(model: BackgroundModel) -> None:
    known = [background is not None for background in _after(model, _frames(with_object=False))]
    assert all(known[15:])


def test_shape_and_type(model: BackgroundModel) -> None:
    background = _after(model, _frames(with_object=False))[-1]
    assert background is not None
    assert background.shape == SCENE.shape
    assert background.dtype == np.uint8


def test_converges_to_a_still_scene(model: BackgroundModel) -> None:
    background = _after(model, _frames(with_object=False))[-1]
    assert background is not None
    assert np.abs(background.astype(int) - SCENE).mean() < 2.5


def test_ignores_a_passing_object(model: BackgroundModel) -> None:
    for background in _after(model, _frames(with_object=True))[40:]:
        assert background is not None
        assert int(background[20:30].max()) < 200


def test_input_is_neither_kept_nor_changed(model: BackgroundModel) -> None:
    frame = SCENE.copy()
    for _ in range(20):
        model.update(frame)
        np.testing.assert_array_equal(frame, SCENE)
        frame[:] = 0  # whoever kept the array now sees black
        frame = SCENE.copy()
    assert model.background is not None
    np.testing.assert_allclose(model.background.astype(int), SCENE, atol=1)


def test_read_only_and_strided_input(model: BackgroundModel) -> None:
    padded = np.zeros((48, 96), np.uint8)
    padded[:, :64] = SCENE
    view = padded[:, :64]
    view.flags.writeable = False
    for _ in range(20):
        model.update(view)
    assert model.background is not None
    np.testing.assert_allclose(model.background.astype(int), SCENE, atol=1)


def test_reset_equals_new(model: BackgroundModel) -> None:
    frames = _frames(with_object=True)
    first = _after(model, frames)
    model.reset()
    assert model.background is None
    _require_same(_after(model, frames), first)


def test_deterministic(method: str) -> None:
    frames = _frames(with_object=True)
    _require_same(_after(_new(method), frames), _after(_new(method), frames))


def test_constant_scene_gives_a_constant_background(model: BackgroundModel) -> None:
    for background in _after(model, [SCENE] * 100):
        if background is not None:
            np.testing.assert_array_equal(background, SCENE)


def test_given_out_backgrounds_never_change(model: BackgroundModel) -> None:
    given_out: list[tuple[ImageArray, ImageArray]] = []
    for frame in _frames(with_object=True):
        model.update(frame)
        if model.background is not None:
            given_out.append((model.background, model.background.copy()))
    for background, as_it_was in given_out:
        np.testing.assert_array_equal(background, as_it_was)


def test_asking_often_or_never_makes_no_difference(model: BackgroundModel) -> None:
    asked = _after(model, _frames(with_object=True))[-1]
    model.reset()
    for frame in _frames(with_object=True):
        model.update(frame)
    assert asked is not None
    np.testing.assert_array_equal(model.background, asked)


def _show(keeper: BackgroundKeeper, frames: list[ImageArray], start: int = 0) -> list[ImageArray | None]:
    return [keeper.see(luma, frame_of(luma, start + number)) for number, luma in enumerate(frames)]


def test_keeper_gives_the_background_of_the_frames_before(keeper: BackgroundKeeper) -> None:
    for number, luma in enumerate(_frames(with_object=False)):
        before = keeper.background
        assert keeper.see(luma, frame_of(luma, number)) is before


def test_another_size_starts_over_and_so_does_the_way_back(keeper: BackgroundKeeper) -> None:
    start = 0
    for scene in (SCENE, SCENE[:24, :32], np.tile(SCENE, (3, 2)), SCENE):
        frames = [np.ascontiguousarray(scene)] * 20
        seen = _show(keeper, frames, start)
        start += len(frames)
        assert seen[0] is None
        np.testing.assert_array_equal(seen[-1], scene)


def test_memory_is_bounded_over_changing_scenes(keeper: BackgroundKeeper) -> None:
    """Counts what numpy and Python allocate; OpenCV's models have a fixed size."""
    scenes = [SCENE, SCENE // 3, 255 - SCENE, SCENE // 2 + 100]
    tracemalloc.start()
    try:
        held = []
        for cycle in range(6):
            for number, scene in enumerate(scenes):
                start = 1000 * (4 * cycle + number)
                _show(keeper, [scene] * 40, start)
            held.append(tracemalloc.get_traced_memory()[0])
        assert held[-1] - held[2] < 20 * SCENE.nbytes  # 480 frames were shown in between
    finally:
        tracemalloc.stop()


def _require_same(a: list[ImageArray | None], b: list[ImageArray | None]) -> None:
    assert [x is None for x in a] == [x is None for x in b]
    for x, y in zip(a, b, strict=True):
        if x is not None:
            np.testing.assert_array_equal(x, y)
