"""Embedded pictures, vector boxes, and boxes drawn into pictures."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.evaluation.report import class_colour
from edge_autotuner.evaluation.report.pictures import boxes_svg, data_uri, frame_svg, only_here, regions_svg

LABELS = LabelMap(("person", "car"))
GREY = np.full((60, 80, 3), 100, np.uint8)


def _decoded(uri: str) -> np.ndarray:
    prefix, _, body = uri.partition(",")
    assert prefix == "data:image/webp;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(body), np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((60, 80, 3), (60, 80)), ((60, 80), (60, 80)), ((1080, 1920, 3), (540, 960)), ((1, 3000), (1, 960))],
)
def test_pictures_are_embedded_and_limited_in_width(shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    picture = _decoded(data_uri(np.full(shape, 128, np.uint8)))
    assert picture.shape[:2] == expected
    assert abs(float(picture[..., :3].mean()) - 128) < 4


def test_boxes_that_only_one_model_has() -> None:
    ours = Detections([[0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60]], [0.9, 0.8, 0.7], [0, 1, 0])
    theirs = Detections([[0, 0, 10, 9]], [0.5], [0])
    assert only_here(ours, theirs).tolist() == [False, True, True]
    assert only_here(theirs, ours).tolist() == [False]
    assert only_here(ours, Detections.empty()).tolist() == [True] * 3
    assert only_here(Detections.empty(), ours).tolist() == []


def test_a_box_is_the_partner_of_one_box_only() -> None:
    """Two people where the other model sees one: the one that fits worse is new."""
    one = Detections([[0, 0, 10, 10]], [0.9], [0])
    two = Detections([[0, 0, 10, 7], [0, 0, 10, 9]], [0.9, 0.8], [0, 0])
    assert only_here(two, one).tolist() == [True, False]
    assert only_here(one, two).tolist() == [False]


def test_box_markup_has_class_score_and_highlight() -> None:
    found = Detections([[1, 2, 11, 22], [5, 5, 6, 6]], [0.9, 0.4], [0, 1])
    root = ET.fromstring(f"<g>{boxes_svg(found, LABELS, highlighted=np.array([True, False]), width=80)}</g>")
    assert [(g.find("title").text, g.get("class")) for g in root] == [("car 0.40", "box"), ("person 0.90", "box new")]  # type: ignore[union-attr]
    line = next(e for e in root[1].iter("rect") if e.get("class") == "line")
    assert [line.get(k) for k in ("x", "y", "width", "height")] == ["1.0", "2.0", "10.0", "20.0"]


@pytest.mark.parametrize(("n_boxes", "n_quiet"), [(0, 0), (1, 0), (12, 0), (13, 13)])
def test_labels_of_crowded_pictures_wait_until_a_box_is_pointed_at(n_boxes: int, n_quiet: int) -> None:
    found = Detections([[i, 0, i + 1, 1] for i in range(n_boxes)], [0.5] * n_boxes, [0] * n_boxes)
    root = ET.fromstring(f"<g>{boxes_svg(found, LABELS, highlighted=np.arange(n_boxes) < 3, width=80)}</g>")
    assert len([box for box in root if "quiet" in str(box.get("class"))]) == n_quiet
    assert len(list(root.iter("text"))) == n_boxes
    assert len(list(root.iter("title"))) == n_boxes


def test_second_view_refers_to_the_first_picture() -> None:
    first = frame_svg(GREY, picture_id="frame-0", content="", description="a")
    second = frame_svg(GREY, picture_id="frame-0", content="", description="a", embed=False)
    assert first.count("data:image/webp") == 1
    assert '<use href="#frame-0"/>' in second
    assert "data:" not in second


def test_names_and_descriptions_are_escaped() -> None:
    labels = LabelMap(('<script>"x',))
    found = Detections([[0, 0, 5, 5]], [0.5], [0])
    markup = frame_svg(
        GREY,
        picture_id="f",
        content=boxes_svg(found, labels, highlighted=np.array([True]), width=80),
        description='"><script>',
    )
    assert "<script" not in markup
    assert ET.fromstring(markup).get("aria-label") == '"><script>'


def test_regions() -> None:
    assert regions_svg(np.zeros((0, 4), np.float32)) == ""
    assert regions_svg(np.ones((2, 4), np.float32)).count('class="region"') == 2


def test_colours_of_classes_start_again_at_the_end() -> None:
    assert (class_colour(1), class_colour(9)) == ("#3ec9f5", "#3ec9f5")
