"""What `edge-autotuner jobs` prints, and how it says that an option is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from edge_autotuner.cli.jobs import _event_line, _line, _verdict
from edge_autotuner.wire.job_messages import JobEvent, JobInfo
from support.runs.cli_runs import run_cli
from support.service.job_samples import AT, new_job

AT_NOBODY = ("--url", "http://127.0.0.1:9")


def job(**values: Any) -> JobInfo:
    return JobInfo.model_validate(new_job("job-1") | values)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        pytest.param({}, "job-1  gate  queued  asked 2026-01-02 03:04 UTC by node", id="queued"),
        pytest.param(
            {"state": "running", "progress": {"task": "training", "done": 2, "total": 9}},
            "job-1  gate  running (training 2/9)  asked 2026-01-02 03:04 UTC by node",
            id="running",
        ),
        pytest.param(
            {"state": "running", "progress": {"task": "export", "done": 2, "total": None}},
            "job-1  gate  running (export 2)  asked 2026-01-02 03:04 UTC by node",
            id="nobody knows how long",
        ),
    ],
)
def test_a_job_is_one_line(values: dict[str, Any], line: str) -> None:
    assert _line(job(**values)) == line


@pytest.mark.parametrize(
    ("values", "line"),
    [
        pytest.param({"state": "cancelled"}, "job-1 is cancelled", id="cancelled"),
        pytest.param(
            {"state": "failed", "error": {"kind": "disk", "detail": "it is full"}}, "disk: it is full", id="failed"
        ),
        pytest.param(
            {
                "state": "done",
                "result": {"promoted": True, "reason": "better", "metrics": {}, "candidate": "b1", "files": []},
            },
            "better; candidate b1 of gate",
            id="done",
        ),
    ],
)
def test_what_came_of_a_job_is_one_line(values: dict[str, Any], line: str) -> None:
    assert _verdict(job(**values)) == line


def test_an_event_is_one_line() -> None:
    values = {"seq": 1, "at": AT, "kind": "epoch", "name": "training", "values": {"epoch": 3, "loss": 1.23456}}
    assert _event_line(JobEvent.model_validate(values)) == (
        "  2026-01-02 03:04:05  epoch training: epoch 3, loss 1.235"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(("list", *AT_NOBODY, "--state", "over"), 2, "expected one of queued, running", id="no state"),
        pytest.param(("list", "--url", "ftp://x"), 2, "--url ftp://x", id="no address"),
        pytest.param(("tune", "nothing", *AT_NOBODY), 6, "nothing is not the folder of a run", id="no run"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], code: int, message: str) -> None:
    outcome = run_cli("jobs", *arguments)
    assert outcome.code == code, outcome.err
    assert message in outcome.err
