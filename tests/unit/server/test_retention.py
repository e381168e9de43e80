"""What is removed, and what never is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from edge_autotuner.errors import StorageError
from edge_autotuner.server import garbage_collection
from edge_autotuner.server.registry import Registry
from edge_autotuner.server.retention import DAY_S, BundleUse, RetentionRules, bundles_to_remove
from edge_autotuner.wire.registry_messages import BundleRequest, Stage
from support.service.registry_samples import Parts, add_bundle, description, open_parts, stages

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def use(name: str, age_days: float, blobs: str, stage: Stage = "archived", is_rollback: bool = False) -> BundleUse:
    return BundleUse(name, stage, NOW - timedelta(days=age_days), frozenset(blobs), is_rollback)


@pytest.mark.parametrize(
    ("uses", "max_bytes", "others", "removed"),
    [
        pytest.param([], None, "", [], id="nothing"),
        pytest.param([use("old", 91, "a"), use("young", 89, "b")], None, "", ["old"], id="age"),
        pytest.param([use("old", 91, "a", "candidate")], None, "", ["old"], id="old-candidate"),
        pytest.param([use("old", 900, "a", "deployed")], 0, "", [], id="deployed"),
        pytest.param([use("old", 900, "a", is_rollback=True)], 0, "", [], id="rollback"),
        pytest.param([use("new", 6, "a", "candidate")], 0, "", [], id="young-candidate"),
        pytest.param([use("ahead", -5, "a")], 0, "", [], id="clock-set-back"),
        pytest.param([use("x", 20, "a"), use("y", 30, "b"), use("z", 10, "c")], 25, "", ["y"], id="oldest-first"),
        pytest.param([use("x", 20, "a"), use("y", 30, "b"), use("z", 10, "c")], 10, "", ["y", "x"], id="two"),
        pytest.param([use("x", 20, "a"), use("y", 30, "b")], 20, "", [], id="just-fits"),
        pytest.param([use("x", 20, "a"), use("y", 30, "a"), use("z", 10, "b")], 15, "", ["y", "x"], id="shared-file"),
        pytest.param([use("x", 20, "a"), use("y", 30, "b")], 10, "b", ["y", "x"], id="held-by-something-else"),
        pytest.param([use("x", 20, "a")], 10, "bc", ["x"], id="others-count"),
        pytest.param([use("x", 20, "?")], 0, "", [], id="a-file-that-is-gone-frees-nothing"),
    ],
)
def test_bundles_to_remove(uses: list[BundleUse], max_bytes: int | None, others: str, removed: list[str]) -> None:
    sizes = dict.fromkeys("abc", 10)
    rules = RetentionRules(max_age_s=90 * DAY_S, min_age_s=7 * DAY_S, max_bytes=max_bytes)
    for order in (uses, uses[::-1]):
        assert bundles_to_remove(order, sizes, set(others), rules, NOW) == removed


@pytest.mark.parametrize(
    "values",
    [
        {"min_age_s": -1},
        {"min_age_s": 2, "max_age_s": 1},
        {"n_rollbacks": -1},
        {"grace_s": -1},
        {"grace_s": 2, "pictures_max_age_s": 1},
    ],
    ids=str,
)
def test_rules_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        RetentionRules(**values)


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


HELD: set[str] = set()


def held(_connection: Connection) -> set[str]:
    return HELD


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    HELD.clear()
    rules = RetentionRules(max_age_s=10 * DAY_S, min_age_s=DAY_S, n_rollbacks=1, grace_s=DAY_S)
    made = open_parts(tmp_path, rules=rules, protected=(held,))
    yield made
    made.close()


def deployed_in_turn(parts: Parts, n_bundles: int = 4) -> list[str]:
    """Promote bundles a, b, c, ..., each with a model of its own, a day apart."""
    ids = []
    for name in "abcdefg"[:n_bundles]:
        ids.append(add_bundle(parts, name=name, model=name.encode()))
        parts.registry.promote("gate", ids[-1], client="deployer")
        parts.clock.advance(DAY_S)
    return ids


def there(parts: Parts) -> set[str]:
    return {blob.sha256 for blob in parts.blobs.all()}


def test_what_a_camera_needs_is_kept_and_the_rest_goes(parts: Parts) -> None:
    ids = deployed_in_turn(parts)
    parts.clock.advance(100 * DAY_S)
    removed = parts.registry.collect_garbage(client="admin")
    assert removed.bundles == (ids[0], ids[1])
    assert removed.blobs == tuple(sorted([hash_of(b"a"), hash_of(b"b")]))
    assert removed.n_bytes == 2
    assert stages(parts) == {"c": "archived", "d": "deployed"}
    assert there(parts) == {hash_of(b"c"), hash_of(b"d"), hash_of(b"weights")}
    assert parts.registry.roll_back("gate", client="deployer").id == ids[2]
    assert [entry[:2] for entry in parts.actions()][-4:] == [
        ("bundle-collected", "admin"),
        ("bundle-collected", "admin"),
        ("blobs-collected", "admin"),
        ("bundle-rolled-back", "deployer"),
    ]


def test_collecting_again_finds_nothing(parts: Parts) -> None:
    deployed_in_turn(parts)
    parts.clock.advance(100 * DAY_S)
    parts.registry.collect_garbage(client="admin")
    n_entries = len(parts.actions())
    again = parts.registry.collect_garbage(client="admin")
    assert (again.bundles, again.blobs, again.n_bytes) == ((), (), 0)
    assert len(parts.actions()) == n_entries


def test_a_way_back_over_what_is_gone(parts: Parts) -> None:
    """A, B, A with B gone: below A there is A itself, and no way back."""
    first, second = deployed_in_turn(parts, 2)
    parts.registry.promote("gate", first, client="deployer")
    parts.clock.advance(100 * DAY_S)
    unkept = Registry(
        parts.database,
        parts.blobs,
        parts.audit,
        rules=RetentionRules(n_rollbacks=0, min_age_s=0, max_age_s=1),
        clock=parts.clock,
    )
    assert unkept.collect_garbage(client="admin").bundles == (second,)
    with pytest.raises(Exception, match="no earlier bundle"):
        parts.registry.roll_back("gate", client="deployer")
    assert stages(parts) == {"a": "deployed"}


def test_uploads_in_progress_are_kept(parts: Parts) -> None:
    parts.blobs.store(b"old")
    parts.clock.advance(DAY_S)
    young = parts.blobs.store(b"young")
    assert parts.registry.collect_garbage(client="admin").blobs == (hash_of(b"old"),)
    assert there(parts) == {young}


def test_what_something_else_needs_is_kept(parts: Parts) -> None:
    dataset = parts.blobs.store(b"pictures of a training")
    HELD.add(dataset)
    parts.clock.advance(29 * DAY_S)
    assert parts.registry.collect_garbage(client="admin").blobs == ()
    HELD.clear()
    assert parts.registry.collect_garbage(client="admin").blobs == (dataset,)


def test_no_picture_stays_for_longer_than_pictures_may(parts: Parts) -> None:
    """A training that never ends does not keep its pictures; a model that is deployed stays."""
    picture, renewed = parts.blobs.store(b"a picture"), parts.blobs.store(b"another picture")
    HELD.update([picture, renewed])
    parts.registry.promote("gate", add_bundle(parts), client="deployer")
    parts.clock.advance(20 * DAY_S)
    parts.blobs.claim([renewed])
    parts.clock.advance(10 * DAY_S)
    removed = parts.registry.collect_garbage(client="admin")
    assert removed.blobs == (picture,)
    assert there(parts) == {renewed, hash_of(b"model"), hash_of(b"weights")}
    (entry,) = [entry for entry in parts.audit.entries() if entry.action == "blobs-collected"]
    assert entry.detail == "1 blobs, 9 bytes; 1 of them still needed, but past pictures_max_age_s"


def test_nothing_is_gone_that_the_audit_log_does_not_name(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill may come at any moment; here, at the first content that goes."""
    picture = parts.blobs.store(b"a picture")
    parts.clock.advance(30 * DAY_S)

    def killed(*_: object, **__: object) -> dict[str, int]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(parts.blobs, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            parts.registry.collect_garbage(client="admin")
    assert [entry.action for entry in parts.audit.entries()][-1] == "blobs-collected"
    assert there(parts) == {picture}
    assert parts.registry.collect_garbage(client="admin").blobs == (picture,)


def test_what_came_while_the_clock_was_ahead_ages_when_it_is_right_again(parts: Parts) -> None:
    parts.clock.advance(365 * DAY_S)
    picture = parts.blobs.store(b"a picture of next year")
    parts.clock.advance(-365 * DAY_S)
    assert parts.registry.collect_garbage(client="admin").blobs == ()
    parts.clock.advance(DAY_S)
    assert parts.registry.collect_garbage(client="admin").blobs == (picture,)


def test_a_collection_that_is_to_stop_leaves_the_rest(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage_collection, "_REMOVED_AT_ONCE", 1)
    hashes = sorted(parts.blobs.store(bytes([number])) for number in range(3))
    parts.clock.advance(DAY_S)
    answers = iter([False, True, True])
    removed = parts.registry.collect_garbage(client="admin", should_stop=lambda: next(answers))
    assert removed.blobs == (hashes[0],)
    assert parts.registry.collect_garbage(client="admin").blobs == tuple(hashes[1:])


def test_what_a_killed_process_left_of_an_upload_goes(parts: Parts, tmp_path: Path) -> None:
    leftover = tmp_path / "blobs" / "incoming" / "half-a-picture"
    leftover.write_bytes(b"half")
    upload = parts.blobs.begin()
    parts.registry.collect_garbage(client="admin")
    assert len(list(leftover.parent.iterdir())) == 1
    upload.write(b"whole")
    upload.finish(hash_of(b"whole"))
    assert not leftover.exists()
    assert there(parts) == {hash_of(b"whole")}


def test_a_full_disk_gets_room_before_anything_is_written(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise StorageError("database or disk is full")

    deployed_in_turn(parts)
    unused = parts.blobs.store(b"unused")
    parts.clock.advance(100 * DAY_S)
    monkeypatch.setattr(parts.registry._garbage, "_remove_bundles", full)
    with pytest.raises(StorageError):
        parts.registry.collect_garbage(client="admin")
    assert unused not in there(parts)
    monkeypatch.undo()
    assert len(parts.registry.collect_garbage(client="admin").bundles) == 2


def test_the_disk_budget_is_kept(tmp_path: Path) -> None:
    rules = RetentionRules(max_bytes=150, n_rollbacks=1, min_age_s=DAY_S, grace_s=0)
    parts = open_parts(tmp_path, rules=rules)
    for number in range(4):
        bundle = add_bundle(parts, name=f"n{number}", model=bytes([number]) * 50, weights=b"w")
        parts.registry.promote("gate", bundle, client="deployer")
        parts.clock.advance(DAY_S)
    removed = parts.registry.collect_garbage(client="admin")
    assert stages(parts) == {"n2": "archived", "n3": "deployed"}
    assert removed.n_bytes == 100
    parts.close()


def test_a_kill_between_the_two_steps_is_made_good(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed_in_turn(parts)
    parts.clock.advance(100 * DAY_S)

    blobs_before = there(parts)

    def killed(*arguments: Any) -> dict[str, int]:
        if set(stages(parts)) == {"c", "d"}:
            raise KeyboardInterrupt
        return remove(*arguments)

    remove = parts.registry._garbage._remove_blobs
    monkeypatch.setattr(parts.registry._garbage, "_remove_blobs", killed)
    with pytest.raises(KeyboardInterrupt):
        parts.registry.collect_garbage(client="admin")
    monkeypatch.undo()
    assert set(stages(parts)) == {"c", "d"}
    assert there(parts) == blobs_before
    assert hash_of(b"a") in parts.registry.collect_garbage(client="admin").blobs


def test_a_bundle_that_was_removed_can_be_added_again(parts: Parts) -> None:
    bundle = add_bundle(parts)
    parts.clock.advance(100 * DAY_S)
    assert parts.registry.collect_garbage(client="admin").bundles == (bundle,)
    request = BundleRequest(description=description())
    with pytest.raises(Exception, match="upload these"):
        parts.registry.add("gate", request, client="trainer")
    assert add_bundle(parts) != bundle


def test_a_file_that_two_cameras_share_is_kept_for_the_other(parts: Parts) -> None:
    add_bundle(parts, "gate")
    other = add_bundle(parts, "yard")
    parts.registry.promote("yard", other, client="deployer")
    parts.clock.advance(100 * DAY_S)
    removed = parts.registry.collect_garbage(client="admin")
    assert len(removed.bundles) == 1
    assert removed.blobs == ()
