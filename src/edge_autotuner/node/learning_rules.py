"""The decisions about learning that can be replaced, each with the rule that a node follows today.

The trigger is a setting (`batch.trigger`). Order and promotion rule are arguments of `LearningScheduler` and
`learn_from`; no setting chooses them, and a node always uses the ones here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from edge_autotuner.node.camera_folder import BatchFolder, CameraFolder

if TYPE_CHECKING:
    from edge_autotuner.evaluation.promotion import PromotionDecision

LearningTrigger = Callable[[CameraFolder], "BatchFolder | None"]
"""Decides when a camera learns: returns the batch to learn from now, None while there is none.

The node asks every second, and its learning process again after each batch. Asking changes nothing.
"""

PromotionRule = Callable[[BatchFolder], "PromotionDecision"]
"""Decides whether the candidate of a batch replaces the model that the batch started from."""


class LearnerOrder(Protocol):
    """Decides which camera learns first when several could."""

    def sort(self, cameras: Sequence[str]) -> list[str]:
        """Return all cameras, the one first whose turn it is."""
        ...

    def note_turn(self, camera: str) -> None:
        """Remember that a camera had its turn, whether it learned or failed."""
        ...


def oldest_closed_batch(folder: CameraFolder) -> BatchFolder | None:
    """Learn from each batch once it is closed, the oldest first."""
    return folder.waiting()


def evaluated_promotion(batch: BatchFolder) -> PromotionDecision:
    """Follow the decision of the evaluation stage; see `evaluation.promotion`."""
    from edge_autotuner.pipeline.evaluation_result import read_evaluation

    return read_evaluation(batch.run.evaluation).promotion


class RoundRobin:
    """The camera that has waited longest since its last turn comes first."""

    def __init__(self) -> None:
        self._turns: list[str] = []  # the latest last

    def sort(self, cameras: Sequence[str]) -> list[str]:
        """Return the cameras that had no turn in the given order, then the others, the latest last."""
        return sorted(cameras, key=lambda camera: self._turns.index(camera) if camera in self._turns else -1)

    def note_turn(self, camera: str) -> None:
        """Move a camera to the end."""
        self._turns = [other for other in self._turns if other != camera] + [camera]
