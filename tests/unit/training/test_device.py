"""Where a training computes, and in which precision; there need not be a CUDA device."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edge_autotuner.errors import ConfigError
from edge_autotuner.models.torch_detector import cpu_threads
from edge_autotuner.training.device import choose_device, has_mixed_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("wanted", "is_there", "device"),
    [("auto", True, CUDA), ("auto", False, CPU), ("cpu", True, CPU), ("cpu", False, CPU), ("cuda", True, CUDA)],
)
def test_the_device(wanted: Any, is_there: bool, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_there)
    assert choose_device(wanted) == device


def test_a_missing_device_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"training\.device: torch finds no CUDA device; .* use cpu or auto"):
        choose_device("cuda")


@pytest.mark.parametrize(
    ("wanted", "device", "has_hardware", "is_mixed"),
    [
        ("auto", CPU, True, False),
        ("auto", CUDA, True, True),
        ("auto", CUDA, False, False),
        ("float32", CUDA, True, False),
        ("bfloat16", CPU, False, True),
        ("bfloat16", CUDA, True, True),
    ],
)
def test_the_precision(
    wanted: Any, device: torch.device, has_hardware: bool, is_mixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_hardware)
    assert has_mixed_precision(wanted, device) == is_mixed


def test_threads_are_put_back_after_an_error() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with cpu_threads(before + 1):
            assert torch.get_num_threads() == before + 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_num_threads() == before
    with cpu_threads(None):
        assert torch.get_num_threads() == before
