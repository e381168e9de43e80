"""A disk that is really full: exit code 12, what was written stays, and with more space the run continues."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_autotuner.dataset import DatasetStore
from helpers import REPOSITORY
from support.machine.mount_namespace import shell_in_mount_namespace
from support.runs.cli_runs import CliProcess, Outcome
from support.runs.run_samples import FinishedRun, Samples, results_of, state_of


def run_with_limit(command: str, samples: Samples, folder: Path, max_file_bytes: int | None) -> Outcome:
    log = folder.with_name("log")
    arguments = (command, samples.video, "-o", folder, "-c", samples.config)
    return CliProcess(log, *arguments, max_file_bytes=max_file_bytes).end()


def check_refusal(outcome: Outcome) -> None:
    assert outcome.code == 12, outcome.err
    assert len(outcome.complaints) == 1
    assert outcome.complaints[0].startswith("edge-autotuner: StorageError: cannot write ")
    assert "File too large; raise the file size limit" in outcome.complaints[0]
    assert "Traceback" not in outcome.err


def test_a_capture_that_may_not_write_continues(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    """The journal may not grow beyond 4 KB."""
    folder = tmp_path / "run"
    check_refusal(run_with_limit("capture", samples, folder, 4_000))
    assert not (folder / "state.json").exists()
    assert not list(folder.rglob("*.tmp"))
    assert run_with_limit("capture", samples, folder, None).code == 0
    with DatasetStore.open(folder / "dataset") as after, DatasetStore.open(finished_run.folder / "dataset") as whole:
        assert after.frames() == whole.frames()


def test_a_training_that_may_not_write_continues(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    """No file may be larger than 1 MB, which a checkpoint is."""
    folder = tmp_path / "run"
    check_refusal(run_with_limit("run", samples, folder, 1_000_000))
    assert list(state_of(folder)) == ["capture", "annotation"]
    assert not list(folder.rglob("*.tmp"))
    assert run_with_limit("run", samples, folder, None).code == 0
    assert results_of(folder) == results_of(finished_run.folder)


TWO_CAPTURES = """
capture() { "$PYTHON" -m edge_autotuner.cli capture "$VIDEO" --output "$DISK/run" --config "$CONFIG"; }
mount -t tmpfs -o size=128k tmpfs "$DISK" || exit 99
capture; echo "$?" > "$RESULT.full"
mount -o remount,size=64m "$DISK"
capture; echo "$?" > "$RESULT.roomy"
cp -r "$DISK/run" "$RESULT"
"""


@pytest.mark.slow
def test_full_disk(samples: Samples, finished_run: FinishedRun, tmp_path: Path) -> None:
    """A file system of 128 KB, later of 64 MB, that only the command's own mount namespace sees."""
    disk = tmp_path / "disk"
    disk.mkdir()
    in_namespace = shell_in_mount_namespace(disk)
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": str(REPOSITORY / "src"),
        "OMP_NUM_THREADS": "1",
        "PYTHON": sys.executable,
        "VIDEO": str(samples.video),
        "CONFIG": str(samples.config),
        "DISK": str(disk),
        "RESULT": str(tmp_path / "result"),
    }
    done = subprocess.run(
        [*in_namespace, TWO_CAPTURES], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert (tmp_path / "result.full").read_text().strip() == "12", done.stderr
    assert "No space left on device; free some space or choose another output folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "result.roomy").read_text().strip() == "0", done.stderr
    with DatasetStore.open(tmp_path / "result" / "dataset") as after:
        frames = after.frames()
    with DatasetStore.open(finished_run.folder / "dataset") as undisturbed:
        assert frames == undisturbed.frames()
    assert "capture" in json.loads((tmp_path / "result" / "state.json").read_text())
