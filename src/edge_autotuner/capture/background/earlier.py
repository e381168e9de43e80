"""Backgrounds that a camera had before: day and night, lights on and off."""

from __future__ import annotations

from edge_autotuner.capture.background.scene_guard import misfit
from edge_autotuner.core import BackgroundModel
from edge_autotuner.core.types import ImageArray


class EarlierBackgrounds:
    """Keeps a few models, the last used longest.

    Args:
        n_max: how many; 0 for none.
    """

    def __init__(self, n_max: int) -> None:
        self._n_max = n_max
        self._models: list[BackgroundModel] = []  # the last used at the end

    def __len__(self) -> int:
        return len(self._models)

    def keep(self, model: BackgroundModel) -> None:
        """Remember a model that knows its background; the one that was not used for longest makes room."""
        self._models.append(model)
        del self._models[: max(0, len(self._models) - self._n_max)]

    def take_fitting(self, background: ImageArray) -> BackgroundModel | None:
        """Remove and return the model whose background is like this (h, w) one; None if there is none."""
        misfits: dict[int, float] = {}
        for number, model in enumerate(self._models):
            difference = None if model.background is None else misfit(model.background, background)
            if difference is not None:
                misfits[number] = difference
        return self._models.pop(min(misfits, key=misfits.__getitem__)) if misfits else None

    def forget(self) -> None:
        """Remove all."""
        self._models.clear()
