"""What each stage leaves in the record of a run: typed, and as `state.json` holds it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from edge_autotuner.annotation import AnnotationSummary, Magnification, RefinementSummary
from edge_autotuner.capture import CaptureSummary
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.core.types import SizeWH
from edge_autotuner.pipeline.teacher_check import TeacherCheck


@dataclass(frozen=True)
class StageResult:
    """What a stage leaves.

    Every kind has a `from_json(values, seconds)`, which reads what `to_json` and earlier versions wrote; it raises
    `ValueError` or `DatasetError` where a value makes no sense.

    Attributes:
        seconds: time spent, interrupted parts included; None: as long as this call took.
    """

    seconds: float | None = field(default=None, kw_only=True)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; the seconds are in the record beside them."""
        return {name: value for name, value in asdict(self).items() if name != "seconds"}


@dataclass(frozen=True)
class CaptureResult(StageResult):
    """What a capture has found.

    Attributes:
        numbers: of the capture.
        source: where the frames are from, without secrets.
    """

    numbers: CaptureSummary
    source: str

    @property
    def n_source_pixels(self) -> int:
        """Pixels of all frames that were taken from the source."""
        width, height = self.numbers.size_wh
        return self.numbers.n_frames * width * height

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**self.numbers.to_json(), "n_source_pixels": self.n_source_pixels, "source": self.source}

    @classmethod
    def from_json(cls, values: Fields, seconds: float) -> CaptureResult:
        """Read what `to_json` wrote."""
        names = {field.name for field in fields(CaptureSummary)}
        numbers = CaptureSummary.from_json({name: value for name, value in values.values.items() if name in names})
        return cls(numbers, values.text("source"), seconds=seconds)


@dataclass(frozen=True)
class AnnotationResult(StageResult):
    """What the teacher has said.

    Attributes:
        numbers: of all calls with the same teacher and settings.
        input_size_wh: size that the teacher squeezes every picture to; None where an old record does not say.
        refinement: what the rules about labels changed; None where they are switched off.
        check: how the teacher compares with the start model; None where nobody asked, or it cannot be told.
        magnification: how the grid of tiles was chosen; None where the settings say it.
    """

    numbers: AnnotationSummary
    input_size_wh: SizeWH | None
    refinement: RefinementSummary | None = None
    check: TeacherCheck | None = None
    magnification: Magnification | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values = self.numbers.to_json()
        del values["seconds"]  # the record has them
        values["input_size_wh"] = None if self.input_size_wh is None else list(self.input_size_wh)
        parts = {"refinement": self.refinement, "check": self.check, "magnification": self.magnification}
        return values | {name: part.to_json() for name, part in parts.items() if part is not None}

    @classmethod
    def from_json(cls, values: Fields, seconds: float) -> AnnotationResult:
        """Read what `to_json` wrote."""
        width, height = values.wholes("input_size_wh", 2) if values.has("input_size_wh") else (None, None)
        return cls(
            AnnotationSummary.from_json({**values.values, "seconds": seconds}),
            None if width is None or height is None else (width, height),
            RefinementSummary.from_json(values.inner("refinement").values) if values.has("refinement") else None,
            TeacherCheck.from_json(values.inner("check")) if values.has("check") else None,
            Magnification.from_json(values.inner("magnification").values) if values.has("magnification") else None,
            seconds=seconds,
        )


@dataclass(frozen=True)
class Epoch:
    """One line of the learning curves; losses are means over the epoch's steps, epoch 0 is the start."""

    epoch: int
    loss: float
    box_loss: float
    objectness_loss: float
    class_loss: float
    distillation_loss: float
    val_ap: float
    seconds: float

    @classmethod
    def from_json(cls, values: Fields) -> Epoch:
        """Read an entry of a history."""
        values.refuse_unknown({field.name for field in fields(cls)})
        numbers = {field.name: values.number(field.name) for field in fields(cls) if field.name != "epoch"}
        return cls(values.whole("epoch", at_least=0), **numbers)


@dataclass(frozen=True)
class SecondLook:
    """What the student's look at the training frames did to their labels.

    Attributes:
        n_frames: frames that it has looked at.
        n_labels_before: labels in the training frames until then.
        n_labels_after: labels in them afterwards.
        after_epoch: last epoch with the teacher's own labels.
    """

    n_frames: int
    n_labels_before: int
    n_labels_after: int
    after_epoch: int

    @classmethod
    def from_json(cls, values: Fields) -> SecondLook:
        """Read what `asdict` returned."""
        return cls(**{field.name: values.whole(field.name, at_least=0) for field in fields(cls)})


@dataclass(frozen=True)
class TrainingResult(StageResult):
    """What came out of a training, all rounds together; epochs are counted through them.

    Attributes:
        layers: which ones were trained.
        best_epoch: whose weights are the candidate's; 0 for the start.
        best_val_ap: their score on the validation frames.
        stopped_by: such as "deadline" or "end".
        n_steps: steps made.
        n_steps_wanted: steps of all epochs.
        n_parameters: trained parameters.
        n_training_frames: frames with labels that were trained on.
        history: one entry per epoch, and the start.
        second_look: what it changed; None without one.
        allowed_s: time that the settings allowed; None: any.
        n_replayed_frames: pictures of the past that were shown.
        n_validation_frames: frames that chose the best epoch.
    """

    layers: str
    best_epoch: int
    best_val_ap: float
    stopped_by: str
    n_steps: int
    n_steps_wanted: int
    n_parameters: int
    n_training_frames: int
    history: tuple[Epoch, ...]
    second_look: SecondLook | None
    allowed_s: float | None
    n_replayed_frames: int
    n_validation_frames: int

    @classmethod
    def from_json(cls, values: Fields, seconds: float) -> TrainingResult:
        """Read what `to_json` wrote."""
        return cls(
            layers=values.text("layers"),
            best_epoch=values.whole("best_epoch", at_least=-1),
            best_val_ap=values.number("best_val_ap"),
            stopped_by=values.text("stopped_by"),
            n_steps=values.whole("n_steps", at_least=0),
            n_steps_wanted=values.whole("n_steps_wanted", default=0, at_least=0),
            n_parameters=values.whole("n_parameters", at_least=0),
            n_training_frames=values.whole("n_training_frames", at_least=0),
            history=tuple(Epoch.from_json(epoch) for epoch in values.each("history")),
            second_look=SecondLook.from_json(values.inner("second_look")) if values.has("second_look") else None,
            allowed_s=values.number("allowed_s", at_least=0) if values.has("allowed_s") else None,
            n_replayed_frames=values.whole("n_replayed_frames", default=0, at_least=0),
            n_validation_frames=values.whole("n_validation_frames", at_least=0),
            seconds=seconds,
        )


@dataclass(frozen=True)
class Incumbent:
    """The model that a candidate has to beat.

    Attributes:
        bundle: its folder in `bundles/`; None for the start model.
    """

    bundle: str | None


@dataclass(frozen=True)
class EvaluationResult(StageResult):
    """What an evaluation has decided; `evaluation.json` says more.

    Attributes:
        promoted: whether the candidate replaces the deployed model.
        n_frames: test frames.
        incumbent: what the candidate was compared with; None where an earlier version evaluated.
    """

    promoted: bool
    n_frames: int
    incumbent: Incumbent | None = None

    @classmethod
    def from_json(cls, values: Fields, seconds: float) -> EvaluationResult:
        """Read what `to_json` wrote."""
        said = values.inner("incumbent") if values.has("incumbent") else None
        incumbent = None if said is None else Incumbent(said.text("bundle") if said.has("bundle") else None)
        return cls(values.flag("promoted"), values.whole("n_frames", at_least=0), incumbent, seconds=seconds)


@dataclass(frozen=True)
class ExportResult(StageResult):
    """Names of the bundles in `bundles/`.

    Attributes:
        deployed: the better one.
        candidate: what was trained.
        previous: what the candidate had to beat.
        start: what the training started from.
    """

    deployed: str
    candidate: str
    previous: str
    start: str

    @classmethod
    def from_json(cls, values: Fields, seconds: float) -> ExportResult:
        """Read what `to_json` wrote."""
        return cls(*(values.text(name) for name in ("deployed", "candidate", "previous", "start")), seconds=seconds)
