"""Settings of the annotation that depend on each other."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edge_autotuner.config import AnnotationConfig, RefinementConfig
from edge_autotuner.config.annotation import NO_REFINEMENT


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("zoom", ("zoom",)),
        ("zoom,deimv2-femto", ("zoom", "deimv2-femto")),
        ("zoom, deimv2-femto", ("zoom", "deimv2-femto")),
        (["zoom", "my.onnx"], ("zoom", "my.onnx")),
    ],
)
def test_one_or_several_teachers(value: Any, names: tuple[str, ...]) -> None:
    assert AnnotationConfig(teacher=value).teachers == names


@pytest.mark.parametrize("value", ["", "zoom,", ",zoom", "zoom,zoom", [], 3])
def test_wrong_teachers(value: Any) -> None:
    with pytest.raises(ValidationError):
        AnnotationConfig(teacher=value)


@pytest.mark.parametrize(("teacher", "weights"), [("zoom", (2.0,)), ("a,b", (1.0, 0.5)), ("a,b", None)])
def test_weights(teacher: str, weights: tuple[float, ...] | None) -> None:
    assert AnnotationConfig(teacher=teacher, teacher_weights=weights).teacher_weights == weights


@pytest.mark.parametrize(
    ("teacher", "weights"), [("zoom", (1.0, 2.0)), ("a,b", (1.0,)), ("a,b", (1.0, 0.0)), ("a,b", (1.0, float("inf")))]
)
def test_wrong_weights(teacher: str, weights: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="one positive number for each of"):
        AnnotationConfig(teacher=teacher, teacher_weights=weights)


def test_rules_do_not_ask_the_teacher_again() -> None:
    plain = AnnotationConfig()
    other_rules = AnnotationConfig(refine=RefinementConfig(static_objects="background", smooth_boxes_s=0.2))
    assert other_rules.teacher_fingerprint() == plain.teacher_fingerprint()
    assert other_rules.fingerprint() != plain.fingerprint()
    assert AnnotationConfig(min_score=0.4).teacher_fingerprint() != plain.teacher_fingerprint()


@pytest.mark.parametrize(
    ("rules", "is_on", "follows"),
    [
        ({}, False, False),
        ({"static_objects": "ignore"}, True, False),
        ({"smooth_boxes_s": 0.1}, True, True),
        ({"smooth_scores_s": 0.1}, True, True),
        ({"one_class_per_object": True}, True, True),
        ({"fill_gaps": "label"}, True, True),
        ({"flicker_max_score": 0.5}, True, True),
    ],
)
def test_which_rules_are_on(rules: dict[str, Any], is_on: bool, follows: bool) -> None:
    config = NO_REFINEMENT.model_copy(update=rules)
    assert (config.is_on, config.follows_objects) == (is_on, follows)


@pytest.mark.parametrize(
    ("value", "grid", "grid_wh"),
    [
        pytest.param(3, 3, (3, 3), id="number"),
        pytest.param("3", 3, (3, 3), id="text"),
        pytest.param("4x3", (4, 3), (4, 3), id="columns x rows"),
        pytest.param([4, 3], (4, 3), (4, 3), id="as JSON has it"),
        pytest.param("3x3", 3, (3, 3), id="one form for one grid"),
        pytest.param("auto", "auto", (2, 2), id="auto"),
    ],
)
def test_grids(value: Any, grid: Any, grid_wh: tuple[int, int]) -> None:
    config = AnnotationConfig(tile_grid=value)
    assert config.tile_grid == grid
    assert config.grid_wh == grid_wh
    assert AnnotationConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("value", [0, 9, "0", "4x9", "4x", "fine", "4x3x2", -1, True, 2.5, [1, 2, 3], None])
def test_wrong_grids(value: Any) -> None:
    with pytest.raises(ValidationError, match="tile_grid"):
        AnnotationConfig(tile_grid=value)


def test_a_grid_that_was_chosen_gives_the_labels_of_one_that_was_set() -> None:
    chosen = AnnotationConfig(max_views=26).model_copy(update={"tile_grid": 2})
    assert chosen.teacher_fingerprint() == AnnotationConfig(tile_grid=2).teacher_fingerprint()


@pytest.mark.parametrize("names", ["zoom", "remote:big", "a,,b", "a,a"])
def test_wrong_judges(names: str) -> None:
    with pytest.raises(ValidationError, match="different models of this machine"):
        AnnotationConfig.model_validate({"test_labels": {"teachers": names}})


def test_judges_are_others_than_the_teacher() -> None:
    with pytest.raises(ValidationError, match="a is the teacher and one of"):
        AnnotationConfig.model_validate({"teacher": "a", "test_labels": {"teachers": "b,a"}})


def test_judges_are_named_as_teachers_are() -> None:
    config = AnnotationConfig.model_validate({"test_labels": {"teachers": ["a", "b"]}})
    assert config.test_labels.names == ("a", "b")
    assert config.test_labels.is_on
