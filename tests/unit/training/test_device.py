"""Where a training computes, and in which precision; there need not be a CUDA device."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edge_autotuner.errors import ConfigError
from edge_autotuner.models.torch_detector import cpu_threads
from edge_autotuner.training.device import choose_device, cpu_has_bfloat16, has_mixed_precision

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
        ("auto", CPU, True, True),
        ("auto", CPU, False, False),
        ("float32", CPU, True, False),
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
    monkeypatch.setattr("edge_autotuner.training.device.cpu_has_bfloat16", lambda: has_hardware)
    assert has_mixed_precision(wanted, device, is_stable=True) == is_mixed


def test_a_network_that_is_not_known_to_be_stable_stays_in_float32_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_autotuner.training.device.cpu_has_bfloat16", lambda: True)
    assert not has_mixed_precision("auto", CPU)


def test_a_cpu_of_an_older_torch_is_taken_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not cpu_has_bfloat16()


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
