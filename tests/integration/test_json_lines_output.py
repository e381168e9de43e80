"""The JSON lines output across kills and on a full disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from helpers import REPOSITORY
from support.machine.mount_namespace import shell_in_mount_namespace
from support.service.output_samples import wait_until

WRITE_FOR_EVER = """
import sys
from itertools import count
from pathlib import Path
from edge_autotuner.node.outputs.json_lines import JsonLinesFile
from support.service.output_samples import make_report
output = JsonLinesFile(Path(sys.argv[1]), max_bytes=100_000_000)
for index in count(int(sys.argv[2])):
    output.take(make_report(*[0] * 100, index=index))
"""


def test_killed_writers_tear_one_line_each_at_most(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    paths = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY / "tests")])
    n_lives = 3
    for life in range(n_lives):
        size = path.stat().st_size if path.exists() else 0
        command = [sys.executable, "-c", WRITE_FOR_EVER, str(path), str(life * 1_000_000)]
        writer = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths})
        wait_until(lambda size=size: path.exists() and path.stat().st_size > size + 100_000)
        writer.kill()
        writer.wait()
    indices, n_torn = [], 0
    for line in path.read_bytes().splitlines():
        try:
            indices.append(json.loads(line)["frame_index"])
        except ValueError:
            n_torn += 1
    assert n_torn <= n_lives
    assert {index // 1_000_000 for index in indices} == set(range(n_lives))
    gaps = [later - earlier for earlier, later in pairwise(indices)]
    assert all(gap == 1 or gap > 500_000 for gap in gaps)  # within a life, no line is missing


FILL_AND_GO_ON = """
import os, sys
from pathlib import Path
from edge_autotuner.node.outputs.json_lines import JsonLinesFile
from support.service.output_samples import make_report
disk = Path(sys.argv[1])
ballast = disk / "ballast"
ballast.write_bytes(bytes(40_000))
output = JsonLinesFile(disk / "seen.jsonl", max_bytes=100_000_000)
index = 0
while output.status.n_dropped < 3:
    output.take(make_report(*[0] * 20, index=index))
    index += 1
print(output.status.problem)
ballast.unlink()
output.take(make_report(index=index))
print(output.status.problem, output.status.n_dropped)
sys.stdout.write((disk / "seen.jsonl").read_text())
"""


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A file system of 64 KB that only the writer's own mount namespace sees."""
    in_namespace = shell_in_mount_namespace(tmp_path)
    mount = f'mount -t tmpfs -o size=64k tmpfs "{tmp_path}"'
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY / "tests")]),
        "CODE": FILL_AND_GO_ON,
    }
    command = f'{mount} && "{sys.executable}" -c "$CODE" "{tmp_path}"'
    done = subprocess.run([*in_namespace, command], env=environment, capture_output=True, text=True, check=False)
    problem, end, *lines = done.stdout.splitlines()
    assert problem.endswith("seen.jsonl: No space left on device"), done.stderr
    assert end == "None 3"
    indices = [json.loads(line)["frame_index"] for line in lines]
    assert indices == [*range(len(indices) - 1), indices[-2] + 4]
