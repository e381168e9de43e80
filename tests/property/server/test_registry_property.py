"""Whatever is asked of a registry, each camera has one deployed bundle and the way back is the way that it came."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from edge_autotuner.server.problems import Problem
from edge_autotuner.server.retention import DAY_S, RetentionRules
from support.service.registry_samples import add_bundle, open_parts

N_ROLLBACKS = 2
CAMERAS = ("gate", "yard")


class RegistryMachine(RuleBasedStateMachine):
    """Compares the registry with lists in memory."""

    added = Bundle("added")

    @initialize()
    def begin(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        rules = RetentionRules(max_age_s=3 * DAY_S, min_age_s=DAY_S, n_rollbacks=N_ROLLBACKS, grace_s=DAY_S)
        self._parts = open_parts(Path(self._folder.name), rules=rules)
        self._registry = self._parts.registry
        self._stages: dict[tuple[str, str], str] = {}
        self._piles: dict[str, list[str]] = {camera: [] for camera in CAMERAS}

    def teardown(self) -> None:
        if hasattr(self, "_parts"):
            self._parts.close()
            self._folder.cleanup()

    @rule(target=added, camera=st.sampled_from(CAMERAS), name=st.sampled_from("abcd"))
    def add(self, camera: str, name: str) -> tuple[str, str]:
        bundle = add_bundle(self._parts, camera, name, model=name.encode())
        self._stages.setdefault((camera, bundle), "candidate")
        return camera, bundle

    @rule(known=added)
    def promote(self, known: tuple[str, str]) -> None:
        camera, bundle = known
        if known not in self._stages:
            assert self._refusal("promote", known) == "unknown-bundle"
            return
        self._registry.promote(camera, bundle, client="x")
        pile = self._piles[camera]
        if not pile or pile[-1] != bundle:
            if pile:
                self._stages[camera, pile[-1]] = "archived"
            pile.append(bundle)
        self._stages[known] = "deployed"

    @rule(known=added)
    def archive(self, known: tuple[str, str]) -> None:
        stage = self._stages.get(known)
        if stage in {None, "deployed"}:
            assert self._refusal("archive", known) == ("is-deployed" if stage else "unknown-bundle")
            return
        self._registry.archive(*known, client="x")
        self._stages[known] = "archived"

    @rule(camera=st.sampled_from(CAMERAS))
    def roll_back(self, camera: str) -> None:
        pile = self._piles[camera]
        while len(pile) > 1 and pile[-2] == pile[-1]:
            pile.pop()  # what was between the two was removed
        if len(pile) < 2:
            assert self._refusal("roll_back", (camera,)) in {"nothing-before", "unknown-camera"}
            return
        target = self._registry.roll_back(camera, client="x").id
        self._stages[camera, pile.pop()] = "archived"
        assert target == pile[-1]
        self._stages[camera, target] = "deployed"

    @rule(days=st.sampled_from([0.5, 2, 5]))
    def wait(self, days: float) -> None:
        self._parts.clock.advance(days * DAY_S)

    @rule()
    def collect_garbage(self) -> None:
        removed = set(self._registry.collect_garbage(client="x").bundles)
        for camera in CAMERAS:
            newest_first = list(dict.fromkeys(reversed(self._piles[camera])))
            assert not removed & set(newest_first[: N_ROLLBACKS + 1])
            self._piles[camera] = [bundle for bundle in self._piles[camera] if bundle not in removed]
        self._stages = {known: stage for known, stage in self._stages.items() if known[1] not in removed}

    @invariant()
    def stages_are_as_expected(self) -> None:
        if not hasattr(self, "_parts"):
            return
        blobs = {blob.sha256 for blob in self._parts.blobs.all()}
        found = {}
        for camera in (camera.camera for camera in self._registry.cameras()):
            for bundle in self._registry.bundles(camera):
                found[camera, bundle.id] = bundle.stage
                assert {file.sha256 for file in bundle.files} <= blobs
            deployed = self._registry.deployed(camera)
            pile = self._piles[camera]
            assert (deployed.id if deployed else None) == (pile[-1] if pile else None)
        assert found == self._stages
        assert self._parts.audit.verify().damage is None

    def _refusal(self, action: str, arguments: tuple[str, ...]) -> str:
        with pytest.raises(Problem) as caught:
            getattr(self._registry, action)(*arguments, client="x")
        return caught.value.kind


TestRegistry = RegistryMachine.TestCase
TestRegistry.settings = settings(max_examples=15, stateful_step_count=20)
