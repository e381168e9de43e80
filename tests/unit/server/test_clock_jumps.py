"""The wall clock is set while the service runs: what depends on it, and what must not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from edge_autotuner.core import FakeClock
from edge_autotuner.server.annotation.quotas import Quotas
from edge_autotuner.server.problems import Problem
from edge_autotuner.server.retention import DAY_S, RetentionRules
from edge_autotuner.server.tokens import REVOCATION_DELAY_S
from edge_autotuner.wire.registry_messages import BundleRequest
from support.service.registry_samples import Parts, add_bundle, description, open_parts, stages

YEAR_S = 365 * DAY_S
JUMPS = pytest.mark.parametrize("jump_s", [YEAR_S, -YEAR_S], ids=["ahead", "back"])


@dataclass
class SetClock(FakeClock):
    """A clock whose wall time can be set; its monotonic time does not notice."""

    ahead_s: float = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead_s)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def parts(tmp_path: Path, clock: SetClock) -> Iterator[Parts]:
    made = open_parts(tmp_path, clock, rules=RetentionRules(grace_s=DAY_S))
    yield made
    made.close()


def is_known(parts: Parts, token: str) -> bool:
    return parts.tokens.identify(token) is not None


def test_a_token_is_valid_again_when_a_clock_that_was_ahead_is_right(parts: Parts, clock: SetClock) -> None:
    token = parts.tokens.add("gate", ["annotate"], expires_after_s=30 * DAY_S).text
    found = []
    for clock.ahead_s in (0, YEAR_S, -YEAR_S, 0):
        found.append(is_known(parts, token))
    assert found == [True, False, True, True]


@JUMPS
def test_a_revoked_token_stays_revoked(parts: Parts, clock: SetClock, jump_s: float) -> None:
    token = parts.tokens.add("gate", ["annotate"]).text
    parts.tokens.revoke("gate")
    clock.ahead_s = jump_s
    assert not is_known(parts, token)


@JUMPS
def test_a_revocation_by_another_process_does_not_wait_for_the_wall(
    parts: Parts, clock: SetClock, jump_s: float, tmp_path: Path
) -> None:
    token = parts.tokens.add("gate", ["annotate"]).text
    assert is_known(parts, token)
    revoker = open_parts(tmp_path, clock)
    revoker.tokens.revoke("gate")
    revoker.close()
    clock.ahead_s = jump_s
    clock.advance(REVOCATION_DELAY_S)
    assert not is_known(parts, token)


@JUMPS
def test_quotas_do_not_notice(clock: SetClock, jump_s: float) -> None:
    quotas = Quotas(requests_per_minute=1, pixels_per_minute=None, clock=clock)
    quotas.take("gate", n_requests=1)
    clock.ahead_s = jump_s
    assert quotas.wait_s("gate") == 60
    clock.advance(60)
    assert quotas.wait_s("gate") == 0


@pytest.mark.parametrize("is_over", [False, True], ids=["news", "time is over"])
@JUMPS
def test_who_waits_for_news_waits_as_long_as_before(
    parts: Parts, clock: SetClock, jump_s: float, is_over: bool
) -> None:
    old = add_bundle(parts)
    parts.registry.promote("gate", old, client="deployer")
    new = add_bundle(parts, name="new", model=b"new")

    async def wait() -> object:
        waiting = asyncio.create_task(parts.registry.wait_for_deployed("gate", after=old, wait_s=60))
        while not parts.registry._news._waiting:
            await asyncio.sleep(0)
        clock.ahead_s = jump_s
        clock.advance(60 if is_over else 59)
        parts.registry.promote("gate", old, client="deployer")  # no news, but who waits looks at the time
        if not is_over:
            for _ in range(3):
                await asyncio.to_thread(parts.registry.deployed, "gate")
            assert not waiting.done()
            parts.registry.promote("gate", new, client="deployer")
        return await waiting

    found = asyncio.run(wait())
    assert getattr(found, "id", None) == (None if is_over else new)


@JUMPS
def test_the_way_back_is_the_order_of_promotions_and_not_of_times(parts: Parts, clock: SetClock, jump_s: float) -> None:
    ids = []
    for clock.ahead_s in (0, jump_s, 0):
        ids.append(add_bundle(parts, name=f"n{len(ids)}", model=bytes([len(ids)])))
        parts.registry.promote("gate", ids[-1], client="deployer")
    assert [parts.registry.roll_back("gate", client="deployer").id for _ in range(2)] == [ids[1], ids[0]]
    assert stages(parts) == {"n0": "deployed", "n1": "archived", "n2": "archived"}
    assert parts.audit.verify().damage is None


def test_a_content_that_a_wrong_clock_removed_is_asked_for_again(parts: Parts, clock: SetClock) -> None:
    """An administrator collected between upload and use, with a clock that was ahead: nothing is half there."""
    add_bundle(parts)
    model = parts.blobs.store(b"another model")
    clock.ahead_s = YEAR_S
    assert model in parts.registry.collect_garbage(client="admin").blobs
    clock.ahead_s = 0
    request = BundleRequest(description=description("n", model=b"another model", weights=b"another"))
    with pytest.raises(Problem, match="upload these") as caught:
        parts.registry.add("gate", request, client="trainer")
    assert caught.value.status == 409
    assert add_bundle(parts, name="n", model=b"another model", weights=b"another")
