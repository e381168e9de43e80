"""Pictures of other sizes beside the camera's own: they make themselves fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edge_autotuner.config import AugmentationConfig, ReplayConfig
from edge_autotuner.core.types import SizeWH
from edge_autotuner.training import BatchMaker, TrainingSample
from support.cameras.coloured_scene import coloured_sample, fresh_network, sample_of

OFF = AugmentationConfig.model_validate(dict.fromkeys(AugmentationConfig.model_fields, 0))


def maker(samples: list[TrainingSample], **options: object) -> BatchMaker:
    return BatchMaker(samples, (96, 96), network=fresh_network(), augmentation=OFF, seed=0, **options)  # type: ignore[arg-type]


def whole(size_wh: SizeWH, origin: str) -> TrainingSample:
    """Return a picture that one object fills."""
    image = np.full((size_wh[1], size_wh[0], 3), 200, np.uint8)
    sample = sample_of(image, boxes_xyxy=np.array([[0, 0, *size_wh]], np.float32))
    return replace(sample, origin=origin)


@pytest.mark.parametrize(
    ("size_wh", "expected"),
    [
        pytest.param((192, 128), (96, 64), id="the camera's own size"),
        pytest.param((48, 96), (32, 64), id="tall"),
        pytest.param((300, 50), (96, 16), id="wide"),
        pytest.param((24, 16), (96, 64), id="small"),
    ],
)
def test_a_replayed_picture_is_scaled_into_the_canvas_of_the_camera(size_wh: SizeWH, expected: SizeWH) -> None:
    batches = maker([whole((192, 128), "camera"), whole(size_wh, "generic")])
    assert batches.canvas_wh == (96, 64)
    own, replayed = batches.batch([0, 1], epoch=0, step=0).targets
    assert own.boxes_xyxy.tolist() == [[0, 0, 96, 64]]
    assert replayed.boxes_xyxy.numpy() == pytest.approx(np.array([[0, 0, *expected]], np.float32), abs=1e-3)
    outside = (batches.objective.centres >= torch.tensor(expected)).any(dim=1)
    assert replayed.is_known[outside].all()  # padding is background


def test_replayed_pictures_alone_make_the_canvas() -> None:
    assert maker([whole((128, 192), "replay"), whole((192, 64), "generic")]).canvas_wh == (96, 96)


def test_the_share_of_the_settings_is_shown() -> None:
    samples = [replace(coloured_sample(i), origin=o) for i, o in enumerate(["camera"] * 8 + ["replay"] * 8)]
    order = maker(samples, replay=ReplayConfig(share=0.5)).epoch_order(0, 12)
    assert sum(index >= 8 for index in order) == 6
    assert all(index < 8 for index in maker(samples, replay=ReplayConfig(share=0)).epoch_order(0, 12))
