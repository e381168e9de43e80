"""Strikes at the service while a client asks for labels, uploads, adds, promotes, rolls back, and collects garbage."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from benchmarks.kills import checks
from benchmarks.kills.faults import Plan
from benchmarks.kills.learning import CAMERA, run_settings
from benchmarks.kills.lives import be_command
from benchmarks.kills.place import Lived, NothingShared, Place, Server, link_to, live_until_done
from benchmarks.kills.points import Point, Side
from benchmarks.kills.processes import TIMEOUT_S, StuckError
from benchmarks.kills.samples import bundle_of, content_of
from edge_autotuner.client import Connection, RegistryClient
from edge_autotuner.client.connection import path_of
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.errors import EdgeAutotunerError, ServiceRefused
from edge_autotuner.storage.journal import read_journal
from edge_autotuner.wire.messages import Request
from edge_autotuner.wire.registry_messages import CollectedGarbage

Answer = TypeVar("Answer")
Name = Literal[
    "server annotation", "result store", "upload", "adding a bundle", "promotion", "rollback", "garbage collection"
]
STAGES: tuple[Name, ...] = (
    "server annotation", "result store", "upload", "adding a bundle", "promotion", "rollback", "garbage collection",
)  # fmt: skip
_OLD = ("old-1", "old-2", "old-3", "old-4", "old-5")
"""Deployed one after the other; three of them can be returned to, and the others are old."""
_NEW = ("new-1", "new-2")
_UNCLAIMED = "nobody's"
_LATER_S = 100 * 86400.0  # then garbage is old
_RETRY_S = 0.05
_BLOCKS = 40  # of 64 KB, in an upload
_GONE = ("blobs-collected", "another")


class _IsThereAlready(Exception):
    """What was asked for had been done before."""


class _Nothing(Request):
    """A request that says everything by its address."""


class Serving(NothingShared):
    """One stage of the service; the client is not struck and asks until it has its answer."""

    side: Side = "server"
    has_link = True

    def __init__(self, place: Place, name: Name) -> None:
        self.name, self._place = name, place
        self._skew_s = _LATER_S if name == "garbage collection" else 0.0

    def prepare(self) -> int:
        """Make the state before the stage and the reference, and return the stage's steps."""
        self._make_base()
        return int(self._place.note(f"steps of {self.name}", self._count))

    def play(self, point: Point, n_steps: int) -> tuple[Lived, list[str]]:
        """Strike once; return what happened, and what was wrong afterwards."""
        self._place.begin(self._base)
        plans = [self._at_its_time(plan) for plan in (point.first(n_steps), point.second(n_steps), point.later())]
        lived = self._work(point, plans[:2], plans[2])
        return lived, self._damage()

    @property
    def _base(self) -> str:
        return "captured at a service" if self.name in STAGES[:2] else "models at a service"

    def _at_its_time(self, plan: Plan) -> Plan:
        return Plan(plan.stage, plan.at, plan.how, plan.n_refusals, plan.skew_s + self._skew_s)

    def _count(self) -> int:
        self._place.begin(self._base)
        lived = self._work(None, [self._at_its_time(Plan(self.name))], self._at_its_time(Plan("")))
        self._place.note(f"reference of {self.name}", self._result)
        damage = self._damage()
        if damage:
            raise AssertionError(f"{self.name} goes wrong without any strike: {damage}")
        return lived.n_steps

    def _work(self, point: Point | None, plans: list[Plan], later: Plan) -> Lived:
        server = Server(self._place.life / "service", self._place, plans, later)
        with server, link_to(server.url, server.port, point) as url:
            if self.name in STAGES[:2]:
                self._annotate(url, server.token_file)
            else:
                self._ask(url, server.token_file)
        return server.lived

    def _annotate(self, url: str, token: Path) -> None:
        values = run_settings(self._place, url, token)["annotation"]
        flags = set_flags({key: value for key, value in values.items() if key in ("teacher", "service")})
        command = ["annotate", str(self._place.life / "run"), *flags]
        live_until_done(be_command, command, point_plans=(), later=Plan(""), log=self._place.log)

    def _ask(self, url: str, token: Path) -> None:
        config = ServiceConfig(
            url=url, token_file=token, first_retry_s=0.02, longest_retry_s=0.5, max_attempts=5, read_timeout_s=20.0
        )
        acts: dict[str, Callable[[Connection], None]] = {
            "upload": self._upload,
            "adding a bundle": self._add,
            "promotion": self._promote,
            "rollback": self._roll_back,
            "garbage collection": _collect,
        }
        with Connection(config) as connection:
            acts[self.name](connection)

    def _upload(self, connection: Connection) -> None:
        folder = self._place.life / "uploads"
        folder.mkdir(exist_ok=True)
        files = {}
        for number in range(3):
            content = content_of(f"upload {number}", _BLOCKS << 16)
            path = folder / str(number)
            path.write_bytes(content)
            files[hashlib.sha256(content).hexdigest()] = path
        _until_it_works(lambda: RegistryClient(connection).upload(files))

    def _add(self, connection: Connection) -> None:
        client = RegistryClient(connection)
        for name in ("added-1", "added-2", "added-3"):
            description = bundle_of(name, like=_NEW[0])[0]
            _until_it_works(partial(client.publish, CAMERA, description, {}))

    def _promote(self, connection: Connection) -> None:
        client = RegistryClient(connection)
        ids = {bundle.name: bundle.id for bundle in _until_it_works(lambda: client.bundles(CAMERA))}
        for name in _NEW:
            _until_it_works(partial(client.promote, CAMERA, ids[name]))

    def _roll_back(self, connection: Connection) -> None:
        """Go two steps back."""
        client = RegistryClient(connection)
        ids = {bundle.name: bundle.id for bundle in _until_it_works(lambda: client.bundles(CAMERA))}
        for name in (_OLD[-1], _OLD[-2]):
            with suppress(_IsThereAlready):
                _until_it_works(partial(_leave, client, ids[name]))

    def _make_base(self) -> None:
        place, base = self._place, self._base
        if place.has(base):
            return
        place.begin(None)
        place.make_tokens(place.life / "service" / "data", place.life / "service" / "token")
        if self.name in STAGES[:2]:
            samples = place.samples
            command = ["capture", str(samples.video), "--output", str(place.life / "run"), "--config"]
            live_until_done(be_command, [*command, str(samples.config)], point_plans=(), later=Plan(""), log=place.log)
        else:
            with Server(place.life / "service", place) as server:
                config = ServiceConfig(url=server.url, token_file=server.token_file)
                with Connection(config) as connection:
                    _fill(RegistryClient(connection), place.life / "files")
        place.keep(base)

    def _damage(self) -> list[str]:
        stored = checks.Stored(self._place.life / "service" / "data")
        try:
            found = stored.damage()
        finally:
            stored.close()
        if self.name in STAGES[:2]:
            run = self._place.life / "run"
            found += checks.dataset_damage(run / "dataset", is_labelled=True) + checks.leftovers(run)
        reference = self._place.note(f"reference of {self.name}", dict)
        return found + checks.difference("result", self._result(), reference)

    def _result(self) -> dict[str, Any]:
        """Return what the work has led to, without ids and times."""
        if self.name in STAGES[:2]:
            records = read_journal(self._place.life / "run" / "dataset" / "journal.jsonl").records
            labels = [record for record in records if record["kind"] == "annotation"]
            return {f"{r['split']} {r['index']} {r['fingerprint']}": r["annotation"] for r in checks.plain(labels)}
        stored = checks.Stored(self._place.life / "service" / "data")
        try:
            names = {f"{CAMERA}/{bundle.id}": bundle.name for bundle in stored.registry.bundles(CAMERA)}
            stages = {bundle.name: bundle.stage for bundle in stored.registry.bundles(CAMERA)}
            said = [(action, names.get(subject, "another")) for action, subject in stored.actions()]
            # What is removed is written down before; whoever goes on after a kill writes it down again.
            actions = [
                line for line, before in zip(said, [None, *said], strict=False) if (line, before) != (_GONE, _GONE)
            ]
            blobs = sorted(blob.sha256 for blob in stored.blobs.all())
        finally:
            stored.close()
        return {"stages": stages, "actions": actions, "blobs": blobs}


def set_flags(values: dict[str, Any], prefix: str = "annotation") -> list[str]:
    """Return `--set` flags for nested settings."""
    flags: list[str] = []
    for key, value in values.items():
        if isinstance(value, dict):
            flags += set_flags(value, f"{prefix}.{key}")
        else:
            flags += ["--set", f"{prefix}.{key}={value}"]
    return flags


def _fill(client: RegistryClient, folder: Path) -> None:
    """Publish all bundles, deploy the old ones in turn, and upload something that nothing refers to."""
    client.put_camera(CAMERA)
    folder.mkdir()
    for number, name in enumerate(itertools.chain(_OLD, _NEW)):
        description, contents = bundle_of(name)
        files = {}
        for role, content in contents.items():
            path = folder / f"{number}-{role}"
            path.write_bytes(content)
            files[hashlib.sha256(content).hexdigest()] = path
        added = client.publish(CAMERA, description, files)
        if name in _OLD:
            client.promote(CAMERA, added.id)
    unclaimed = folder / "unclaimed"
    unclaimed.write_bytes(content_of(_UNCLAIMED, 1000))
    client.upload({hashlib.sha256(unclaimed.read_bytes()).hexdigest(): unclaimed})


def _leave(client: RegistryClient, bundle: str) -> None:
    """Roll back from a bundle.

    Raises:
        _IsThereAlready: an earlier request did, whose answer was lost.
    """
    try:
        client.roll_back(CAMERA, leaving=bundle)
    except ServiceRefused as exc:
        if "is not deployed" in str(exc):
            raise _IsThereAlready from exc
        raise


def _collect(connection: Connection) -> None:
    _until_it_works(lambda: connection.post_json(path_of("collect-garbage"), _Nothing(), CollectedGarbage))


def _until_it_works(act: Callable[[], Answer]) -> Answer:
    """Do something again and again, as the node's thread for the registry does, and return what came of it.

    Raises:
        StuckError: it never works.
    """
    ends_at_s = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return act()
        except EdgeAutotunerError as exc:
            if time.monotonic() > ends_at_s:
                raise StuckError(f"the service never does it: {exc}") from exc
        threading.Event().wait(_RETRY_S)
