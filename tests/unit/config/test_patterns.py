"""No setting shows a regular expression to somebody who has written it wrongly."""

from __future__ import annotations

from edge_autotuner.config.loader import WORDS_OF_PATTERNS
from support.machine.settings_walk import ROOTS, dotted_keys
from support.runs.cli_runs import run_cli


def test_every_pattern_of_a_setting_has_words() -> None:
    patterns = {
        str(part.pattern)
        for root in ROOTS
        for _, info in dotted_keys(root)
        for part in info.metadata
        if getattr(part, "pattern", None)
    }
    assert len(patterns) > 2
    assert patterns <= set(WORDS_OF_PATTERNS)


def test_the_words_are_shown() -> None:
    outcome = run_cli("config", "show", "--set", "capture.stream.webcam_size=big")
    assert outcome.code == 2
    assert "expected WIDTHxHEIGHT, e.g. 1280x720 (got 'big')" in outcome.err
    assert "^" not in outcome.err


def test_an_onnx_file_as_edge_model(tmp_path: object) -> None:
    from pathlib import Path

    import pytest

    from edge_autotuner.errors import WeightsError
    from edge_autotuner.models.trainable_weights import load_network

    file = Path(str(tmp_path)) / "model.onnx"
    file.write_bytes(b"x")
    with pytest.raises(WeightsError, match="is an ONNX file, which can be a teacher but cannot be trained"):
        load_network(file, architecture="yolox-nano")
