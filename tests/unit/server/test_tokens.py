"""Tokens: shown once, kept as a hash, recognised until they expire or are revoked."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from edge_autotuner.errors import ConfigError, StorageError
from edge_autotuner.server import tokens as tokens_module
from edge_autotuner.server.access import Caller
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.database import Database
from edge_autotuner.server.tokens import REVOCATION_DELAY_S, Tokens, open_authenticator
from support.service.registry_samples import Parts, open_parts, url_of
from support.service.service_samples import WAIT_S


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = open_parts(tmp_path)
    yield made
    made.close()


def other_process(parts: Parts) -> Tokens:
    """The same tokens as another process has them: nothing of its memory is shared."""
    return Tokens(parts.database, parts.audit, parts.clock)


def states(parts: Parts) -> list[str]:
    return [token.state for token in parts.tokens.all()]


def count_queries(parts: Parts, *, with_notes: bool = True) -> list[str]:
    """Return a list that grows with every query; notes are written whenever their thread is ready."""
    found: list[str] = []

    def add(_connection: object, _cursor: object, text: str, *_rest: object) -> None:
        if with_notes or not threading.current_thread().name.startswith("token-notes"):
            found.append(text)

    event.listen(parts.database.engine, "before_cursor_execute", add)
    return found


def test_a_token_says_what_it_is_and_is_long(parts: Parts) -> None:
    text = parts.tokens.add("gate", ["annotate"]).text
    assert re.fullmatch(r"eat_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", text), "43 characters of base64 are 256 bits"
    assert parts.tokens.add("yard", ["annotate"]).text != text


def test_a_token_is_recognised(parts: Parts) -> None:
    text = parts.tokens.add("gate", ["train", "annotate"]).text
    assert parts.tokens.identify(text) == Caller("gate", frozenset({"annotate", "train"}))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"), id="secret"),
        pytest.param(lambda text: "eat_" + "0" * 16 + text[20:], id="id"),
        pytest.param(lambda text: text[:-1], id="short"),
        pytest.param(lambda text: text + "A", id="long"),
        pytest.param(lambda text: text + "\n", id="newline"),
        pytest.param(lambda text: text.upper(), id="case"),
        pytest.param(lambda _text: "", id="empty"),
        pytest.param(lambda text: "\N{LATIN SMALL LETTER E WITH ACUTE}" + text[1:], id="not-ascii"),
        pytest.param(lambda text: text[:20] + "_" + "\N{DEVANAGARI DIGIT ONE}" * 43, id="other-digits"),
    ],
)
def test_anything_else_is_not_recognised(parts: Parts, change: Any) -> None:
    text = parts.tokens.add("gate", ["annotate"]).text
    assert parts.tokens.identify(change(text)) is None
    assert parts.tokens.identify(text) is not None


def test_only_the_hash_is_on_the_disk_and_in_logs(
    parts: Parts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        made = parts.tokens.add("gate", ["annotate"])
        parts.tokens.identify(made.text)
        parts.tokens.identify(made.text[:-1] + "!")
        second = parts.tokens.rotate("gate")
        parts.tokens.revoke("gate")
        parts.tokens.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("service.db*"))
    assert hashlib.sha256(second.text.encode()).hexdigest().encode() in stored
    for token in (made, second):
        secret = token.text.split("_", 2)[2]
        assert secret.encode() not in stored
        assert secret not in caplog.text
        assert secret not in repr(token)


def test_an_unknown_id_costs_the_same_as_a_wrong_secret(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    text = parts.tokens.add("gate", ["annotate"]).text
    unknown = "eat_" + "0" * 16 + text[20:]
    wrong = text[:-3] + ("AAA" if text[-3:] != "AAA" else "BBB")
    compared: list[tuple[str, str]] = []

    def compare(left: str, right: str) -> bool:
        compared.append((left, right))
        return hmac.compare_digest(left, right)

    monkeypatch.setattr(tokens_module, "hmac", type("hmac", (), {"compare_digest": staticmethod(compare)}))
    assert parts.tokens.identify(text) is not None
    costs = []
    for shown in (unknown, wrong):
        compared.clear()
        asked = count_queries(parts, with_notes=False)
        assert parts.tokens.identify(shown) is None
        assert {left for left, _ in compared} == {hashlib.sha256(shown.encode()).hexdigest()}
        assert {len(right) for _, right in compared} == {64}
        costs.append((len(compared), len(asked)))
    assert costs[0] == costs[1]


def test_who_shows_a_wrong_token_waits_for_a_read_that_all_share(parts: Parts) -> None:
    """A thousand wrong tokens, with ids that are known and ids that are not, take one read."""
    text = parts.tokens.add("gate", ["annotate"]).text
    wrong = [text[:21] + f"{number:043d}" for number in range(500)]
    unknown = [f"eat_{number:016x}_" + "A" * 43 for number in range(500)]

    async def ask() -> list[str]:
        assert await parts.tokens.recognise(text) == Caller("gate", frozenset({"annotate"}))
        asked = count_queries(parts)
        answers = await asyncio.gather(*(parts.tokens.recognise(shown) for shown in wrong + unknown))
        assert answers == [None] * 1000
        assert await parts.tokens.recognise(text) is not None
        return [query for query in asked if "FROM tokens" in query]

    assert len(asyncio.run(ask())) == 1


def test_a_new_token_counts_at_once_also_among_wrong_ones(parts: Parts) -> None:
    async def ask() -> None:
        for number in range(3):
            assert await parts.tokens.recognise(f"eat_{number:016x}_" + "A" * 43) is None
            made = other_process(parts).add(f"yard{number}", ["train"])
            assert await parts.tokens.recognise(made.text) is not None

    asyncio.run(ask())


def test_an_unreadable_database_reaches_all_who_wait(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise StorageError("no database")

    async def ask() -> list[Any]:
        shown = [f"eat_{number:016x}_" + "A" * 43 for number in range(3)]
        monkeypatch.setattr(parts.database, "reading", broken)
        first = await asyncio.gather(*map(parts.tokens.recognise, shown), return_exceptions=True)
        monkeypatch.undo()
        return [*first, await parts.tokens.recognise(shown[0])]

    assert [type(answer) for answer in asyncio.run(ask())] == [StorageError] * 3 + [type(None)]


@pytest.mark.parametrize(
    ("client", "scopes", "message"),
    [
        pytest.param(
            "gate", ["annotate", "root"], "scopes must be among annotate, train, deploy, admin, got root", id="scope"
        ),
        pytest.param("gate", [], "got none", id="no-scope"),
        pytest.param("../gate", ["annotate"], "a client's name may have letters", id="path"),
        pytest.param("", ["annotate"], "a client's name may have letters", id="empty"),
        pytest.param("a" * 101, ["annotate"], "a client's name may have letters", id="long"),
    ],
)
def test_wrong_values_are_refused(parts: Parts, client: str, scopes: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parts.tokens.add(client, scopes)
    assert parts.tokens.all() == []


def test_a_client_has_one_token(parts: Parts) -> None:
    parts.tokens.add("gate", ["annotate"])
    with pytest.raises(ConfigError, match="`tokens rotate gate`"):
        parts.tokens.add("gate", ["annotate"])
    parts.tokens.revoke("gate")
    parts.tokens.add("gate", ["train"])
    assert states(parts) == ["revoked", "current"]


def test_a_token_expires(parts: Parts) -> None:
    made = parts.tokens.add("gate", ["annotate"], expires_after_s=60)
    assert made.expires_at == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    parts.clock.advance(59.9)
    assert parts.tokens.identify(made.text) is not None
    parts.clock.advance(0.1)
    assert parts.tokens.identify(made.text) is None
    assert states(parts) == ["expired"]
    parts.tokens.add("gate", ["annotate"])
    assert states(parts) == ["expired", "current"]


def test_a_token_is_replaced_at_once(parts: Parts) -> None:
    old = parts.tokens.add("gate", ["train", "annotate"], expires_after_s=3600)
    parts.clock.advance(600)
    new = parts.tokens.rotate("gate")
    assert parts.tokens.identify(old.text) is None
    caller = parts.tokens.identify(new.text)
    assert caller == Caller("gate", frozenset({"annotate", "train"}))
    assert new.expires_at == parts.clock.now() + timedelta(hours=1), "the same lifetime, from now on"


def test_the_old_token_is_valid_for_the_overlap(parts: Parts) -> None:
    old = parts.tokens.add("gate", ["annotate"])
    new = parts.tokens.rotate("gate", overlap_s=60)
    assert parts.tokens.identify(old.text) == parts.tokens.identify(new.text)
    assert states(parts) == ["replaced", "current"]
    parts.clock.advance(60)
    assert parts.tokens.identify(old.text) is None
    assert parts.tokens.identify(new.text) is not None


def test_an_overlap_makes_no_token_live_longer(parts: Parts) -> None:
    old = parts.tokens.add("gate", ["annotate"], expires_after_s=30)
    new = parts.tokens.rotate("gate", overlap_s=60, expires_after_s=1000)
    parts.clock.advance(30)
    assert parts.tokens.identify(old.text) is None
    assert new.expires_at == datetime(2026, 1, 1, 0, 16, 40, tzinfo=UTC)


def test_what_is_not_there_cannot_be_rotated_or_revoked(parts: Parts) -> None:
    with pytest.raises(ConfigError, match="has no token to rotate"):
        parts.tokens.rotate("gate")
    with pytest.raises(ConfigError, match="has no valid token"):
        parts.tokens.revoke("gate")
    parts.tokens.add("gate", ["annotate"])
    parts.tokens.revoke("gate")
    with pytest.raises(ConfigError, match="has no token to rotate"):
        parts.tokens.rotate("gate")
    with pytest.raises(ConfigError, match="has no valid token"):
        parts.tokens.revoke("gate")


def test_revoking_ends_all_tokens_of_a_client_at_once(parts: Parts) -> None:
    old = parts.tokens.add("gate", ["annotate"])
    new = parts.tokens.rotate("gate", overlap_s=3600)
    other = parts.tokens.add("yard", ["annotate"])
    assert all(parts.tokens.identify(token.text) for token in (old, new, other))
    assert parts.tokens.revoke("gate") == 2
    assert parts.tokens.identify(old.text) is None
    assert parts.tokens.identify(new.text) is None
    assert parts.tokens.identify(other.text) is not None


def test_most_requests_need_no_database(parts: Parts) -> None:
    text = parts.tokens.add("gate", ["annotate"]).text
    parts.tokens.identify(text)
    parts.tokens.close()
    asked = count_queries(parts)
    for _ in range(100):
        parts.tokens.identify(text)
    assert asked == []


def test_a_revocation_by_another_process_counts_within_the_bound(parts: Parts) -> None:
    text = parts.tokens.add("gate", ["annotate"]).text
    assert parts.tokens.identify(text) is not None
    revoker = other_process(parts)
    revoker.revoke("gate")
    revoker.close()
    parts.clock.advance(REVOCATION_DELAY_S)
    assert parts.tokens.identify(text) is None


def test_the_last_use_is_written_rarely(parts: Parts) -> None:
    text = parts.tokens.add("gate", ["annotate"]).text
    assert parts.tokens.all()[0].last_used_at is None
    asked = count_queries(parts)
    for _ in range(300):
        parts.tokens.identify(text)
        parts.clock.advance(1)
    parts.tokens.close()
    assert len([query for query in asked if query.startswith("UPDATE tokens")]) == 1
    assert parts.tokens.all()[0].last_used_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_later_use_is_written(parts: Parts) -> None:
    text = parts.tokens.add("gate", ["annotate"]).text
    parts.tokens.identify(text)
    parts.clock.advance(600)
    parts.tokens.identify(text)
    parts.tokens.close()
    assert parts.tokens.all()[0].last_used_at == datetime(2026, 1, 1, 0, 10, tzinfo=UTC)


def test_what_is_done_with_tokens_is_in_the_audit_log(parts: Parts) -> None:
    parts.tokens.add("gate", ["train", "annotate"])
    parts.tokens.rotate("gate", overlap_s=60)
    parts.tokens.revoke("gate")
    assert [(entry.action, entry.subject, entry.detail) for entry in parts.audit.entries()] == [
        ("token-added", "gate", "annotate train"),
        ("token-rotated", "gate", "the old one stays valid for 60 s"),
        ("token-revoked", "gate", ""),
    ]
    assert {entry.client for entry in parts.audit.entries()} == {"(command line)"}


def refusals(parts: Parts) -> list[tuple[str, str, str]]:
    entries = [entry for entry in parts.audit.entries() if entry.action == "token-refused"]
    return [(entry.client, entry.outcome, entry.detail) for entry in entries]


def test_a_flood_of_wrong_tokens_is_a_few_lines_in_the_audit_log(parts: Parts) -> None:
    for number in range(1000):
        parts.tokens.identify(f"eat_{number:016x}_" + "A" * 43)
    parts.clock.advance(60)
    parts.tokens.identify("something else")
    parts.tokens.close()
    found = refusals(parts)
    assert len(found) <= 4
    counted = {outcome: 0 for _, outcome, _ in found}
    for _, outcome, detail in found:
        counted[outcome] += int(detail.split()[0])
    assert counted == {"unknown": 1000, "not a token": 1}
    assert {client for client, _, _ in found} == {"-"}


def test_old_tokens_are_logged_with_their_client(parts: Parts) -> None:
    expired = parts.tokens.add("gate", ["annotate"], expires_after_s=60)
    revoked = parts.tokens.add("yard", ["annotate"])
    parts.tokens.revoke("yard")
    parts.clock.advance(60)
    parts.tokens.identify(expired.text)
    parts.tokens.identify(revoked.text)
    parts.tokens.close()
    assert sorted(refusals(parts)) == [("gate", "expired", "1 requests"), ("yard", "revoked", "1 requests")]


def test_a_wrong_secret_says_nothing_about_the_client(parts: Parts) -> None:
    text = parts.tokens.add("gate", ["annotate"], expires_after_s=1).text
    parts.clock.advance(2)
    parts.tokens.identify(text[:-3] + "AAA")
    parts.tokens.close()
    assert refusals(parts) == [("-", "unknown", "1 requests")]


def test_a_full_disk_stops_notes_and_not_requests(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What could not be noted is noted as soon as there is room."""
    text = parts.tokens.add("gate", ["annotate"]).text
    tried = threading.Semaphore(0)

    def full() -> Any:
        tried.release()
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(parts.database, "writing", full)
        assert parts.tokens.identify(text) is not None
        assert tried.acquire(timeout=WAIT_S)
        assert parts.tokens.identify("something else") is None
        assert tried.acquire(timeout=WAIT_S)
        parts.tokens._notes._writer.shutdown()
    assert set(caplog.messages) == {"uses and refusals of tokens cannot be recorded now: the disk is full"}
    parts.tokens.close()
    assert refusals(parts) == [("-", "not a token", "1 requests")]
    assert parts.tokens.all()[0].last_used_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_an_authenticator_is_opened_by_url(tmp_path: Path) -> None:
    first = open_authenticator(url_of(tmp_path))
    text = first.add("gate", ["admin"]).text
    first.close()
    second = open_authenticator(url_of(tmp_path))
    caller = second.identify(text)
    second.close()
    assert caller is not None
    assert caller.may("deploy")
    database = Database(url_of(tmp_path))
    assert AuditLog(database).verify().damage is None
    database.close()
