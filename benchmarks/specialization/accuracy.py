"""What specialization gives: each camera, edge model and teacher with the default settings, scored by human boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.scenes import NGSIM, PETS
from benchmarks.specialization.piece import Measure, Piece
from benchmarks.specialization.scoring import (
    TestSet,
    human_frames,
    run_test_set,
    score,
    specialized_detector,
    start_detector,
)
from benchmarks.specialization.trial import SSDLITE, ZOOM, Trial
from benchmarks.specialization.workplace import Finished, Workplace
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.pipeline.loop import TRAINING
from edge_autotuner.pipeline.training_stage import split_for_validation

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Case:
    """One line of the accuracy table.

    Attributes:
        trial: with seed 0.
        target: AP50 and AP50:95 that are aimed at; None: see `aim`.
        plain: what a plain trial gave, AP50 and AP50:95; None where there was none.
        aim: the aim in words where it is no number.
        n_seeds: how many seeds are measured.
    """

    trial: Trial
    target: tuple[float, float] | None = None
    plain: tuple[float, float] | None = None
    aim: str = ""
    n_seeds: int = len(SEEDS)

    @property
    def name(self) -> str:
        """The name of the trial."""
        return self.trial.name

    @property
    def n_epochs(self) -> int | None:
        """Epochs where they are not the default."""
        return self.trial.settings.get("training.n_epochs")

    def seeded(self, seed: int) -> Trial:
        """Return the trial with another seed."""
        return self.trial.with_settings(f"{self.name}-seed-{seed}", seed=seed)


CASES = (
    Case(Trial("pets-nano-416-femto", PETS), (0.935, 0.445), (0.902, 0.420)),
    Case(Trial("pets-nano-256-femto", PETS, input_px=256), aim="as 416 off the shelf"),
    Case(Trial("pets-ssdlite-300-femto", PETS, SSDLITE, 300)),
    Case(Trial("ngsim-nano-416-femto", NGSIM), (0.96, 0.70), (0.937, 0.651)),
    Case(Trial("ngsim-nano-416-femto-long", NGSIM, settings={"training.n_epochs": 24}), (0.96, 0.70), n_seeds=1),
    Case(Trial("ngsim-ssdlite-300-femto", NGSIM, SSDLITE, 300), (0.75, 0.40)),
    Case(Trial("pets-nano-416-zoom", PETS, teacher=ZOOM), aim="80 % of the gain with a second model", n_seeds=1),
    Case(Trial("ngsim-nano-416-zoom", NGSIM, teacher=ZOOM), aim="80 % of the gain with a second model", n_seeds=1),
)
"""Marks and aims are AP50 / AP50:95 against human boxes."""

PUBLISHED = {"NGSIM seq 1": (0.848, 0.591)}
"""Best published, of all 177 pictures: García-Aguilar et al., Neural Computing and Applications 35:18999, 2023."""


def case_of(name: str) -> Case:
    """Return the case of this name."""
    return next(case for case in CASES if case.name == name)


def pieces() -> list[Piece]:
    """Return one piece per case and seed."""
    found = []
    for case in CASES:
        for seed in SEEDS[: case.n_seeds]:
            trial = case.seeded(seed)
            found.append(
                Piece(f"accuracy/{case.name}/seed-{seed}", _measured(trial), (trial,), own_trials=(trial,), seed=seed)
            )
    return found


def specialized(camera: str) -> Trial:
    """Return the trial of YOLOX-nano with the default settings and seed 0 that other groups use again."""
    return case_of(f"{camera}-nano-416-femto").seeded(SEEDS[0])


def _measured(trial: Trial) -> Measure:
    def measure(place: Workplace) -> dict[str, Any]:
        return describe(place.carry_out(trial), place)

    return measure


def describe(done: Finished, place: Workplace) -> dict[str, Any]:
    """Return what a trial was and what it gave, as JSON values without paths."""
    training = done.folder.result(TRAINING, before="the benchmark")
    evaluation = done.evaluation
    return {
        "scene": done.trial.scene.name,
        "edge_model": done.trial.edge_model,
        "input_px": done.trial.input_px,
        "teacher": done.trial.teacher,
        "seed": done.trial.seed,
        "settings": done.trial.overrides(),
        "training": done.config.training.model_dump(mode="json", exclude={"n_threads": True, "replay": {"folder"}}),
        "scores": evaluation.comparison.to_json(),
        "one_box": _one_box(done, place),
        "validation": {"teacher_ap": training.best_val_ap, "human": _human_validation(done, place)},
        "promotion": evaluation.promotion.to_json(),
        "ms_per_frame": {"before": evaluation.before.ms, "after": evaluation.after.ms},
        "seconds": {name: round(seconds, 1) for name, seconds in done.folder.seconds().items()},
        "layers": training.layers,
        "best_epoch": training.best_epoch,
        "stopped_by": training.stopped_by,
        "n_training_frames": training.n_training_frames,
        "n_test_frames": evaluation.n_frames,
    }


def _one_box(done: Finished, place: Workplace) -> dict[str, Any] | None:
    """Return the scores where boxes of merged classes suppress each other; None where no classes are merged."""
    if not done.trial.scene.map_classes:
        return None
    test_set = run_test_set(done.folder, done.config, done.trial.scene)
    before, after = start_detector(place, done.config), specialized_detector(done)
    return {"before": score(before, test_set)["one_box"], "after": score(after, test_set)["one_box"]}


def _human_validation(done: Finished, place: Workplace) -> dict[str, Any] | None:
    """Return before and after on the validation frames by human boxes, which may choose settings; PETS alone has some.

    These frames choose the checkpoint, by the teacher's labels; they are never trained on.
    """
    if done.trial.scene is not PETS:
        return None
    truth = done.config.evaluation.model_copy(update={"ground_truth": place.data / PETS.ground_truth})
    annotated = done.folder.require("annotation", before="scoring")
    with DatasetStore.open(done.folder.dataset) as store:
        _, validation = split_for_validation(store, annotated.fingerprint, done.config)
        wanted = {record.index for record, _ in validation}
        config = done.config.model_copy(update={"evaluation": truth})
        frames = list(human_frames(store, config, "train", labels=store.labels, indices=wanted))
    test_set = TestSet(f"{PETS.name}, validation", store.labels, frames)
    return {
        "before": _brief(score(start_detector(place, done.config), test_set)),
        "after": _brief(score(specialized_detector(done), test_set)),
    }


def _brief(scores: dict[str, Any]) -> dict[str, Any]:
    return {key: scores[key] for key in ("ap50", "ap", "n_frames")}
