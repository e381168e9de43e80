"""Every background model, the same expectations."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.background import BACKGROUND_MODELS, make_background
from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core import BackgroundModel
from edge_autotuner.core.types import ImageArray

N_FRAMES = 120
SCENE = (60 + np.arange(48 * 64).reshape(48, 64) % 97).astype(np.uint8)


@pytest.fixture(params=sorted(BACKGROUND_MODELS))
def model(request: pytest.FixtureRequest) -> BackgroundModel:
    return _new(request.param)


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


@pytest.mark.parametrize("name", sorted(BACKGROUND_MODELS))
def test_deterministic(name: str) -> None:
    frames = _frames(with_object=True)
    _require_same(_after(_new(name), frames), _after(_new(name), frames))


def _require_same(a: list[ImageArray | None], b: list[ImageArray | None]) -> None:
    assert [x is None for x in a] == [x is None for x in b]
    for x, y in zip(a, b, strict=True):
        if x is not None:
            np.testing.assert_array_equal(x, y)
