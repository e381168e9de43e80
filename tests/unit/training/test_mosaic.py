"""Four scenes on one canvas."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.core.types import SizeWH
from edge_autotuner.models.detector_spec import Resize
from edge_autotuner.models.yolox import CellGrid
from edge_autotuner.training import TrainingSample
from edge_autotuner.training.mosaic import mosaic_tiles
from edge_autotuner.training.samples import PreparedSample, Scene, Tile, prepare_tiles
from support.cameras.coloured_scene import sample_of

LIGHT_OFF = AugmentationConfig(brightness=0, contrast=0, saturation=0)
CANVAS_WH = 128, 96


def plain(level: int, size_wh: SizeWH = (320, 240), **labels: list[list[float]]) -> TrainingSample:
    image = np.full((size_wh[1], size_wh[0], 3), level, np.uint8)
    return sample_of(image, **{name: np.array(boxes, np.float32) for name, boxes in labels.items()})  # type: ignore[arg-type]


def tiles_of(samples: list[TrainingSample], seed: int, resize: Resize = "letterbox") -> list[Tile]:
    scenes = [Scene(sample, sample.read_image()) for sample in samples]
    return mosaic_tiles(scenes, CANVAS_WH, (128, 128), resize, LIGHT_OFF, np.random.default_rng(seed))


def prepared(samples: list[TrainingSample], seed: int = 0) -> PreparedSample:
    centres = CellGrid.of_input(CANVAS_WH[1], CANVAS_WH[0]).centres.numpy()
    return prepare_tiles(
        tiles_of(samples, seed),
        canvas_wh=CANVAS_WH,
        centres_xy=centres,
        augmentation=LIGHT_OFF,
        rng=np.random.default_rng(0),
    )


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("size_wh", [(320, 240), (320, 180), (90, 200)], ids=str)
def test_the_tiles_fill_the_canvas_with_pictures(size_wh: SizeWH, resize: Resize) -> None:
    for seed in range(5):
        tiles = tiles_of([plain(50, size_wh)] * 4, seed, resize)
        filled = np.zeros(CANVAS_WH[::-1], int)
        for tile in tiles:
            x1, y1, x2, y2 = tile.area_xyxy
            filled[y1:y2, x1:x2] += 1
            corners = tile.to_canvas[:, :2] @ np.diag(size_wh) @ [[0, 1], [0, 1]] + tile.to_canvas[:, 2:]
            assert (corners.min(axis=1) <= [x1 + 1e-3, y1 + 1e-3]).all()
            assert (corners.max(axis=1) >= [x2 - 1e-3, y2 - 1e-3]).all()
        assert (filled == 1).all()


def test_objects_keep_about_their_size() -> None:
    at_run_time = 128 / 320
    zooms = [abs(tile.to_canvas[0, 0]) / at_run_time for s in range(20) for tile in tiles_of([plain(50)] * 4, s)]
    assert min(zooms) >= 0.6
    assert max(zooms) <= 1.3 + 1e-3
    assert np.std(zooms) > 0.1


def test_a_stretched_picture_stays_stretched() -> None:
    for tile in tiles_of([plain(50, (320, 180))] * 4, 0, "stretch"):
        assert tile.to_canvas[1, 1] / abs(tile.to_canvas[0, 0]) == pytest.approx((128 / 180) / (128 / 320), rel=1e-5)


def test_each_part_shows_its_scene_with_its_labels() -> None:
    whole_picture = [[0.0, 0.0, 320.0, 240.0]]
    levels = [20, 70, 120, 170]
    samples = [plain(level) for level in levels]
    for number in range(4):
        labelled = [*samples]
        labelled[number] = plain(levels[number], looked_xyxy=whole_picture, boxes_xyxy=[[100, 80, 130, 110]])
        found = [prepared(labelled, seed) for seed in range(12)]
        seen = [(p, box) for p in found for box in p.boxes_xyxy]
        assert seen  # a random section shows the middle of the picture now and then
        for one, (x1, y1, x2, y2) in seen:
            inside = one.image[:, int(np.ceil(y1)) : int(y2), int(np.ceil(x1)) : int(x2)]
            assert (inside == levels[number]).all()


def test_what_is_unknown_in_one_scene_is_unknown_in_its_part_only() -> None:
    samples = [plain(20), plain(70), plain(120), plain(170)]
    samples[1] = plain(70, looked_xyxy=[])
    samples[2] = plain(120, ignored_xyxy=[[0, 0, 320, 240]])
    for seed in range(4):
        result = prepared(samples, seed)
        x, y = CellGrid.of_input(96, 128).centres.numpy().astype(int).T
        level = result.image[0, y, x]
        assert (result.is_known == np.isin(level, (20, 170))).all()


def test_a_mosaic_needs_four_scenes() -> None:
    with pytest.raises(ValueError, match="zip"):
        tiles_of([plain(50)] * 3, 0)
