"""Kills at any stage: the same command continues, and the result is that of an undisturbed run."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.runs.cli_runs import CliProcess, Outcome
from support.runs.run_samples import FinishedRun, Samples, candidate_of, results_of, state_of

N_ATTEMPTS = 4
KEPT = "edge-autotuner: interrupted; finished work is kept: repeat the command to continue"


def n_records(folder: Path, kind: str) -> int:
    """Count a kind of records that the dataset has so far."""
    journal = folder / "dataset" / "journal.jsonl"
    return journal.read_bytes().count(f'"kind":"{kind}"'.encode()) if journal.exists() else 0


def n_checkpoints(folder: Path, seen: set[int]) -> int:
    """Count how often a checkpoint was replaced while this was asked."""
    seen |= {path.stat().st_ino for path in folder.glob("training/*/*/checkpoint.safetensors")}
    return len(seen)


def is_done(folder: Path, stage: str) -> bool:
    return (folder / "state.json").exists() and stage in state_of(folder)


def moments(folder: Path, rng: random.Random) -> list[tuple[str, Callable[[], bool]]]:
    """Return moments to strike at, by the stage that is at work then."""
    n_frames, n_labels, seen = rng.randint(1, 10), rng.randint(1, 8), set[int]()
    first_file = rng.choice(["start.onnx", "candidate.onnx"])
    return [
        ("capture", lambda: n_records(folder, "frame") >= n_frames),
        ("annotation", lambda: n_records(folder, "annotation") >= n_labels),
        ("training", lambda: is_done(folder, "annotation")),
        ("training", lambda: n_checkpoints(folder, seen) >= 2),
        ("evaluation", lambda: any(folder.glob(f"training/*/{first_file}"))),
        ("export", lambda: is_done(folder, "evaluation")),
        ("export", lambda: any(folder.glob("bundles/.*")) or any(folder.glob("bundles/*"))),
        ("report", lambda: is_done(folder, "export")),
    ]


def strike(process: CliProcess, number: signal.Signals) -> Outcome:
    process.send(number)
    return process.end()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_survives_kills_at_every_stage(
    seed: int, finished_run: FinishedRun, samples: Samples, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    for attempt in range(N_ATTEMPTS):  # where this process gets few turns, the other is done before it can be struck
        folder = tmp_path / f"run{attempt}"
        command = ("run", samples.video, "-o", folder, "-c", samples.config)
        struck = strike_at_every_stage(rng, folder, command)
        if len(struck) >= 5:
            break
    assert len(struck) >= 5
    last = CliProcess(tmp_path / "last", *command)
    assert last.end().code == 0
    assert results_of(folder) == results_of(finished_run.folder), struck
    leftovers = [p.name for p in folder.rglob(".*") if p.name != ".lock"]
    assert not [name for name in leftovers if name.startswith(".bundle")]


def strike_at_every_stage(rng: random.Random, folder: Path, command: tuple[str | Path, ...]) -> list[tuple[str, int]]:
    """Run the command again and again, and kill or interrupt it in each stage; return where that succeeded."""
    struck = []
    for number, (stage, is_time) in enumerate(moments(folder, rng)):
        if is_time():
            continue  # the run before has come further than it was meant to
        process = CliProcess(folder.with_name(f"{folder.name}-log{number}"), *command)
        process.wait_until(is_time)
        time.sleep(rng.uniform(0, 0.05))
        signal_number = rng.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
        outcome = strike(process, signal_number)
        if outcome.code == 0:
            continue  # it ended before it could be struck
        struck.append((stage, outcome.code))
        if signal_number == signal.SIGKILL:
            assert outcome.code == -signal.SIGKILL
        else:
            check_polite_end(outcome)
    return struck


@pytest.mark.slow
def test_a_training_in_two_rounds_survives_kills(finished_run: FinishedRun, tmp_path: Path) -> None:
    """In the first round, while the student looks at the frames, and in the second round."""
    whole = finished_run.copy(tmp_path / "whole")
    options = ("--set", "training.second_look.enabled=true", "--set", "training.layers=all")
    assert CliProcess(tmp_path / "log", "tune", whole, *options).end().code == 0
    n_before, n_after = (n_records(folder, "annotation") for folder in (finished_run.folder, whole))
    assert n_after > n_before, "the student has looked at frames"
    for attempt in range(N_ATTEMPTS):
        cut = finished_run.copy(tmp_path / f"cut{attempt}")
        if kills_in_two_rounds(cut, options, n_before) >= 2:
            break
    else:
        pytest.fail("the training was always done before it could be struck twice")
    assert CliProcess(tmp_path / "last", "tune", cut, *options).end().code == 0
    assert candidate_of(cut).read_bytes() == candidate_of(whole).read_bytes()
    assert n_records(cut, "annotation") == n_after, "the student was asked once about each frame"


def kills_in_two_rounds(cut: Path, options: tuple[str, ...], n_before: int) -> int:
    """Kill a training in the first round, while the student looks, and in the second; return how often that was."""
    moments: list[Callable[[], bool]] = [
        lambda: any(cut.glob("training/*/first/checkpoint.safetensors")),
        lambda: n_records(cut, "annotation") >= n_before + 2,
        lambda: any(cut.glob("training/*/second/checkpoint.safetensors")),
    ]
    codes = []
    for number, is_time in enumerate(moments):
        process = CliProcess(cut.with_name(f"{cut.name}-log{number}"), "tune", cut, *options)
        process.wait_until(is_time)
        codes.append(strike(process, signal.SIGKILL).code)
    return codes.count(-signal.SIGKILL)  # a process that was done before it could be struck ended with 0


def check_polite_end(outcome: Outcome) -> None:
    assert outcome.code == 130, outcome.err
    assert outcome.complaints == [KEPT]
    assert "Traceback" not in outcome.err
    assert outcome.err.splitlines()[-1] == KEPT


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        ("capture", signal.SIGINT),
        ("annotate", signal.SIGTERM),
        ("training", signal.SIGINT),
        ("evaluation", signal.SIGTERM),
    ],
)
def test_ctrl_c_ends_with_one_line(stage: str, number: signal.Signals, samples: Samples, tmp_path: Path) -> None:
    process = CliProcess(tmp_path / "log", "run", samples.video, "-o", tmp_path / "run", "-c", samples.config)
    process.wait_until(lambda: f"{stage} ..." in (tmp_path / "log.err").read_text())
    outcome = strike(process, number)
    check_polite_end(outcome)
    assert f"{stage} ..." in outcome.err


def test_a_second_run_in_the_same_folder_waits_for_the_first(samples: Samples, tmp_path: Path) -> None:
    command = ("capture", samples.video, "-o", tmp_path / "run", "-c", samples.config)
    first = CliProcess(tmp_path / "first", *command)
    first.wait_until(lambda: n_records(tmp_path / "run", "frame") >= 1)
    first.send(signal.SIGSTOP)
    second = CliProcess(tmp_path / "second", *command).end()
    first.send(signal.SIGCONT)
    assert second.code == 6
    assert "is being written by another run; wait for it, or choose another folder" in second.complaints[0]
    assert first.end().code == 0
