"""What holds for any regions that are packed into one input of a model."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.config.feeding import FeedingConfig
from edge_autotuner.core import Detections
from edge_autotuner.core.types import FloatArray
from edge_autotuner.models.regions import CellMap, MovingThings, full_scale, pack_on_shelves, plan_cells

SIZES_WH = ((320, 180), (200, 240))
CANVAS_WH = (128, 96)


@st.composite
def things(draw: st.DrawFn, size_wh: tuple[int, int]) -> MovingThings:
    """Return up to twelve areas inside of a picture."""
    boxes = []
    for _ in range(draw(st.integers(0, 12))):
        x, y = draw(st.integers(0, size_wh[0] - 1)), draw(st.integers(0, size_wh[1] - 1))
        w, h = draw(st.integers(1, min(80, size_wh[0] - x))), draw(st.integers(1, min(80, size_wh[1] - y)))
        boxes.append((x, y, x + w, y + h))
    areas = np.array(boxes, np.float32).reshape(-1, 4)
    return MovingThings(areas, draw(st.lists(st.floats(4, 90), min_size=len(areas), max_size=len(areas))))


feedings = st.builds(
    FeedingConfig, object_px=st.floats(8, 100), max_magnification=st.floats(1, 16), margin=st.floats(0, 2)
)
moving = st.tuples(*(things(size) for size in SIZES_WH))


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=20), st.integers(0, 3))
def test_packed_rectangles_are_inside_and_apart(sizes: list[tuple[int, int]], gap_px: int) -> None:
    corners = pack_on_shelves(sizes, CANVAS_WH, gap_px=gap_px)
    if corners is None:
        return
    free = np.ones((CANVAS_WH[1], CANVAS_WH[0]), bool)
    for (x, y), (w, h) in zip(corners, sizes, strict=True):
        place = free[y : y + h, x : x + w]
        assert place.shape == (h, w)
        assert place.all()
        free[max(0, y - gap_px) : y + h + gap_px, max(0, x - gap_px) : x + w + gap_px] = False


@given(moving, feedings)
def test_every_moving_area_is_whole_in_a_cell_or_whole_frames_are_asked_for(
    things: tuple[MovingThings, ...], feeding: FeedingConfig
) -> None:
    cells = plan_cells(things, SIZES_WH, CANVAS_WH, feeding)
    if cells is None:
        return
    for picture, one in enumerate(things):
        sources = cells.source_xyxy[cells.pictures == picture]
        for area in one.areas_xyxy:
            assert ((sources[:, :2] <= area[:2]).all(axis=1) & (sources[:, 2:] >= area[2:]).all(axis=1)).any()


@given(moving, feedings)
def test_cells_are_inside_apart_and_never_smaller_than_in_the_whole_frame(
    things: tuple[MovingThings, ...], feeding: FeedingConfig
) -> None:
    cells = plan_cells(things, SIZES_WH, CANVAS_WH, feeding)
    if cells is None:
        return
    limits = np.array(SIZES_WH)[cells.pictures]
    assert (cells.source_xyxy[:, :2] >= 0).all()
    assert (cells.source_xyxy[:, 2:] <= limits).all()
    free = np.ones((CANVAS_WH[1], CANVAS_WH[0]), bool)
    for x1, y1, x2, y2 in cells.canvas_xyxy.astype(int).tolist():
        assert free[y1:y2, x1:x2].shape == (y2 - y1, x2 - x1)
        assert free[y1:y2, x1:x2].all()
        free[y1:y2, x1:x2] = False
    fit = np.array([full_scale(size, CANVAS_WH) for size in SIZES_WH])[cells.pictures][:, None]
    sides = cells.source_xyxy[:, 2:] - cells.source_xyxy[:, :2]
    half_a_pixel = 0.5 / sides + 1e-4
    assert (cells.scales_xy >= fit - half_a_pixel).all()
    assert (cells.scales_xy <= fit * feeding.max_magnification + np.maximum(half_a_pixel, 1 / sides)).all()


@given(moving, feedings, st.integers(0, 2**32 - 1))
def test_mapping_to_the_canvas_and_back_changes_nothing(
    things: tuple[MovingThings, ...], feeding: FeedingConfig, seed: int
) -> None:
    cells = plan_cells(things, SIZES_WH, CANVAS_WH, feeding)
    if cells is None or len(cells) == 0:
        return
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, len(cells), 6)
    found = Detections(_boxes_inside(cells.source_xyxy[numbers], rng), rng.uniform(size=6), np.arange(6))
    on_canvas = cells.to_canvas(found, numbers)
    np.testing.assert_array_equal(cells.cells_of(on_canvas.boxes_xyxy), numbers)
    np.testing.assert_allclose(cells.to_pictures(on_canvas, numbers).boxes_xyxy, found.boxes_xyxy, atol=1e-2)


@given(moving, feedings, st.integers(0, 2**32 - 1))
def test_boxes_that_are_read_stay_inside_their_picture(
    things: tuple[MovingThings, ...], feeding: FeedingConfig, seed: int
) -> None:
    cells = plan_cells(things, SIZES_WH, CANVAS_WH, feeding)
    if cells is None:
        return
    rng = np.random.default_rng(seed)
    canvas = np.tile(np.array([0, 0, *CANVAS_WH], np.float32), (30, 1))
    found = Detections(_boxes_inside(canvas, rng), rng.uniform(size=30), np.arange(30))
    read = cells.read(found)
    assert len(read) == len(SIZES_WH)
    assert sum(map(len, read)) <= len(found)
    for one, size in zip(read, SIZES_WH, strict=True):
        assert one.clipped(size).equals(one)


def test_a_canvas_shows_its_cells_and_grey_between() -> None:
    red, blue = (
        np.full((h, w, 3), c, np.uint8) for (w, h), c in zip(SIZES_WH, ((0, 0, 255), (255, 0, 0)), strict=True)
    )
    one = MovingThings(np.array([[10, 10, 30, 30]]), [20])
    cells = plan_cells([one, one], SIZES_WH, CANVAS_WH, FeedingConfig())
    assert isinstance(cells, CellMap)
    canvas = cells.draw([red, blue])
    for picture, (x1, y1, x2, y2) in zip(cells.pictures, cells.canvas_xyxy.astype(int), strict=True):
        assert (canvas[y1:y2, x1:x2] == (red, blue)[picture][0, 0]).all()
        canvas[y1:y2, x1:x2] = 114
    assert (canvas == 114).all()


def _boxes_inside(rectangles_xyxy: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return a random box inside of each (N, 4) rectangle."""
    shares = np.sort(rng.uniform(0.05, 0.95, (len(rectangles_xyxy), 2, 2)), axis=1)  # low and high of x and y
    sides = (rectangles_xyxy[:, 2:] - rectangles_xyxy[:, :2])[:, None]
    return (rectangles_xyxy[:, None, :2] + shares * sides).reshape(-1, 4).astype(np.float32)
