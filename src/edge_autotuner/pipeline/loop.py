"""The loop, described once: its stages in their order, what each reads, and what each leaves.

Everything that goes through the loop derives from this table: the records of a run, the runner, the commands, the node,
the service's jobs and the benchmarks. Importing it loads nothing else.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from edge_autotuner.pipeline.session import Prepared, Session
    from edge_autotuner.pipeline.stage_results import (
        AnnotationResult,
        CaptureResult,
        EvaluationResult,
        ExportResult,
        TrainingResult,
    )

Result = TypeVar("Result")

_HOME = "edge_autotuner.pipeline"


@dataclass(frozen=True)
class Stage(Generic[Result]):
    """One stage of the loop.

    Attributes:
        name: in `state.json`, in reports and in messages.
        command: of `edge-autotuner`, for this stage alone.
        inputs: stages that must be finished before.
        result: class in `stage_results` of what it records; None: it leaves a page, and is never skipped.
        time_share: share of a deadline for the whole job at whose end it must stop; None: it is not limited.
    """

    name: str
    command: str
    inputs: tuple[str, ...] = ()
    result: str | None = None
    time_share: float | None = None

    @property
    def prepare(self) -> Callable[[Session], AbstractContextManager[Prepared[Result]]]:
        """Opens what the stage works with; loads its libraries."""
        prepare: Any = importlib.import_module(f"{_HOME}.{self.name}_stage").prepare
        return prepare  # type: ignore[no-any-return]

    @property
    def result_class(self) -> Any:  # noqa: ANN401 (a class in `stage_results`)
        """What reads the result from a record."""
        assert self.result is not None, f"{self.name} records nothing"
        return getattr(importlib.import_module(f"{_HOME}.stage_results"), self.result)


CAPTURE: Stage[CaptureResult] = Stage("capture", "capture", (), "CaptureResult", time_share=0.25)
ANNOTATION: Stage[AnnotationResult] = Stage("annotation", "annotate", ("capture",), "AnnotationResult", time_share=0.5)
TRAINING: Stage[TrainingResult] = Stage("training", "tune", ("annotation",), "TrainingResult", time_share=1.0)
EVALUATION: Stage[EvaluationResult] = Stage("evaluation", "evaluate", ("annotation", "training"), "EvaluationResult")
EXPORT: Stage[ExportResult] = Stage("export", "export", ("evaluation", "training"), "ExportResult")
REPORT: Stage[None] = Stage("report", "report", ("capture",))

LOOP: tuple[Stage[Any], ...] = (CAPTURE, ANNOTATION, TRAINING, EVALUATION, EXPORT, REPORT)

STAGES = tuple(stage.name for stage in LOOP)
COMMANDS = {stage.name: stage.command for stage in LOOP}


def stages_between(first: str, last: str) -> tuple[Stage[Any], ...]:
    """Return the stages from one to another, both included.

    >>> [stage.name for stage in stages_between("training", "export")]
    ['training', 'evaluation', 'export']
    """
    return LOOP[STAGES.index(first) : STAGES.index(last) + 1]
