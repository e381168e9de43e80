"""The folders of a campaign, and processes that are started again until they have done their work.

FOLDER/samples/       video, edge model and teacher
FOLDER/bases/NAME/    states to begin from, one for each stage
FOLDER/life/          the state that is struck; always here, because runs keep absolute paths
FOLDER/logs/          what processes said
"""

from __future__ import annotations

import itertools
import json
import shutil
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import yaml

from benchmarks.kills.borrowed import FaultyProxy, sample_files
from benchmarks.kills.faults import Plan
from benchmarks.kills.lives import be_server
from benchmarks.kills.points import Point
from benchmarks.kills.processes import TIMEOUT_S, Life, StuckError, Work
from edge_autotuner.config.server import ServerConfig
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.data_folder import database_url
from edge_autotuner.server.database import Database
from edge_autotuner.server.tokens import Tokens

MODEL = "changes"
CLIENT = "node"
_MAX_LIVES = 12
_RETRY_S = 0.05
_POLL_S = 0.01


@dataclass(frozen=True)
class Lived:
    """What happened to the processes that did a piece of work, one after the other.

    Attributes:
        n_kills: how many of them their plans have killed.
        n_refused: how often the disk was full.
        n_steps: of the first, in the stage.
        was_struck_within: whether a process that it has started was struck.
    """

    n_kills: int
    n_refused: int
    n_steps: int
    was_struck_within: bool = False

    def has_hit(self, point: Point) -> bool:
        """Whether what was planned did happen."""
        return self.n_kills > 0 if point.is_kill else self.n_refused > 0


class Place:
    """Folders of one campaign."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.life, self.bases, self.logs = (self.folder / name for name in ("life", "bases", "logs"))
        self.logs.mkdir(parents=True, exist_ok=True)
        self.port = _free_port()

    @property
    def samples(self) -> Any:  # noqa: ANN401 (borrowed from the tests)
        """Files that a run needs; written by the first use."""
        folder, names = self.folder / "samples", ("cam.mp4", "gt.json", "edge.safetensors", "teacher.onnx", "run.yaml")
        if not (folder / names[-1]).is_file():
            folder.mkdir(exist_ok=True)
            sample_files().write_samples(folder)
        fields = ("video", "ground_truth", "edge_model", "teacher", "config")
        return SimpleNamespace(**dict(zip(fields, (folder / name for name in names), strict=True)))

    @property
    def log(self) -> Path:
        """Where the processes of a point write to."""
        return self.logs / "last.log"

    def has(self, base: str) -> bool:
        """Whether there is such a state."""
        return (self.bases / base).is_dir()

    def begin(self, base: str | None) -> None:
        """Make the state of now a copy of one that was kept, or an empty one."""
        shutil.rmtree(self.life, ignore_errors=True)
        if base is None:
            self.life.mkdir()
        else:
            shutil.copytree(self.bases / base, self.life, symlinks=True)

    def keep(self, base: str) -> None:
        """Keep the state of now."""
        unfinished = self.bases / f".{base}"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(self.life, unfinished, symlinks=True)
        shutil.rmtree(self.bases / base, ignore_errors=True)
        unfinished.rename(self.bases / base)

    def note(self, name: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 (JSON)
        """Return JSON values that were kept, or make and keep them."""
        path = self.bases / f"{name}.json"
        if not path.is_file():
            values = make()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values), encoding="utf-8")
        return json.loads(path.read_text(encoding="utf-8"))

    def make_tokens(self, data: Path, token: Path) -> None:
        """Make the data folder of a service that knows one client, who may do everything."""
        data.mkdir(parents=True)
        database = Database(database_url(ServerConfig(data=data)))
        tokens = Tokens(database, AuditLog(database))
        try:
            token.touch(0o600)
            token.write_text(tokens.add(CLIENT, ["annotate", "train", "deploy", "admin"]).text, encoding="utf-8")
        finally:
            tokens.close()
            database.close()


class NothingShared:
    """A stage whose points share nothing."""

    @contextmanager
    def open(self) -> Iterator[None]:
        """Do nothing before and after the points."""
        yield


class Supervised:
    """A process that is started again whenever it ends, as a service manager does; it ends with the block.

    Args:
        work: of the process.
        arguments: of `work`.
        plans: what shall happen to the first processes.
        later: what shall happen to all that come after these.
        log: takes what they say; with a number.
    """

    def __init__(self, work: Work, *arguments: object, plans: Iterable[Plan], later: Plan, log: Path) -> None:
        self._work, self._arguments, self.log = work, arguments, log
        self._plans = itertools.chain(plans, itertools.repeat(later))
        self._stopping = threading.Event()
        self._ended: list[Life] = []
        self._now: Life | None = None
        self._thread = threading.Thread(target=self._supervise, name="supervisor")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._now is not None:
            self._now.stop()
        self._thread.join()

    @property
    def lived(self) -> Lived:
        """What happened to its processes; asked when it has ended."""
        lives = [*self._ended, *([self._now] if self._now else [])]
        noted = [life.noted for life in lives[:2]]
        return Lived(
            sum(life.was_killed for life in lives),
            sum(n.n_refused for n in noted),
            noted[0].n_steps,
            was_struck_within=any(n.was_hit for n in noted),
        )

    def _supervise(self) -> None:
        for number, plan in enumerate(self._plans):
            log = self.log.with_name(f"{self.log.stem}-{number % 3}.log")
            log.unlink(missing_ok=True)
            life = Life(self._work, *self._arguments, plan=plan, log=log)
            self._now = life
            if self._stopping.is_set():
                life.stop()
            life.wait_for_ever()
            was_killed = life.was_killed
            if self._stopping.is_set() and not was_killed:
                return
            self._ended = [*self._ended, life]


class Server(Supervised):
    """The service of a folder.

    Args:
        folder: with `data` and `token`.
        place: of the campaign.
        plans: what shall happen to each process; afterwards nothing does.
        later: plan of all that come after these.
    """

    def __init__(self, folder: Path, place: Place, plans: Iterable[Plan] = (), later: Plan | None = None) -> None:
        self.folder, self.port = folder, place.port
        self.token_file, self.config = folder / "token", folder / "serve.yaml"
        model = {"source": str(place.samples.teacher), "adapter": "yolox", "n_threads": 1}
        values = {
            "port": self.port,
            "data": str(folder / "data"),
            "models": {MODEL: model},
            "quotas": {"requests_per_minute": None, "megapixels_per_minute": None},
            "jobs": {"n_workers": 0, "priority": "normal", "n_threads": 1},  # `be_job_worker` is one
        }
        self.config.write_text(yaml.safe_dump(values), encoding="utf-8")
        log = place.logs / "server.log"
        super().__init__(be_server, self.config, plans=plans, later=later or Plan(""), log=log)

    def __enter__(self) -> Self:
        super().__enter__()
        self.wait_ready()
        return self

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def wait_ready(self) -> None:
        """Wait until it answers.

        Raises:
            StuckError: it does not.
        """
        ends_at_s = time.monotonic() + TIMEOUT_S
        while not self._is_ready():
            if time.monotonic() > ends_at_s:
                self.__exit__()
                raise StuckError("the service does not become ready")
            time.sleep(_POLL_S)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/v1/ready", timeout=10.0) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False


def live_until_done(
    work: Work,
    *arguments: object,
    point_plans: Iterable[Plan],
    later: Plan,
    log: Path,
    is_done: Callable[[], bool] | None = None,
    n_lives: int | None = None,
) -> Lived:
    """Start a process again and again until its work is done.

    Args:
        work: of the process.
        arguments: of `work`.
        point_plans: what shall happen to the first processes.
        later: what shall happen to the others.
        log: takes what they say.
        is_done: says that a process that never ends by itself has done its work; None: exit code 0 does.
        n_lives: start no more than so many, whether it is done or not; None: until it is done.

    Raises:
        StuckError: it is never done.
    """
    n_kills = n_refused = 0
    n_steps: int | None = None
    log.unlink(missing_ok=True)
    for number, plan in enumerate(itertools.islice(itertools.chain(point_plans, itertools.repeat(later)), _MAX_LIVES)):
        with Life(work, *arguments, plan=plan, log=log) as life:
            if is_done is None:
                done = life.wait() == 0
            else:
                done = life.wait_until(is_done)
                life.stop()
                done = done and not life.was_killed
            noted = life.noted
            n_kills += life.was_killed
        n_refused += noted.n_refused
        n_steps = noted.n_steps if n_steps is None else n_steps
        if done or number + 1 == n_lives:
            return Lived(n_kills, n_refused, n_steps)
        time.sleep(_RETRY_S)
    raise StuckError(f"not done after {_MAX_LIVES} starts: {log.read_text(errors='replace')[-2000:]}")


@contextmanager
def link_to(url: str, port: int, point: Point | None) -> Iterator[str]:
    """Give the address that a client talks to: of the service, or of a proxy that spoils the connection."""
    if point is None or not point.is_bad_link:
        yield url
        return
    with FaultyProxy(port, seed=point.link_seed) as proxy:
        proxy.cut()
        mending = threading.Timer(point.cut_s, proxy.mend)
        mending.start()
        try:
            yield proxy.url
        finally:
            mending.join()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
