"""What is checked before a run starts, and where its results are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config import RunConfig, load_config
from edge_autotuner.errors import ConfigError, EdgeAutotunerError, VideoError
from edge_autotuner.pipeline.run import check_start, run
from support.runs.run_samples import FinishedRun, Samples, state_of


def changed(samples: Samples, section: str | None = None, **changes: Any) -> RunConfig:
    settings = load_config(samples.config).model_dump(mode="json")
    (settings[section] if section else settings).update(changes)
    return RunConfig.model_validate(settings)


def test_a_finished_run_is_not_repeated(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    before = state_of(folder)
    result = run(samples.video, folder, load_config(samples.config), command="edge-autotuner run again")
    assert state_of(folder) == before
    assert (result.output, result.bundle) == (folder, folder / "bundle")
    assert "edge-autotuner run again" in result.report.read_text(encoding="utf-8"), "but the page is written anew"
    assert result.promotion == result.evaluation.promotion


def test_a_run_that_can_start(samples: Samples, tmp_path: Path) -> None:
    check_start(samples.video, tmp_path / "run", load_config(samples.config))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("section", "changes", "error"),
    [
        pytest.param(None, {"edge_model": "nobody"}, ConfigError, id="edge model"),
        pytest.param("annotation", {"teacher": "no.onnx"}, ConfigError, id="teacher"),
        pytest.param("annotation", {"classes": ["unicorn"]}, ConfigError, id="class"),
        pytest.param("evaluation", {"test_source": "no.mp4"}, VideoError, id="test source"),
    ],
)
def test_a_run_that_cannot(
    section: str | None, changes: dict[str, Any], error: type[EdgeAutotunerError], samples: Samples, tmp_path: Path
) -> None:
    with pytest.raises(error):
        check_start(samples.video, tmp_path / "run", changed(samples, section, **changes))


def test_a_live_run_cannot_be_judged_by_frames_of_a_recording(samples: Samples, tmp_path: Path) -> None:
    config = changed(samples, "evaluation", ground_truth=str(samples.ground_truth))
    with pytest.raises(ConfigError, match=r"for a live source, set evaluation\.test_source"):
        check_start("rtsp://127.0.0.1:1/stream", tmp_path / "run", config)
    with pytest.raises(VideoError, match=r"the source .*no\.mp4 does not exist"):
        check_start(tmp_path / "no.mp4", tmp_path / "run", config)
