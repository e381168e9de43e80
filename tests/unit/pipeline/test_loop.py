"""The description of the loop fits what it describes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_autotuner.cli import stages as commands
from edge_autotuner.pipeline import loop
from edge_autotuner.pipeline.loop import LOOP, Stage, stages_between


@pytest.mark.parametrize("stage", LOOP, ids=lambda stage: stage.name)
def test_a_stage_has_a_module_a_command_and_a_result(stage: Stage[object]) -> None:
    assert Path(loop.__file__).with_name(f"{stage.name}_stage.py").is_file()
    assert callable(stage.prepare)
    assert callable(getattr(commands, stage.command))
    assert stage.result is None or callable(stage.result_class.from_json)


def test_inputs_come_before() -> None:
    for position, stage in enumerate(LOOP):
        assert set(stage.inputs) <= {earlier.name for earlier in LOOP[:position]}, stage.name


def test_a_part_of_the_loop() -> None:
    assert [stage.command for stage in stages_between("annotation", "evaluation")] == ["annotate", "tune", "evaluate"]
    assert stages_between("report", "report") == (loop.REPORT,)
    with pytest.raises(ValueError, match="not in tuple"):
        stages_between("capture", "pruning")
