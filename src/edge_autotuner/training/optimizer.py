"""AdamW with steps in proportion to the weights.

Adam moves every weight by about the learning rate, whatever the size of the weight. With BatchNorm folded in, the
scales of layers and channels differ by a factor of a hundred (the first convolution reads pixels of 0-255, so its
weights are tiny), and a step that suits most layers destroys others within a few batches. Here each output channel
moves in proportion to the initial size of its weights.

Sources: Loshchilov & Hutter, AdamW, arXiv 1711.05101; relative step sizes as in Shazeer & Stern, Adafactor,
arXiv 1804.04235, section 8, here per output channel and fixed at the start.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

REFERENCE_RMS = 0.25  # median RMS of the convolutions of folded YOLOX-nano: there a step is AdamW's own
_MIN_SHARE_OF_TENSOR = 0.1  # dead channels keep a tenth of their tensor's scale, so that they can recover
_MIN_RMS = 1e-3  # a tensor of zeros must be able to learn


class ProportionalAdamW(torch.optim.AdamW):
    """AdamW with every step scaled by the initial size of the weights.

    Convolutions: per output channel, by its RMS / 0.25. Biases: by the RMS of their tensor, at least 0.25.
    """

    def __init__(self, params: Iterable[dict[str, object]], lr: float) -> None:
        _import_in_a_thread("torch._dynamo")
        super().__init__(params, lr=lr, fused=True)
        self._parameters: list[Tensor] = [p for group in self.param_groups for p in group["params"]]
        self._scales = [channel_scale(parameter.detach()) for parameter in self._parameters]
        self._before = [torch.empty_like(parameter) for parameter in self._parameters]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:  # noqa: ANN401 (as torch declares it)
        """Make one step."""
        torch._foreach_copy_(self._before, self._parameters)
        loss = super().step(closure)
        torch._foreach_sub_(self._parameters, self._before)
        torch._foreach_mul_(self._parameters, self._scales)
        torch._foreach_add_(self._parameters, self._before)
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the moments, in the memory layout of the parameters: the fused step reads them side by side."""
        super().load_state_dict(state_dict)
        for parameter, values in self.state.items():
            for key in ("exp_avg", "exp_avg_sq"):
                values[key] = torch.empty_like(parameter).copy_(values[key])


def _import_in_a_thread(name: str) -> None:
    """Import what torch (2.13) imports with its first optimizer.

    That import keeps the frames of its callers alive until the process ends, with their variables: the pictures and
    networks of a whole training. In a thread, only the thread's own frames are kept.
    """
    if name not in sys.modules:
        thread = threading.Thread(target=importlib.import_module, args=(name,), name=f"import {name}")
        thread.start()
        thread.join()


def channel_scale(weights: Tensor) -> Tensor:
    """Return the factor of each output channel's steps, in a shape that multiplies the weights.

    Args:
        weights: (C, ...) of a convolution, or (C,) biases, which share one factor.
    """
    squares = weights.square()
    of_tensor = squares.mean().sqrt()
    if weights.ndim == 1:
        return of_tensor.clamp(min=REFERENCE_RMS)
    smallest = max(float(of_tensor) * _MIN_SHARE_OF_TENSOR, _MIN_RMS)
    of_channels = squares.flatten(1).mean(dim=1).sqrt().clamp(min=smallest)
    return (of_channels / REFERENCE_RMS).reshape(-1, *[1] * (weights.ndim - 1))
