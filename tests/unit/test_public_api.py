"""Wrong types are named at the door of the public API: what was expected, and what came."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import edge_autotuner as eat
from edge_autotuner.core import NoProgress, SystemClock
from edge_autotuner.models.preprocess import prepare_input

FUNCTIONS = sorted(name for name in eat.__all__ if inspect.isfunction(getattr(eat, name)))
WRONG: tuple[object, ...] = (None, 3.5, {"a": 1}, ["a"], object(), b"bytes")
BY_METHODS = {"progress", "clock", "on_event"}  # anything with the right methods will do


def parameters() -> Iterator[tuple[str, str]]:
    """Yield every function of the public API with each parameter that is checked."""
    for name in FUNCTIONS:
        for parameter in inspect.signature(getattr(eat, name)).parameters:
            if parameter not in BY_METHODS:
                yield name, parameter


def allowed(name: str, parameter: str) -> tuple[type, ...]:
    """Return the classes that a parameter takes."""
    hint = typing.get_type_hints(inspect.unwrap(getattr(eat, name)))[parameter]
    kinds = typing.get_args(hint) or (hint,)
    return (*kinds, int) if float in kinds else kinds


@pytest.mark.parametrize(("name", "parameter"), list(parameters()))
def test_a_wrong_type_is_named(name: str, parameter: str) -> None:
    function: Any = getattr(eat, name)
    kinds = allowed(name, parameter)
    required = [p for p in inspect.signature(function).parameters.values() if p.default is inspect.Parameter.empty]
    arguments: dict[str, object] = {each.name: Path("nowhere") for each in required}
    for wrong in WRONG:
        if isinstance(wrong, kinds) or (wrong is None and type(None) in kinds):
            continue
        with pytest.raises(TypeError, match=rf"^{name}\(\) expects {parameter} as .+, got {type(wrong).__name__}$"):
            function(**arguments | {parameter: wrong})


def test_there_are_functions() -> None:
    assert {"run", "detect", "load_edge_detector", "open_source", "load_config"} <= set(FUNCTIONS)


def test_text_is_a_path_and_empty_text_is_none(tmp_path: Path) -> None:
    with pytest.raises(eat.EdgeAutotunerError, match="is neither a bundle nor"):
        eat.load_edge_detector(str(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got an empty string"):
        eat.load_edge_detector("")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [None, "frame.png", [[0, 0, 0]], Path("frame.png")])
def test_a_detector_says_that_it_needs_an_array(wrong: Any) -> None:
    spec: Any = None
    with pytest.raises(TypeError, match=rf"must be an array of shape \(H, W, 3\), got {type(wrong).__name__}"):
        prepare_input(wrong, spec)


def test_a_missing_argument_is_still_a_type_error() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'output'"):
        eat.annotate()  # type: ignore[call-arg]


@pytest.mark.parametrize("missing", ["torch", "onnx"])
def test_a_part_that_is_not_installed_is_named_with_its_extra(missing: str) -> None:
    script = f"""
import sys
sys.modules[{missing!r}] = None
import edge_autotuner as eat
for name in eat.__all__:
    try:
        getattr(eat, name)
    except eat.EdgeAutotunerError as exc:
        print(type(exc).__name__, exc)
    else:
        print(name, "is there")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    lines = done.stdout.splitlines()
    for name, line in zip(eat.__all__, lines, strict=True):
        needed = f"MissingDependency edge_autotuner.{name} needs {missing}: pip install 'edge-autotuner[train]'"
        assert line in (f"{name} is there", needed)
    assert ("run is there" in lines) == (missing != "torch")
    assert {"load_edge_detector is there", "open_source is there"} <= set(lines)


def by_their_methods() -> Iterator[tuple[str, str]]:
    """Yield every function of the public API with each parameter that is a protocol or a function."""
    for name in FUNCTIONS:
        for parameter in inspect.signature(getattr(eat, name)).parameters:
            if parameter in BY_METHODS:
                yield name, parameter


@pytest.mark.parametrize(("name", "parameter"), list(by_their_methods()))
@pytest.mark.parametrize("wrong", [3, "text", [], object()])
def test_an_object_without_the_methods_is_named(name: str, parameter: str, wrong: object) -> None:
    function: Any = getattr(eat, name)
    required = [p for p in inspect.signature(function).parameters.values() if p.default is inspect.Parameter.empty]
    arguments: dict[str, object] = {each.name: Path("nowhere") for each in required}
    with pytest.raises(TypeError, match=rf"^{name}\(\) expects {parameter} as .+, got {type(wrong).__name__}$"):
        function(**arguments | {parameter: wrong})


def test_an_object_with_the_methods_is_taken(tmp_path: Path) -> None:
    with pytest.raises(eat.EdgeAutotunerError, match="is not the folder of a run"):
        eat.report(tmp_path, progress=NoProgress())
    with pytest.raises(eat.EdgeAutotunerError, match="holds no pictures"):
        eat.open_source(tmp_path, clock=SystemClock(), on_event=print)


@pytest.mark.parametrize("wrong", [float("nan"), -0.1, 1.5, 3])
def test_a_score_beyond_its_range_is_named(wrong: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"min_score must be in 0\.\.1, got"):
        eat.load_edge_detector(tmp_path, min_score=wrong)
    with pytest.raises(ValueError, match=r"min_score must be in 0\.\.1, got"):
        eat.detect(tmp_path, tmp_path, tmp_path / "a.json", min_score=wrong)


@pytest.mark.parametrize("wrong", [{"max_detections": 0}, {"n_threads": 0}, {"n_threads": -4}])
def test_a_count_beyond_its_range_is_named(wrong: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        eat.load_edge_detector(tmp_path, **wrong)  # type: ignore[arg-type]
