"""Strikes while a service trains for a client: at the client, the service, its worker, and the job's process."""

from __future__ import annotations

import json
from typing import Any, Literal

from benchmarks.kills import checks
from benchmarks.kills.borrowed import sample_files
from benchmarks.kills.faults import Plan
from benchmarks.kills.lives import be_command, be_job_worker
from benchmarks.kills.place import Lived, NothingShared, Place, Server, Supervised, link_to, live_until_done
from benchmarks.kills.points import Point, Side
from edge_autotuner.client import Connection, JobsClient, RegistryClient
from edge_autotuner.config.service import ServiceConfig

Name = Literal["asking for a tuning", "tuning request", "job worker", "tuning"]
STAGES: tuple[Name, ...] = ("asking for a tuning", "tuning request", "job worker", "tuning")
_BASE = "labelled at a service"
_CAMERA = "yard"


class Tuning(NothingShared):
    """One process of a training at the service; the client follows it until the results are in its folder."""

    def __init__(self, place: Place, name: Name) -> None:
        self.name, self._place = name, place
        self.side: Side = "client" if name == "asking for a tuning" else "server"
        self.has_link = name != "tuning"

    def prepare(self) -> int:
        """Make the state before it and the reference, and return the stage's steps."""
        self._make_base()
        return int(self._place.note(f"steps of {self.name}", self._count))

    def play(self, point: Point, n_steps: int) -> tuple[Lived, list[str]]:
        """Strike once; return what happened, and what was wrong afterwards."""
        self._place.begin(_BASE)
        lived, found = self._tune(point, [point.first(n_steps), point.second(n_steps)], point.later())
        return lived, found + self._damage()

    def _count(self) -> int:
        self._place.begin(_BASE)
        lived, found = self._tune(None, [Plan(self.name)], Plan(""))
        self._place.note("tuned at a service", self._result)
        if damage := found + self._damage():
            raise AssertionError(f"{self.name} goes wrong without any strike: {damage}")
        return lived.n_steps

    def _tune(self, point: Point | None, plans: list[Plan], later: Plan) -> tuple[Lived, list[str]]:
        """Let a client ask until it has its results; return what happened, and what the service says wrongly."""
        place, nothing = self._place, (Plan(""),)
        struck = {name: plans if name == self.name else nothing for name in STAGES}
        if self.name == "tuning":
            plans[1:] = []  # the second process of a job goes on undisturbed
        server = Server(place.life / "service", place, struck["tuning request"], later)
        at_worker = plans if self.name in ("job worker", "tuning") else nothing
        worker = Supervised(be_job_worker, server.config, plans=at_worker, later=later, log=place.logs / "worker.log")
        with server, worker, link_to(server.url, server.port, point) as url:
            command = ["jobs", "tune", str(place.life / "run"), "--url", url, "--camera", _CAMERA]
            client = live_until_done(
                be_command,
                [*command, "--token-file", str(server.token_file)],
                point_plans=struck["asking for a tuning"],
                later=later,
                log=place.log,
            )
            config = ServiceConfig(url=server.url, token_file=server.token_file, first_retry_s=0.05, longest_retry_s=1)
            with Connection(config) as connection:
                jobs = JobsClient(connection).jobs()
        found = checks.difference("jobs", [job.state for job in jobs], ["done"])
        if self.name == "asking for a tuning":
            return client, found
        lived = server.lived if self.name == "tuning request" else worker.lived
        if self.name == "tuning" and lived.was_struck_within and point is not None and point.is_kill:
            return Lived(1, 0, lived.n_steps), found
        return lived, found

    def _make_base(self) -> None:
        """Capture and label a run, and make a service that knows its camera."""
        place = self._place
        if place.has(_BASE):
            return
        place.begin(None)
        run, config = str(place.life / "run"), str(place.samples.config)
        for command in (
            ["capture", str(place.samples.video), "--output", run, "--config", config],
            ["annotate", run, "--config", config],
        ):
            live_until_done(be_command, command, point_plans=(), later=Plan(""), log=place.log)
        place.make_tokens(place.life / "service" / "data", place.life / "service" / "token")
        server = Server(place.life / "service", place)
        config_there = ServiceConfig(url=server.url, token_file=server.token_file)
        with server, Connection(config_there) as connection:
            RegistryClient(connection).put_camera(_CAMERA)
        place.keep(_BASE)

    def _damage(self) -> list[str]:
        """The client has the undisturbed result, and the service has one job, one candidate, and no folder of a job."""
        run, data = self._place.life / "run", self._place.life / "service" / "data"
        found = checks.dataset_damage(run / "dataset", is_labelled=True) + checks.leftovers(run)
        found += checks.bundles_damage(run)
        stored = checks.Stored(data)
        try:
            found += stored.damage()
            stages = [bundle.stage for bundle in stored.registry.bundles(_CAMERA)]
        finally:
            stored.close()
        found += checks.difference("bundles of the registry", stages, ["candidate"])
        left = [path.name for path in (data / "jobs").iterdir() if path.is_dir()]
        found += [f"left over: jobs/{name}" for name in left]
        reference = self._place.note("tuned at a service", dict)
        return found + checks.difference("tuned", self._result(), reference)

    def _result(self) -> dict[str, Any]:
        """Return what the client got, without times."""
        run = self._place.life / "run"
        evaluation = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
        with_frames = sample_files().results_of(run)
        return checks.plain({**with_frames, "promotion": evaluation["promotion"]})  # type: ignore[no-any-return]
