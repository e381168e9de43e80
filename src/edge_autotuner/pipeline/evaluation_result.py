"""What an evaluation has found out, as `evaluation.json` holds it; needs no torch.

Models compete by name: the training's start, the deployed model to beat, and candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_autotuner.core import Detections, LabelMap, OperatingPoint
from edge_autotuner.core.json_fields import Fields, parse_json
from edge_autotuner.core.tasks import BOXES, task_named
from edge_autotuner.errors import ConfigError, DatasetError, EvaluationError
from edge_autotuner.evaluation import (
    OFF_THE_SHELF,
    SPECIALIZED,
    Comparison,
    FoundObjects,
    PointResult,
    PromotionDecision,
)

START, INCUMBENT, CANDIDATE = "start", "incumbent", "candidate"
"""Names of contenders; the incumbent is one by itself only where it is not the start model."""

DETECTORS = {START: OFF_THE_SHELF, INCUMBENT: "deployed edge", CANDIDATE: SPECIALIZED}
"""How comparison and report call a contender."""


@dataclass(frozen=True)
class Contender:
    """One of the models that were compared.

    Attributes:
        found: objects that it finds at the display score, against the teacher's labels.
        ms: median milliseconds per frame, pre- and post-processing included.
        point: which boxes are shown, chosen on the validation frames; None with too few labels, or where an earlier
            version evaluated.
        at_point: what the point shows in the test frames, by truth; empty without a point.
    """

    found: FoundObjects
    ms: float
    point: OperatingPoint | None = None
    at_point: Mapping[str, PointResult] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values: dict[str, Any] = {"found": self.found.to_json(), "ms": self.ms}
        if self.point is not None:
            values["operating_point"] = self.point.to_json()
            values["at_point"] = {truth: result.to_json() for truth, result in self.at_point.items()}
        return values

    @classmethod
    def from_json(cls, fields: Fields) -> Contender:
        """Read what `to_json` wrote."""
        found, ms = FoundObjects.from_json(fields.inner("found").values), fields.number("ms", at_least=0)
        if not fields.has("operating_point"):
            return cls(found, ms)
        point, results = fields.inner("operating_point"), fields.inner("at_point")
        labels = LabelMap(tuple(point.inner("per_class").values))
        by_truth = {truth: PointResult.from_json(results.inner(truth)) for truth in results.values}
        return cls(found, ms, OperatingPoint.from_json(point, labels), by_truth)


@dataclass(frozen=True, eq=False)
class ShownFrame:
    """What contenders found in a test frame that the report shows.

    Attributes:
        index: of the frame.
        found: name of the contender -> what it found at the display score.
        task: name of the task.
    """

    index: int
    found: Mapping[str, Detections]
    task: str = BOXES.name

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        codec = task_named(self.task).codec
        found = {name: codec.to_json(detections) for name, detections in self.found.items()}
        return {"index": self.index, "task": self.task, "found": found}

    @classmethod
    def from_json(cls, fields: Fields) -> ShownFrame:
        """Read what `to_json` wrote."""
        task, found = fields.text("task"), fields.inner("found")
        codec = task_named(task).codec
        return cls(fields.whole("index"), {name: codec.from_json(found.inner(name)) for name in found.values}, task)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluation.json` holds.

    Attributes:
        comparison: scores by truth and detector.
        promotion: whether the candidate replaces the incumbent.
        contenders: by name.
        n_frames: test frames.
        n_human_frames: those with human boxes.
        incumbent: name of the contender that had to be beaten.
        candidate: name of the one that the promotion is about, the best of the candidates.
        shown: frames for the report; empty where an earlier version evaluated.
    """

    comparison: Comparison
    promotion: PromotionDecision
    contenders: Mapping[str, Contender]
    n_frames: int
    n_human_frames: int
    incumbent: str = START
    candidate: str = CANDIDATE
    shown: tuple[ShownFrame, ...] = ()

    @property
    def has_points(self) -> bool:
        """Whether both models have an operating point; the boxes of `shown` are then those that the points show."""
        return self.before.point is not None and self.after.point is not None

    @property
    def before(self) -> Contender:
        """What the training started from."""
        return self.contenders[START]

    @property
    def after(self) -> Contender:
        """The best candidate."""
        return self.contenders[self.candidate]

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "comparison": self.comparison.to_json(),
            "promotion": self.promotion.to_json(),
            "found_before": self.before.found.to_json(),  # these four for readers of earlier versions
            "found_after": self.after.found.to_json(),
            "ms_before": self.before.ms,
            "ms_after": self.after.ms,
            "n_frames": self.n_frames,
            "n_human_frames": self.n_human_frames,
            "contenders": {name: contender.to_json() for name, contender in self.contenders.items()},
            "incumbent": self.incumbent,
            "candidate": self.candidate,
            "shown": [frame.to_json() for frame in self.shown],
        }


def read_evaluation(path: Path) -> Evaluation:
    """Read what the stage wrote.

    Raises:
        DatasetError: the file is damaged.
    """
    try:
        fields = Fields(parse_json(path.read_bytes()), "")
        result = Evaluation(
            Comparison.from_json(fields.inner("comparison").values),
            PromotionDecision.from_json(fields.inner("promotion").values),
            _contenders(fields),
            n_frames=fields.whole("n_frames", at_least=0),
            n_human_frames=fields.whole("n_human_frames", at_least=0),
            incumbent=fields.text("incumbent", default=START),
            candidate=fields.text("candidate", default=CANDIDATE),
            shown=tuple(ShownFrame.from_json(frame) for frame in fields.each("shown"))
            if "shown" in fields.values
            else (),
        )
        missing = {START, result.incumbent, result.candidate} - set(result.contenders)
        if missing:
            raise ValueError(f"the contenders lack {sorted(missing)[0]!r:.60}")
    except (OSError, ValueError, ConfigError, EvaluationError) as exc:
        raise DatasetError(f"{path} is damaged ({exc}); delete it and run `edge-autotuner evaluate` again") from exc
    return result


def _contenders(fields: Fields) -> dict[str, Contender]:
    if "contenders" in fields.values:
        by_name = fields.inner("contenders")
        return {name: Contender.from_json(by_name.inner(name)) for name in by_name.values}
    return {
        name: Contender(FoundObjects.from_json(fields.inner(found).values), fields.number(ms, at_least=0))
        for name, found, ms in ((START, "found_before", "ms_before"), (CANDIDATE, "found_after", "ms_after"))
    }
