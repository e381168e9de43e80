"""The published table is that of the committed numbers, and every rule is in it."""

from __future__ import annotations

import json

from edge_autotuner.config.annotation import NO_REFINEMENT, RefinementConfig
from helpers import REPOSITORY
from recipes.label_quality import N_FRAMES, RESULT, TEACHERS, VARIANTS, table

PAGE = REPOSITORY / "docs" / "explanation" / "label-quality.md"


def test_the_page_shows_the_committed_numbers() -> None:
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    assert table(result) in PAGE.read_text(encoding="utf-8"), (
        "copy the table that `python -m recipes.label_quality` prints"
    )


def test_the_result_is_complete() -> None:
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    assert result["n_frames"] == N_FRAMES
    assert list(result["sources"]) == [*TEACHERS, "both fused"]
    assert {tuple(variants) for variants in result["sources"].values()} == {tuple(VARIANTS)}


def test_every_rule_is_measured_alone() -> None:
    default, off = RefinementConfig().model_dump(), NO_REFINEMENT.model_dump()
    changed = {rule for rule in default if default[rule] != off[rule]}
    measured = {
        rule
        for variant in VARIANTS.values()
        for rule in [name for name, value in variant.model_dump().items() if value != off[name]]
        if sum(value != off[name] for name, value in variant.model_dump().items()) == 1
    }
    elsewhere = {"spurious_classes"}  # by `scripts/bench labels`, on cameras whose truth says what is spurious
    assert changed - elsewhere <= measured
