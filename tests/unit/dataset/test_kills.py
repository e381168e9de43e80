"""Real kills and a real full disk: what was acknowledged stays, nothing is doubled, exports are whole."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_autotuner.dataset import DatasetStore
from support.runs.dataset_folders import new_store

TESTS = Path(__file__).resolve().parents[2]

WRITE_FOR_EVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from support.runs.dataset_folders import add_frame, annotation, new_store, picture
store = new_store(Path(sys.argv[1]))
print("ready", flush=True)
index = len(store.frames())
while True:
    store.add_background(picture(index)[:, :, 0])
    record = add_frame(store, index)
    print("frame", index, flush=True)
    store.add_annotation(record, annotation((1, 2, 3, 4, 0.5, index % 2)), teacher="t", fingerprint="f")
    print("annotation", index, flush=True)
    if index % 3 == 0:
        store.export()
    index += 1
"""


def start_writer(folder: Path, log: Path, script: str = WRITE_FOR_EVER, *prefix: str) -> subprocess.Popen[bytes]:
    """Start a writer whose acknowledgements go to `log` and whose errors to `log` + ".err"."""
    environment = os.environ | {"PYTHONPATH": str(TESTS.parent / "src"), "OMP_NUM_THREADS": "1"}
    command = [*prefix, sys.executable, "-c", script, str(folder), str(TESTS)]
    with log.open("wb") as output, Path(f"{log}.err").open("wb") as errors:
        return subprocess.Popen(command, stdout=output, stderr=errors, env=environment, start_new_session=True)


def wait_for_lines(writer: subprocess.Popen[bytes], log: Path, n_lines: int) -> None:
    while log.read_bytes().count(b"\n") < n_lines:
        assert writer.poll() is None, Path(f"{log}.err").read_text()
        time.sleep(0.005)


def acknowledged_in(log: Path) -> set[tuple[str, int]]:
    lines = log.read_text().rpartition("\n")[0].splitlines()[1:]
    return {(kind, int(index)) for kind, index in (line.split() for line in lines)}


def check_dataset(folder: Path, acknowledged: set[tuple[str, int]]) -> None:
    store = DatasetStore.open(folder)
    frames = store.frames()
    assert [f.index for f in frames] == list(range(len(frames)))
    assert {i for kind, i in acknowledged if kind == "frame"} <= {f.index for f in frames}
    for frame in frames:
        store.read_image(frame)
        found = store.annotation_of(frame, "f")
        assert found is not None or ("annotation", frame.index) not in acknowledged
        assert found is None or found.detections.class_ids.tolist() == [frame.index % 2]
    for name in ("annotations.coco.json", "manifest.json"):
        if (folder / name).exists():
            json.loads((folder / name).read_text())
    lines = (folder / "journal.jsonl").read_bytes().split(b"\n")[:-1]
    assert len(lines) == len(set(lines)), "a record was written twice"


def test_nothing_acknowledged_is_lost_by_kills(tmp_path: Path) -> None:
    rng = random.Random(7)
    acknowledged: set[tuple[str, int]] = set()
    log = tmp_path / "log"
    for _ in range(8):
        writer = start_writer(tmp_path / "d", log)
        wait_for_lines(writer, log, rng.randint(1, 12))
        time.sleep(rng.uniform(0.0, 0.02))
        writer.kill()
        assert writer.wait(timeout=300) == -signal.SIGKILL
        acknowledged |= acknowledged_in(log)
        check_dataset(tmp_path / "d", acknowledged)
    assert len(acknowledged) > 8
    with new_store(tmp_path / "d") as store:
        store.export()
    coco = json.loads((tmp_path / "d/annotations.coco.json").read_text())
    assert [image["frame_index"] for image in coco["images"]] == list(range(len(coco["images"])))


FILE_LIMIT = (
    """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
"""
    + WRITE_FOR_EVER
)


def test_a_refused_journal_write_keeps_the_rest(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert start_writer(tmp_path / "d", log, FILE_LIMIT).wait(timeout=300) == 1
    errors = Path(f"{log}.err").read_text()
    assert "StorageError: cannot write" in errors
    assert "ulimit -f" in errors
    acknowledged = acknowledged_in(log)
    assert len(acknowledged) > 4
    check_dataset(tmp_path / "d", acknowledged)
    assert not list((tmp_path / "d").rglob("*.tmp"))
    with new_store(tmp_path / "d") as store:
        store.export()


def test_full_disk(tmp_path: Path) -> None:
    """A file system of 256 KB that only the writer's own mount namespace sees."""
    disk, copy, log = tmp_path / "disk", tmp_path / "copy", tmp_path / "log"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=256k tmpfs "{disk}"'
    unshare = shutil.which("unshare")
    in_namespace = [unshare or "", "--mount", "--map-root-user", "sh", "-c"]
    if unshare is None or subprocess.run([*in_namespace, mount], capture_output=True, check=False).returncode:
        pytest.skip("needs a mount namespace of its own (unshare --mount)")
    shell = f'{mount} && "$@"; cp -r "{disk}/d" "{copy}"'
    assert start_writer(disk / "d", log, WRITE_FOR_EVER, *in_namespace, shell, "sh").wait(timeout=300) == 0
    assert "No space left on device; free some space" in Path(f"{log}.err").read_text()
    acknowledged = acknowledged_in(log)
    assert len(acknowledged) > 4
    check_dataset(copy, acknowledged)
    assert not list(copy.rglob("*.tmp"))
