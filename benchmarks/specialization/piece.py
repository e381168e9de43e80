"""One piece of the benchmark: some minutes of work and one entry of the result file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from benchmarks.specialization.trial import Trial, settings_key
from benchmarks.specialization.workplace import Workplace
from edge_autotuner.core.fingerprints import fingerprint_of

Group = Literal["accuracy", "ablations", "bound", "transfer", "forgetting", "speed"]
GROUPS: tuple[Group, ...] = get_args(Group)

Measure = Callable[[Workplace], dict[str, Any]]


@dataclass(frozen=True)
class Piece:
    """A measurement with a name.

    Attributes:
        key: "GROUP/WHAT", unique.
        measure: does the work and returns JSON values; may be interrupted and called again.
        trials: the trainings that it needs; their settings are checked before anything is run.
        own_trials: those of them that no other piece has, which are done anew when the piece is.
        seed: of the training, for a piece that is repeated with several.
    """

    key: str
    measure: Measure
    trials: tuple[Trial, ...] = ()
    own_trials: tuple[Trial, ...] = ()
    seed: int = 0

    @property
    def group(self) -> str:
        """The first part of the key."""
        return self.key.partition("/")[0]

    def check(self) -> None:
        """Make sure that every setting of its trainings exists.

        Raises:
            ConfigError: naming the setting.
        """
        for trial in self.trials:
            trial.config()

    def fingerprint(self) -> str:
        """Return a hash of the settings of its trainings: a stored result with another one is outdated."""
        return fingerprint_of([(trial.scene.name, settings_key(trial.config())) for trial in self.trials])
