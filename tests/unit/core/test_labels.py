"""Class names and their numbers."""

from __future__ import annotations

import pytest

from edge_autotuner.core import COCO_80, COCO_CATEGORY_IDS, STREET_6, LabelMap
from edge_autotuner.errors import ConfigError


def test_an_id_is_the_position_of_the_name() -> None:
    labels = LabelMap(("person", "car"))
    assert (len(labels), list(labels), labels[1], labels.id_of("car")) == (2, ["person", "car"], "car", 1)
    assert labels.ids_of(("car", "person")) == (1, 0)
    assert "car" in labels
    assert "bus" not in labels


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown class 'dog'; known classes: person, bicycle, car"):
        STREET_6.id_of("dog")


def test_names_are_unique() -> None:
    with pytest.raises(ValueError, match="must be unique"):
        LabelMap(("car", "car"))


def test_no_classes_are_allowed() -> None:
    assert list(LabelMap(())) == []


@pytest.mark.parametrize(
    ("name", "contiguous", "category"),
    [("person", 0, 1), ("fire hydrant", 10, 11), ("stop sign", 11, 13), ("toaster", 70, 80), ("toothbrush", 79, 90)],
)
def test_coco_numbers(name: str, contiguous: int, category: int) -> None:
    assert (COCO_80.id_of(name), COCO_CATEGORY_IDS[name]) == (contiguous, category)


def test_coco_has_80_classes_and_skips_ten_numbers() -> None:
    assert (len(COCO_80), len(COCO_CATEGORY_IDS)) == (80, 80)
    assert set(range(1, 91)) - set(COCO_CATEGORY_IDS.values()) == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}


def test_street_classes_are_coco_classes() -> None:
    assert COCO_80.ids_of(STREET_6) == (0, 1, 2, 3, 5, 7)
