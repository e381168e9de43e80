"""Steps in proportion to the weights that they change."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edge_autotuner.training.optimizer import REFERENCE_RMS, ProportionalAdamW, channel_scale


def one_step(weights: Tensor, *, lr: float = 0.01, weight_decay: float = 0.0) -> Tensor:
    """Return how far AdamW's first step moves each weight; a first step has the same size for every gradient."""
    parameter = nn.Parameter(weights.clone())
    optimizer = ProportionalAdamW([{"params": [parameter], "weight_decay": weight_decay}], lr=lr)
    parameter.grad = torch.ones_like(weights)
    optimizer.step()
    return weights - parameter.detach()


def channels(*values: float) -> Tensor:
    """Return (C, 2, 3, 3) weights with one value per output channel."""
    return torch.tensor(values).reshape(-1, 1, 1, 1).expand(-1, 2, 3, 3).contiguous()


def test_each_output_channel_moves_in_proportion_to_its_size() -> None:
    moved = one_step(channels(0.25, 0.5, -1.0))
    assert moved[:, 0, 0, 0].tolist() == pytest.approx([0.01, 0.02, 0.04], rel=1e-4)
    assert (moved == moved[:, :1, :1, :1]).all()


def test_weights_of_the_reference_size_move_as_with_adamw() -> None:
    weights = channels(REFERENCE_RMS, -REFERENCE_RMS)
    parameter = nn.Parameter(weights.clone())
    plain = torch.optim.AdamW([parameter], lr=0.01, weight_decay=0.1)
    parameter.grad = torch.ones_like(weights)
    plain.step()
    assert one_step(weights, weight_decay=0.1) == pytest.approx(weights - parameter.detach(), rel=1e-4)


def test_dead_channels_and_tensors_of_zeros_can_come_to_life() -> None:
    dead_channel = channel_scale(channels(0.0, 1.0))
    rms_of_tensor = 0.5**0.5
    assert dead_channel.flatten().tolist() == pytest.approx([0.1 * rms_of_tensor / REFERENCE_RMS, 1 / REFERENCE_RMS])
    assert (channel_scale(channels(0.0, 0.0)) > 0).all()
    assert (one_step(channels(0.0)) > 0).all()


def test_factors_fit_the_weights() -> None:
    assert channel_scale(torch.ones(4, 2, 3, 3)).shape == (4, 1, 1, 1)
    assert channel_scale(torch.ones(4)).ndim == 0  # biases share one
    assert channel_scale(torch.zeros(4)) > 0


def test_factors_are_those_of_the_start_and_not_of_now() -> None:
    parameter = nn.Parameter(channels(0.25))
    optimizer = ProportionalAdamW([{"params": [parameter], "weight_decay": 0.0}], lr=0.01)
    with torch.no_grad():
        parameter.fill_(10.0)
    parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert parameter.detach().flatten().tolist() == pytest.approx([9.99] * 18, rel=1e-5)


def test_a_parameter_without_a_gradient_stays() -> None:
    parameter = nn.Parameter(channels(0.25))
    ProportionalAdamW([{"params": [parameter], "weight_decay": 0.1}], lr=0.01).step()
    assert torch.equal(parameter.detach(), channels(0.25))


class SlowAdamW:
    """The same by hand, one parameter after the other (Loshchilov & Hutter, algorithm 2, times the scale)."""

    def __init__(self, parameters: list[nn.Parameter], lr: float, weight_decay: float) -> None:
        self._values = [p.detach().double().clone() for p in parameters]
        self._scales = [channel_scale(p.detach()).double() for p in parameters]
        self._moments = [(torch.zeros_like(v), torch.zeros_like(v)) for v in self._values]
        self._lr, self._decay, self._n = lr, weight_decay, 0

    def step(self, gradients: list[Tensor]) -> list[Tensor]:
        self._n += 1
        for value, scale, (m, v), gradient in zip(self._values, self._scales, self._moments, gradients, strict=True):
            m.mul_(0.9).add_(0.1 * gradient)
            v.mul_(0.999).add_(0.001 * gradient.double().square())
            direction = (m / (1 - 0.9**self._n)) / ((v / (1 - 0.999**self._n)).sqrt() + 1e-8)
            value.sub_(scale * self._lr * (direction + self._decay * value))
        return self._values


def test_steps_are_those_of_the_slow_one_in_any_memory_layout_and_after_a_restart() -> None:
    torch.manual_seed(0)
    weights = [torch.randn(4, 3, 3, 3).contiguous(memory_format=torch.channels_last), torch.randn(4), torch.zeros(4)]
    parameters = [nn.Parameter(w.clone(memory_format=torch.preserve_format)) for w in weights]
    group = {"params": parameters, "weight_decay": 0.1}
    optimizer, slow = ProportionalAdamW([group], lr=0.01), SlowAdamW(parameters, 0.01, 0.1)
    for step in range(5):
        gradients = [torch.randn_like(p) for p in parameters]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.clone(memory_format=torch.preserve_format)
        optimizer.step()
        for parameter, expected in zip(parameters, slow.step(gradients), strict=True):
            assert parameter.detach().double().numpy() == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-6)
        if step == 2:  # as from a file: all tensors contiguous, and the scales still those of the start
            kept = optimizer.state_dict()["state"]
            state = {i: {key: value.clone().contiguous() for key, value in s.items()} for i, s in kept.items()}
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
