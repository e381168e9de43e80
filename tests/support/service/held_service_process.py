"""The service with a stub model as a process of its own, which can be asked, stopped and killed."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from helpers import REPOSITORY
from support.service.service_samples import WAIT_S

PNG = {"Content-Type": "image/png"}


class Service:
    """A running service.

    Attributes:
        url: where it listens.
        client: with a token, for one connection per thread.
    """

    def __init__(
        self, command: list[str], log: Path, *, token: str | None = None, verify: ssl.SSLContext | None = None
    ) -> None:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "PYTHONUNBUFFERED": "1"}
        self._log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True)
        self.token = token or self._next_line()
        self.url = self._next_line().removeprefix("listening on ")
        headers = {"Authorization": f"Bearer {self.token}"}
        self.client = httpx2.Client(
            base_url=self.url, headers=headers, timeout=WAIT_S, verify=verify if verify is not None else True
        )

    def _next_line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, f"the service ended: {self.log}"
        return line

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def annotate(self, content: bytes, **headers: str) -> httpx2.Response:
        return self.client.post("/v1/models/stub/annotations", content=content, headers={**PNG, **headers})

    def metric(self, line: str) -> float:
        page = self.client.get("/metrics").text.splitlines()
        return float(next(text.rpartition(" ")[2] for text in page if text.startswith(line)))

    def wait_ready(self) -> Service:
        wait_until(lambda: self.client.get("/v1/ready").status_code == 200)
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Ask again and again; each question waits for an answer of another process."""
    for _ in range(20_000):
        if is_so():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not happen")


@contextmanager
def stub_service(folder: Path, *settings: str, verify: ssl.SSLContext | None = None) -> Iterator[Service]:
    command = [
        sys.executable,
        str(Path(__file__).with_name("held_service.py")),
        str(folder),
        *settings,
    ]
    service = Service(command, folder / "log", verify=verify)
    try:
        yield service.wait_ready()
    finally:
        service.process.kill()
        service.process.wait()
        service.client.close()
        assert service.process.stdout is not None
        service.process.stdout.close()
