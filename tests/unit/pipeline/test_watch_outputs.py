"""Drawings of what the gate sees: zones, changed pixels and regions in their places; videos and pictures complete."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_autotuner.capture import MotionResult
from edge_autotuner.config import MotionConfig
from edge_autotuner.core import Frame
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import ConfigError, StorageError
from edge_autotuner.pipeline.watch import Sight
from edge_autotuner.pipeline.watch_outputs import SightPainter, SightPictures, SightVideo, caption, shut_out_mask

GREY = 120
LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
MIDDLE = ((0.25, 0.0), (0.75, 0.0), (0.75, 1.0), (0.25, 1.0))


def sight_of(
    index: int = 0,
    *,
    size_wh: SizeWH = (200, 100),
    regions: tuple[tuple[float, ...], ...] = (),
    changed: tuple[slice, slice] | None = None,
    known: bool = True,
    covered: float | None = None,
) -> Sight:
    """Return a grey picture; `changed` is in the working size of 50 x 25."""
    image = np.full((size_wh[1], size_wh[0], 3), GREY, np.uint8)
    mask = np.zeros((25, 50), bool)
    if changed is not None:
        mask[changed] = True
    boxes = np.array(regions, np.float32).reshape(-1, 4)
    fraction = 0.1 * len(boxes) if covered is None else covered
    small = np.zeros((25, 50), np.uint8)
    frame = Frame(index, index / 10, image[..., 0], lambda: image)
    return Sight(frame, MotionResult(boxes, fraction, mask, small, small if known else None))


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        pytest.param({}, [False, False, False, False], id="none"),
        pytest.param({"ignore": (LEFT_HALF,)}, [True, True, False, False], id="ignore"),
        pytest.param({"watch": (LEFT_HALF,)}, [False, False, True, True], id="watch"),
        pytest.param({"watch": (LEFT_HALF,), "ignore": (MIDDLE,)}, [False, True, True, True], id="both"),
    ],
)
def test_where_nothing_counts(zones: dict[str, object], expected: list[bool]) -> None:
    mask = shut_out_mask(MotionConfig.model_validate(zones), (80, 40))
    assert mask.shape == (40, 80)
    assert mask[20, 10::20].tolist() == expected, "the middle of each quarter"


@pytest.mark.parametrize(
    ("frame_wh", "drawn_wh"),
    [((768, 576), (768, 576)), ((1920, 1080), (960, 540)), ((321, 241), (320, 240)), ((960, 101), (960, 100))],
)
def test_drawings_have_sides_that_video_can_have(frame_wh: SizeWH, drawn_wh: SizeWH) -> None:
    painter = SightPainter(MotionConfig(), frame_wh)
    assert painter.size_wh == drawn_wh
    assert painter.paint(sight_of(size_wh=frame_wh)).shape == (drawn_wh[1], drawn_wh[0], 3)


def test_nothing_to_draw_leaves_the_picture() -> None:
    drawn = SightPainter(MotionConfig(), (200, 100)).paint(sight_of())
    assert (drawn[:80] == GREY).all()
    assert (drawn[80:] != GREY).any(), "the caption"


def test_shut_out_places_are_darker_and_hatched() -> None:
    drawn = SightPainter(MotionConfig(ignore=(LEFT_HALF,)), (200, 100)).paint(sight_of())[:70]
    left, right = drawn[:, :95].reshape(-1, 3), drawn[:, 105:]
    assert (right == GREY).all()
    assert {tuple(pixel) for pixel in left.tolist()} == {(GREY // 3,) * 3, (70, 70, 230)}


def test_changed_pixels_are_tinted_and_regions_outlined() -> None:
    sight = sight_of(regions=((20, 10, 120, 60),), changed=(slice(5, 10), slice(10, 20)))
    original = sight.frame.image_bgr.copy()
    drawn = SightPainter(MotionConfig(), (200, 100)).paint(sight)
    assert drawn[30, 60].tolist() == [160, 90, 187], "half the picture, half pink"
    assert drawn[50, 100].tolist() == [GREY] * 3, "inside the region, unchanged"
    for y, x in ((10, 70), (59, 70), (35, 20), (35, 119)):
        assert drawn[y, x].tolist() == [77, 216, 255], "the four sides"
    np.testing.assert_array_equal(sight.frame.image_bgr, original)


def test_a_camera_that_changes_its_size_is_drawn_in_the_first_one() -> None:
    painter = SightPainter(MotionConfig(), (200, 100))
    drawn = painter.paint(sight_of(size_wh=(400, 200), regions=((40, 20, 240, 120),)))
    assert drawn.shape == (100, 200, 3)
    assert drawn[35, 20].tolist() == [77, 216, 255]


@pytest.mark.parametrize(
    ("sight", "words"),
    [
        (sight_of(12, known=False), "0:01  frame 12  learning the background"),
        (sight_of(12), "0:01  frame 12  no motion"),
        (sight_of(12, regions=((0, 0, 9, 9),)), "0:01  frame 12  1 region, 10%"),
        (sight_of(12, regions=((0, 0, 9, 9), (20, 0, 29, 9))), "0:01  frame 12  2 regions, 20%"),
    ],
)
def test_captions(sight: Sight, words: str) -> None:
    assert caption(sight) == words


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".MP4"])
def test_a_video_keeps_the_times_of_the_frames(suffix: str, tmp_path: Path) -> None:
    video = SightVideo(tmp_path / f"seen{suffix}", MotionConfig())
    for index in (50, 51, 54, 99):
        video.add(sight_of(index))
    assert list(tmp_path.glob("[!.]*")) == [], "it takes its name when it is complete"
    video.close()
    video.close()
    assert [path.name for path in tmp_path.iterdir()] == [f"seen{suffix}"]
    with av.open(str(video.path)) as container:
        pictures = list(container.decode(video=0))
    assert [float(picture.time or 0) for picture in pictures] == pytest.approx([0.0, 0.1, 0.4, 4.9])
    assert (pictures[0].width, pictures[0].height) == (200, 100)
    assert video.n_written == 4


def test_no_sight_no_video(tmp_path: Path) -> None:
    video = SightVideo(tmp_path / "seen.mp4", MotionConfig())
    video.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["seen.avi", "seen", "seen.jpg"])
def test_videos_of_other_kinds_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the name must end in \.mp4 or \.mkv"):
        SightVideo(tmp_path / name, MotionConfig())


def test_a_video_in_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist; create it"):
        SightVideo(tmp_path / "none" / "seen.mp4", MotionConfig())


def test_pictures_show_the_most_motion_of_each_stretch(tmp_path: Path) -> None:
    pictures = SightPictures(tmp_path / "new" / "seen", MotionConfig(), 1.0)
    covered = {3: 0.1, 7: 0.3, 9: 0.2, 15: 0.05}
    for index in range(25):
        pictures.add(sight_of(index, covered=covered.get(index, 0.0)))
    pictures.close()
    pictures.close()
    names = [f"frame_{index:08d}.jpg" for index in (7, 15, 20)]
    assert sorted(path.name for path in pictures.path.glob("[!.]*")) == names
    assert pictures.n_written == 3
    image = cv2.imread(str(pictures.path / names[0]))
    assert image is not None
    assert image.shape == (100, 200, 3)


def test_no_sight_no_picture(tmp_path: Path) -> None:
    SightPictures(tmp_path / "seen", MotionConfig(), 1.0).close()
    assert [path.name for path in (tmp_path / "seen").iterdir()] == [".edge-autotuner"], "the mark of its own folder"
