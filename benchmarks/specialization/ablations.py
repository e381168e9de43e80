"""What each option is worth: one thing different from the default at a time, one seed, a third of the budget.

What each rule of refinement does to the labels themselves is measured by `recipes.label_quality`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.scenes import NGSIM, PETS, Scene
from benchmarks.specialization.accuracy import describe
from benchmarks.specialization.cameras import HIGHWAY
from benchmarks.specialization.piece import Measure, Piece
from benchmarks.specialization.trial import FEMTO, ZOOM, Trial
from benchmarks.specialization.workplace import Workplace
from edge_autotuner.config import AnnotationConfig, RunConfig, TrainingConfig
from edge_autotuner.pipeline.loop import CAPTURE

BUDGET_DIVISOR = 3
DEFAULT = "default"

_BOTH = (PETS, NGSIM)
_VIDEO = (PETS,)  # rules about time do nothing between the far-apart pictures of NGSIM
_PICTURES = (NGSIM,)  # for what one camera is enough: the one that trains faster
_HAS_EMPTY_FRAMES = (HIGHWAY,)


@dataclass(frozen=True)
class Ablation:
    """One change.

    Attributes:
        name: how tables call it; part of the piece's key.
        group: what it is about.
        settings: dotted keys; a value of `Other` depends on the default.
        scenes: cameras on which it can change something.
    """

    name: str
    group: str
    settings: Mapping[str, Any]
    scenes: tuple[Scene, ...] = _BOTH


@dataclass(frozen=True)
class Other:
    """The value that the default is not: off when the option is on by default, on when it is off."""

    off: Any
    on: Any


_NO_REFINEMENT = {
    "annotation.refine.static_objects": "keep",
    "annotation.refine.smooth_boxes_s": 0.0,
    "annotation.refine.smooth_scores_s": 0.0,
    "annotation.refine.one_class_per_object": False,
    "annotation.refine.fill_gaps": "keep",
    "annotation.refine.flicker_max_score": 0.0,
}

ABLATIONS = (
    Ablation("no refinement at all", "labels", _NO_REFINEMENT, _VIDEO),
    Ablation("no second look", "labels", {"training.second_look.enabled": Other(off=False, on=True)}),
    Ablation("two teachers fused", "labels", {"annotation.teacher": f"{FEMTO},{ZOOM}"}, _PICTURES),
    Ablation(
        "uncertain boxes are background",
        "labels",
        {"annotation.uncertain_score": AnnotationConfig().min_score},
        _PICTURES,
    ),
    Ablation("classes of one object kept", "labels", {"annotation.same_object_iou": 1.0}, _PICTURES),
    Ablation("no negatives", "labels", {"capture.selection.empty_fraction": 0.0}, _HAS_EMPTY_FRAMES),
    Ablation("score weights", "loss", {"training.score_weight": Other(off=0.0, on=1.0)}),
    Ablation("distillation", "loss", {"training.distill_weight": Other(off=0.0, on=0.5)}, _PICTURES),
    Ablation("no average of the weights", "loss", {"training.ema_decay": 0.0}, _PICTURES),
    Ablation("pasted objects", "augmentation", {"training.augmentation.paste": Other(off=0.0, on=2.0)}),
    Ablation("mosaics", "augmentation", {"training.augmentation.mosaic": Other(off=0.0, on=0.5)}),
    Ablation("no mirror images", "augmentation", {"training.augmentation.flip": 0.0}, _PICTURES),
    Ablation(
        "no change of size and place",
        "augmentation",
        {"training.augmentation.scale": 0.0, "training.augmentation.translate": 0.0},
        _PICTURES,
    ),
    Ablation(
        "no change of light",
        "augmentation",
        {f"training.augmentation.{name}": 0.0 for name in ("brightness", "contrast", "saturation")},
        _PICTURES,
    ),
    Ablation("noise", "augmentation", {"training.augmentation.noise": Other(off=0.0, on=8.0)}, _PICTURES),
    Ablation("layers: box", "layers", {"training.layers": "box"}),
    Ablation("layers: top", "layers", {"training.layers": "top"}),
)
SCENES = (PETS, NGSIM, HIGHWAY)


def pieces() -> list[Piece]:
    """Return, for each camera, the default and each change of it."""
    default = Ablation(DEFAULT, "", {}, SCENES)
    return [
        _piece(ablation, scene) for scene in SCENES for ablation in (default, *ABLATIONS) if scene in ablation.scenes
    ]


def key_of(ablation: str, scene: Scene) -> str:
    """Return the key of a piece."""
    return f"ablations/{_slug(scene.name)}/{_slug(ablation)}"


def changed(ablation: Ablation) -> dict[str, Any]:
    """Return the dotted keys with the values that are tried."""
    return {
        key: resolved(key, value) if isinstance(value, Other) else value for key, value in ablation.settings.items()
    }


def resolved(key: str, value: Other) -> Any:  # noqa: ANN401 (a setting)
    """Return what the default of a setting is not."""
    return value.on if default_of(key) == value.off else value.off


def default_of(key: str) -> Any:  # noqa: ANN401 (a setting)
    """Return the default of a dotted key; None where there is no such setting."""
    found: Any = RunConfig().model_dump()
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _piece(ablation: Ablation, scene: Scene) -> Piece:
    key = key_of(ablation.name, scene)
    n_epochs = max(1, round(TrainingConfig().n_epochs / BUDGET_DIVISOR))
    settings = {"training.n_epochs": n_epochs, **changed(ablation)}
    teacher = settings.pop("annotation.teacher", FEMTO)
    trial = Trial(key.replace("/", "-"), scene, teacher=teacher, settings=settings)
    return Piece(key, _measured(trial), (trial,), own_trials=(trial,))


def _measured(trial: Trial) -> Measure:
    def measure(place: Workplace) -> dict[str, Any]:
        done = place.carry_out(trial)
        captured = done.folder.result(CAPTURE, before="the benchmark").numbers
        return {**describe(done, place), "reasons": dict(captured.reasons)}

    return measure


def _slug(text: str) -> str:
    return text.lower().replace(":", "").replace(" ", "-")
