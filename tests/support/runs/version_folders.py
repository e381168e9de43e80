"""Folders that an earlier version of the program has left: how they are packed, unpacked, and what starts on them.

Nothing of the program is imported: this works with every version of it.
"""

from __future__ import annotations

import io
import json
import lzma
import os
import signal
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helpers import REPOSITORY
from support.machine.free_ports import free_port
from support.service.served_app import wait_until_ready

FIXTURES = REPOSITORY / "tests" / "fixtures"
RUN = ("run", "cam.mp4", "-o", "finished", "-c", "run.yaml")
"""The command of the finished run."""
SEEN_PICTURE = Path("node/gate/batches/00000001/dataset/frames/train_00000020.jpg")
"""What the service was asked about last."""
START_LIMIT_S = 120.0
_POLL_S = 0.01
_REPORT = "report.html"  # has pictures inside, and nothing ever reads it


def versions() -> list[str]:
    """Return the names of the folders of all versions."""
    return sorted(path.name for path in FIXTURES.glob("version_*") if path.is_dir())


def pack(archive: Path, folder: Path, names: Iterable[str]) -> None:
    """Write some things of a folder as a compressed archive: modes, times and links stay, owners and reports do not."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            for path in sorted([folder / name, *(folder / name).rglob("*")]):
                if path.name != _REPORT:
                    tar.add(path, path.relative_to(folder).as_posix(), recursive=False, filter=_without_owner)
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(lzma.compress(packed.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def unpack(version: str, to: Path, *names: str) -> None:
    """Unpack archives of a version into a folder."""
    for name in names:
        with tarfile.open(FIXTURES / version / f"{name}.tar.xz") as tar:
            tar.extractall(to, filter="tar")


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a file holds."""
    return dict(json.loads(path.read_text(encoding="utf-8")))


def start_cli(*arguments: str | Path, cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the command as a process of its own."""
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "edge_autotuner.cli", *map(str, arguments)],
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"},
            stdout=file,
            stderr=file,
        )


def wait_until(process: subprocess.Popen[bytes], has_come: Callable[[], bool], *, log: Path) -> None:
    """Return when something has happened; the process must still be running then."""
    until_s = time.monotonic() + START_LIMIT_S
    while not has_come():
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < until_s, "nothing happened"
        time.sleep(_POLL_S)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve what `serve.yaml` in a folder says, on a free port, until the end of the block; give the address."""
    port, log = free_port(), folder.with_name(f"{folder.name}-service.log")
    url = f"http://127.0.0.1:{port}"
    ages = ("--set", "jobs.keep_s=36500d")  # whenever the test runs, the job is remembered
    process = start_cli("serve", "serve.yaml", "--port", str(port), *ages, cwd=folder, log=log)
    try:
        wait_until(process, lambda: log.read_text(encoding="utf-8") != "", log=log)
        wait_until_ready(url, START_LIMIT_S)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def ask(url: str, token_file: Path, picture: bytes | None = None) -> bytes:
    """Return a service's answer; with a picture, to that."""
    headers = {"Authorization": f"Bearer {token_file.read_text(encoding='utf-8')}", "Content-Type": "image/jpeg"}
    with urllib.request.urlopen(urllib.request.Request(url, picture, headers), timeout=START_LIMIT_S) as reply:
        return bytes(reply.read())
