"""A PostgreSQL server of the tests' own, reached by a socket file: no port, nothing of an installed cluster."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
_SYSTEM_USER = "postgres"
_LIMIT_S = 120.0


@contextmanager
def postgresql() -> Iterator[str]:
    """Give the URL of an empty database; skip the test where PostgreSQL or its driver is not installed."""
    pytest.importorskip("psycopg", reason="needs the extra 'postgresql'")
    places = os.pathsep.join([*map(str, reversed(_DEBIAN)), os.environ.get("PATH", "")])
    server, initdb = shutil.which("postgres", path=places), shutil.which("initdb", path=places)
    if server is None or initdb is None:
        pytest.skip("PostgreSQL is not installed (scripts/test_servers)")
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))  # not below tmp_path: only its owner may enter that
    identity = _identity()
    if identity:
        shutil.chown(folder, identity["user"], identity["group"])
    try:
        made = [initdb, "-D", folder / "data", "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(made, cwd=folder, env=_environment(), capture_output=True, check=True, **identity)
        with _running(server, folder, identity):
            yield f"postgresql://tester@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder)


def _identity() -> dict[str, Any]:
    """Return the user that the server runs as: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(_SYSTEM_USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}


@contextmanager
def _running(server: str, folder: Path, identity: dict[str, Any]) -> Iterator[None]:
    options = {"listen_addresses": "", "unix_socket_directories": folder, "fsync": "off", "max_connections": 50}
    command = [
        server,
        "-D",
        folder / "data",
        *(part for key, value in options.items() for part in ("-c", f"{key}={value}")),
    ]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=_environment(), stderr=output, stdout=output, **identity)
    try:
        until_s = time.monotonic() + _LIMIT_S
        while "ready to accept connections" not in log.read_text(encoding="utf-8", errors="replace"):
            assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
            assert time.monotonic() < until_s, "PostgreSQL does not become ready"
            time.sleep(0.02)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # ends open connections
        process.wait()
