"""The names that the package offers at its top."""

from __future__ import annotations

import inspect

import pytest

import edge_autotuner

NAMES = {
    "DatasetStore", "Detections", "EdgeAutotunerError", "RunConfig", "RunResult", "__version__", "annotate",
    "capture_frames", "detect", "evaluate", "export", "load_config", "load_edge_detector", "open_source", "report",
    "run", "tune",
}  # fmt: skip


def test_about_fifteen_names() -> None:
    assert set(edge_autotuner.__all__) == NAMES
    assert edge_autotuner.__all__ == sorted(edge_autotuner.__all__)
    assert dir(edge_autotuner) == sorted(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_name_leads_to_something_documented(name: str) -> None:
    value = getattr(edge_autotuner, name)
    if name == "__version__":
        assert isinstance(value, str)
        return
    assert value.__name__ == name
    assert value.__module__.startswith("edge_autotuner.")
    assert inspect.getdoc(value)


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="module 'edge_autotuner' has no attribute 'fly'"):
        edge_autotuner.fly  # noqa: B018
    assert not hasattr(edge_autotuner, "_run")
