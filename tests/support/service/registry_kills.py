"""A program that kills itself while it works on a registry, at every step in turn, and checks what is left.

`python -m support.service.registry_kills FOLDER SEED` prints one line of JSON: kills by stage, and what was
wrong afterwards. A step is a call that reaches the disk or the database; the seed gives kills in between, at random
times. What a process wrote outlives its kill also without a flush to the disk, so nothing is flushed here: a power
cut is another test.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from edge_autotuner.core import FakeClock, LabelMap
from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.server import blobs
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.blobs import Blobs
from edge_autotuner.server.database import Database
from edge_autotuner.server.registry import Registry
from edge_autotuner.server.retention import RetentionRules
from edge_autotuner.wire.registry_messages import BundleRequest, CameraRequest

N_RANDOM_KILLS = 40


def description(name: str, contents: dict[str, bytes], spec: dict[str, Any]) -> str:
    files = {
        role: {"name": role, "n_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for role, content in contents.items()
    }
    values = {
        "format": "edge-autotuner-bundle",
        "version": 1,
        "name": name,
        "architecture": "a",
        "created_at": "2026-01-01T00:00:00+00:00",
        "detector": spec,
        "files": files,
        "metrics": {},
        "promotion": {},
        "lineage": {},
    }
    return json.dumps(values)


class Work:
    """What is done to a registry in one life of the program: it can be done again after any kill."""

    def __init__(self, folder: Path, elapsed_s: float = 1e6) -> None:
        clock = FakeClock(elapsed_s=elapsed_s)  # what was made at 0 is old
        self.database = Database(f"sqlite:///{folder / 'service.db'}")
        self.database.close()
        event.listen(self.database.engine, "connect", lambda made, _: made.execute("PRAGMA synchronous = OFF"))
        self.audit = AuditLog(self.database, clock)
        self.blobs = Blobs(folder / "blobs", reserve_bytes=0, clock=clock)
        rules = RetentionRules(max_age_s=1000, min_age_s=10, n_rollbacks=1, grace_s=10)
        self.registry = Registry(self.database, self.blobs, self.audit, rules=rules, clock=clock)

    def bundle(self, name: str) -> tuple[dict[str, bytes], str]:
        spec = DetectorSpec("tiny", LabelMap(("person",)), (32, 32), "stretch", "bgr", "boxes_scores")
        contents = {"model": name.encode() * 100, "weights": b"weights"}
        return contents, description(name, contents, spec.to_json())

    def upload(self, name: str) -> None:
        async def pieces(content: bytes) -> AsyncIterator[bytes]:
            for start in range(0, len(content), 64):
                yield content[start : start + 64]

        for content in self.bundle(name)[0].values():
            sha256 = hashlib.sha256(content).hexdigest()
            asyncio.run(self.blobs.receive(sha256, pieces(content), declared_bytes=len(content)))

    def add(self, name: str) -> str:
        request = BundleRequest(description=self.bundle(name)[1])
        return self.registry.add("gate", request, client="trainer").id

    def promote(self, name: str) -> None:
        self.registry.promote("gate", self.add(name), client="deployer")

    def stages(self) -> list[tuple[str, Callable[[], object]]]:
        return [
            ("upload", lambda: self.upload("new")),
            ("add", lambda: self.add("new")),
            ("promote", lambda: self.promote("new")),
            ("collect", lambda: self.registry.collect_garbage(client="admin")),
        ]

    def begin(self) -> None:
        """Make bundles old-1, old-2 and old-3, the last of them deployed."""
        self.registry.put_camera("gate", CameraRequest(), client="trainer")
        for name in ("old-1", "old-2", "old-3"):
            self.upload(name)
            self.promote(name)

    def damage(self, *, is_finished: bool) -> list[str]:
        """Return what is wrong with what is on the disk."""
        found = []
        bundles = {bundle.name: bundle for bundle in self.registry.bundles("gate")}
        deployed = [name for name, bundle in bundles.items() if bundle.stage == "deployed"]
        if deployed not in ([["new"]] if is_finished else [["old-3"], ["new"]]):
            found.append(f"deployed: {deployed}")
        kept = {"old-3", "new"} if is_finished else {"old-3"}
        if not kept <= set(bundles) or (is_finished and kept != set(bundles)):
            found.append(f"bundles: {sorted(bundles)}")
        log = [(entry.action, entry.subject) for entry in self.audit.entries()]
        promoted = [subject for action, subject in log if action == "bundle-promoted"]
        if deployed and promoted[-1:] != [f"gate/{bundles[deployed[0]].id}"]:
            found.append("the audit log does not end with what is deployed")
        if len([action for action, _ in log if action == "bundle-added"]) > 4:
            found.append("a bundle was added twice")
        if (damage := self.audit.verify().damage) is not None:
            found.append(damage)
        there = {blob.sha256 for blob in self.blobs.all()}
        for sha256 in there:
            if hashlib.sha256(self.blobs.path(sha256).read_bytes()).hexdigest() != sha256:
                found.append("a content is not what its name says")
        needed = {file.sha256 for bundle in bundles.values() for file in bundle.files}
        if not needed <= there or (is_finished and needed != there):
            found.append(f"contents: {len(there)} of {len(needed)}")
        return found


def in_child(work: Callable[[], object]) -> int:
    """Run something in a process of its own; return how it ended as `os.waitstatus_to_exitcode` does."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def live(folder: Path, *, kill_at: int | None = None, kill_in: str = "", kill_after_s: float = 0.0) -> None:
    """Do the work; the process ends at step `kill_at`, or some time after a stage has begun."""
    work = Work(folder)
    note = os.open(folder / "stage", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    if kill_at is not None:
        count_steps(work.database, kill_at)
    for stage, act in work.stages():
        os.pwrite(note, stage.encode().ljust(16), 0)
        if stage == kill_in:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process like SIGKILL, without a word
            signal.setitimer(signal.ITIMER_REAL, kill_after_s)
        act()
    os.pwrite(note, b"done".ljust(16), 0)


def count_steps(database: Database, kill_at: int) -> None:
    n_steps = 0

    def step(*_arguments: object, **_more: object) -> None:
        nonlocal n_steps
        n_steps += 1
        if n_steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(module: Any, name: str) -> None:
        original = getattr(module, name)

        def call(*arguments: Any, **more: Any) -> Any:
            step()
            return original(*arguments, **more)

        setattr(module, name, call)

    for name in ("write", "fsync", "replace", "utime", "unlink", "mkdir"):
        counted(os, name)
    counted(fcntl, "flock")
    for name in ("begin", "commit", "before_cursor_execute", "after_cursor_execute"):
        event.listen(database.engine, name, step)


def check(folder: Path, report: Path) -> None:
    """See what a kill has left, do the work again, and see again."""
    work = Work(folder)
    found = work.damage(is_finished=False)
    if list((folder / "blobs" / "incoming").iterdir()):
        found.append("a leftover of an upload")
    for _stage, act in work.stages():
        act()
    found += work.damage(is_finished=True)
    report.write_text(json.dumps(found))


def main(folder: Path, seed: int) -> None:
    kills: Counter[str] = Counter()
    wrong: list[str] = []
    os.fsync = lambda _handle: None
    blobs._BLOCK_BYTES = 128
    base = folder / "base"
    base.mkdir()
    assert in_child(lambda: Work(base, 0).begin()) == 0
    rng = random.Random(seed)

    def one(**how: Any) -> bool:
        """Kill once; return whether the work was finished before."""
        life = folder / "life"
        shutil.rmtree(life, ignore_errors=True)
        shutil.copytree(base, life)
        ended = in_child(lambda: live(life, **how))
        stage = (life / "stage").read_text().strip() if (life / "stage").exists() else "start"
        if ended == 0:
            return True
        if ended not in (-signal.SIGKILL, -signal.SIGALRM):
            wrong.append(f"{how}: the work failed in stage {stage}")
            return False
        kills[stage] += 1
        report = folder / "report.json"
        report.unlink(missing_ok=True)
        code = in_child(lambda: check(life, report))
        wrong.extend(f"{how} in {stage}: {text}" for text in json.loads(report.read_text()) if code == 0)
        if code != 0:
            wrong.append(f"{how} in {stage}: the check failed")
        return False

    step = 1
    while not one(kill_at=step):
        step += 1
    for _ in range(N_RANDOM_KILLS):
        one(kill_in=rng.choice(["upload", "add", "promote", "collect"]), kill_after_s=rng.uniform(0.0002, 0.02))
    print(json.dumps({"kills": kills, "wrong": wrong}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
