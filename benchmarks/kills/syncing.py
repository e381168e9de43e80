"""Strikes at a node that publishes its models, and at one that takes a model over from the registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from benchmarks.kills import checks
from benchmarks.kills.faults import Plan
from benchmarks.kills.learning import CAMERA, LEARNED, learned_base, shared_server, write_node
from benchmarks.kills.lives import be_node
from benchmarks.kills.place import Lived, NothingShared, Place, Server, link_to, live_until_done
from benchmarks.kills.points import Point, Side
from edge_autotuner.deployment import deployed_bundle

_STARTED, _TUNED = "start", "batch-00000001"


class Syncing(NothingShared):
    """The node's thread that talks to the registry.

    Publishing begins with two models that the registry does not know, the second one deployed. Taking over begins with
    the first model at the node, and the second one promoted at the registry.
    """

    side: Side = "client"
    has_link = True

    def __init__(self, place: Place, name: Literal["publishing", "taking over"]) -> None:
        self.name, self._place = name, place

    def prepare(self) -> int:
        """Make the state before the stage, and return the stage's steps."""
        if not self._place.has(LEARNED):
            with shared_server(self._place) as server:
                learned_base(self._place, server)
        if not self._place.has(self.name):
            self._make_base()
        return int(self._place.note(f"steps of {self.name}", self._count))

    def play(self, point: Point, n_steps: int) -> tuple[Lived, list[str]]:
        """Strike once; return what happened, and what was wrong afterwards."""
        self._place.begin(self.name)
        server = Server(self._place.life / "service", self._place)
        with server, link_to(server.url, server.port, point) as url:
            lived = self._sync(url, point.first(n_steps), point.second(n_steps), later=point.later())
        return lived, self._damage()

    def _make_base(self) -> None:
        """Begin with what was learned; to take over, publish that, and forget it at the node."""
        place = self._place
        place.begin(LEARNED)
        place.make_tokens(place.life / "service" / "data", place.life / "service" / "token")
        if self.name == "taking over":
            with Server(place.life / "service", place) as server:
                self._sync(server.url, wanted=_TUNED)
            camera = self._camera
            known = _noted(camera / "bundles" / _STARTED)
            for path in (camera / "bundles" / _TUNED).iterdir():
                path.unlink()
            (camera / "bundles" / _TUNED).rmdir()
            (camera / "bundle").unlink()
            (camera / "bundle").symlink_to(Path("bundles", _STARTED), target_is_directory=True)
            (camera / "registry.json").write_text(json.dumps({"id": known}), encoding="utf-8")
        place.keep(self.name)

    @property
    def _camera(self) -> Path:
        return self._place.life / "node" / CAMERA

    def _count(self) -> int:
        self._place.begin(self.name)
        with Server(self._place.life / "service", self._place) as server:
            lived = self._sync(server.url, Plan(self.name))
        damage = self._damage()
        if damage:
            raise AssertionError(f"{self.name} goes wrong without any strike: {damage}")
        return lived.n_steps

    def _sync(self, url: str, *plans: Plan, later: Plan | None = None, wanted: str | None = None) -> Lived:
        reach = {"url": url, "token_file": str(self._place.life / "service" / "token"), "first_retry_s": 0.02}
        registry = {
            "service": {**reach, "longest_retry_s": 1.0, "max_attempts": 5},
            "allow_unsigned": True,
            "decides": "node" if self.name == "publishing" or wanted else "registry",
            "poll_every_s": 0.1,
        }
        config = write_node(self._place, realtime=True, learns=False, registry=registry)
        return live_until_done(
            be_node,
            config,
            "registry",
            point_plans=plans,
            later=later or Plan(""),
            log=self._place.log,
            is_done=lambda: self._is_synced(is_publishing=self.name == "publishing" or wanted is not None),
        )

    def _is_synced(self, *, is_publishing: bool) -> bool:
        camera = self._camera
        deployed = deployed_bundle(camera)
        noted = _noted(camera)
        if deployed is None or noted is None or noted != _noted(deployed):
            return False
        if is_publishing:
            return _noted(camera / "bundles" / _STARTED) is not None
        return deployed.name != _STARTED

    def _damage(self) -> list[str]:
        """The registry has both bundles once, the tuned one deployed, and the node has what it says."""
        found = checks.bundles_damage(self._camera) + checks.leftovers(self._camera.parent)
        stored = checks.Stored(self._place.life / "service" / "data")
        try:
            found += stored.damage()
            bundles = {bundle.name: bundle for bundle in stored.registry.bundles(CAMERA)}
            n_bundles, actions = len(stored.registry.bundles(CAMERA)), stored.actions()
        finally:
            stored.close()
        names = {name for name, bundle in bundles.items() if bundle.stage == "deployed"}
        found += checks.difference("bundles of the registry", n_bundles, 2)
        n_added = sum(action == "bundle-added" for action, _ in actions)
        n_promoted = sum(action == "bundle-promoted" for action, _ in actions)
        found += checks.difference("audit log: added, promoted", [n_added, n_promoted], [2, 1])
        deployed = deployed_bundle(self._camera)
        noted = None if deployed is None else _noted(deployed)
        found += checks.difference("deployed at the registry", [bundles[n].id for n in names], [noted])
        here = [path for path in (self._camera / "bundles").iterdir() if not path.name.startswith(".")]
        return found + checks.difference("bundles of the node", len(here), 2)


def _noted(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / "registry.json").read_text(encoding="utf-8"))["id"])
    except (OSError, ValueError):
        return None
