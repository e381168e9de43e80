"""Real cameras for tests: server processes that can be killed, frozen and started again."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Self

import pytest

from support.machine.free_ports import free_port

SERVERS = Path(__file__).resolve().parents[2] / "servers"
_SYSTEM_PYTHON = "/usr/bin/python3"  # Debian's packages of GStreamer's bindings are for this one
_START_LIMIT_S = 60.0

_TRY_RTSP = """
import gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
missing = [n for n in ("videotestsrc", "x264enc", "rtph264pay", "rtpbin") if Gst.ElementFactory.find(n) is None]
raise SystemExit("without " + ", ".join(missing) if missing else 0)
"""


class CameraServer:
    """A server process that is a camera; it is killed at the end of the `with` block.

    Attributes:
        port: where it listens; a restarted one listens at the same.
    """

    def __init__(self, script: str, *arguments: str, interpreter: str = sys.executable, **environment: str) -> None:
        self._command = [interpreter, str(SERVERS / script)]
        self._environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
        self.port = free_port()
        self._start(*arguments, "--port", str(self.port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def send(self, number: signal.Signals) -> None:
        """Freeze it (SIGSTOP), or let it go on (SIGCONT)."""
        self._process.send_signal(number)

    def start_again(self, *arguments: str) -> None:
        """Start it at the same port, after it was killed."""
        self._start(*arguments, "--port", str(self.port))

    def _start(self, *arguments: str) -> None:
        command = [*self._command, *arguments]
        self._process = subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, text=True)
        if self._first_line().split() != ["ready", str(self.port)]:
            self.kill()
            raise AssertionError(f"{command} does not start")

    def _first_line(self) -> str:
        assert self._process.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        reading = threading.Thread(target=lambda stream: lines.put(stream.readline()), args=(self._process.stdout,))
        reading.start()
        try:
            return lines.get(timeout=_START_LIMIT_S)
        except queue.Empty:
            self._process.kill()
            raise
        finally:
            reading.join()


def rtsp_camera(*arguments: str) -> CameraServer:
    """Start an RTSP camera, or skip the test where it cannot be."""
    reason = _why_no_rtsp()
    if reason is not None:
        pytest.skip(reason)
    return CameraServer("rtsp_server.py", *arguments, interpreter=_SYSTEM_PYTHON)


@cache
def _why_no_rtsp() -> str | None:
    packages = "the Debian packages of tests/servers/packages.txt"
    if not Path(_SYSTEM_PYTHON).exists():
        return f"needs {_SYSTEM_PYTHON} and {packages}"
    tried = subprocess.run([_SYSTEM_PYTHON, "-c", _TRY_RTSP], capture_output=True, text=True, check=False)
    missing = tried.stderr.strip().rpartition("\n")[2]
    return f"needs {packages} ({missing})" if tried.returncode else None
