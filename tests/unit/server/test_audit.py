"""The audit log is only added to, and whatever else happens to it is noticed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from edge_autotuner.core import FakeClock
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.database import Database
from support.service.registry_samples import url_of


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(url_of(tmp_path))
    yield made
    made.close()


def written(database: Database, n_entries: int = 4) -> AuditLog:
    clock = FakeClock()
    log = AuditLog(database, clock)
    for number in range(1, n_entries + 1):
        log.record("bundle-promoted", client="deployer", subject=f"gate/b{number}", detail="instead of nothing")
        clock.advance(1)
    return log


def test_entries_come_back_in_order(database: Database) -> None:
    log = written(database)
    assert [entry.seq for entry in log.entries()] == [1, 2, 3, 4]
    first = next(log.entries())
    assert first.at == datetime(2026, 1, 1, tzinfo=UTC)
    assert (first.client, first.action, first.subject) == ("deployer", "bundle-promoted", "gate/b1")
    assert (first.outcome, first.detail) == ("done", "instead of nothing")
    assert [entry.seq for entry in log.entries(after=2)] == [3, 4]
    assert [entry.seq for entry in log.last(2)] == [3, 4]


def test_more_entries_than_a_page_come_back(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_autotuner.server.audit._PAGE", 2)
    log = written(database, 4)
    assert [entry.seq for entry in log.entries()] == [1, 2, 3, 4]
    assert log.verify().n_entries == 4


def test_an_empty_log_is_right(database: Database) -> None:
    check = AuditLog(database).verify()
    assert (check.n_entries, check.head_sha256, check.damage) == (0, "0" * 64, None)


def test_a_log_as_written_is_right(database: Database) -> None:
    log = written(database)
    check = log.verify()
    last = log.last(1)[0]
    assert (check.n_entries, check.head_sha256, check.damage) == (4, last.sha256, None)
    assert log.verify(known=(4, last.sha256)).damage is None


def test_an_entry_in_an_undone_transaction_is_not_there(database: Database) -> None:
    log = written(database, 1)

    def fail() -> None:
        with database.writing() as connection:
            log.append(connection, "bundle-added", client="trainer", subject="gate/b2")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert log.verify().n_entries == 1


@pytest.mark.parametrize(
    ("change", "n_right", "damage"),
    [
        pytest.param("UPDATE audit SET client = 'other' WHERE seq = 2", 1, "entry 2 or the one", id="client"),
        pytest.param("UPDATE audit SET at = 'never' WHERE seq = 1", 0, "entry 1 or the one", id="time"),
        pytest.param("UPDATE audit SET detail = '' WHERE seq = 4", 3, "entry 4 or the one", id="detail"),
        pytest.param("UPDATE audit SET sha256 = sha256 || 'a' WHERE seq = 3", 2, "entry 3 or the one", id="hash"),
        pytest.param("DELETE FROM audit WHERE seq = 2", 1, "entry 2 is missing: 3 is the next one", id="gap"),
        pytest.param("DELETE FROM audit WHERE seq = 1", 0, "entry 1 is missing", id="first"),
        pytest.param(
            "UPDATE audit SET subject = 'gate/b1bundle', action = 'promoted-' WHERE seq = 1", 0, "entry 1", id="shifted"
        ),
        pytest.param("UPDATE audit SET seq = seq + 10 WHERE seq > 2", 2, "entry 3 is missing", id="moved"),
    ],
)
def test_changes_are_noticed(database: Database, change: str, n_right: int, damage: str) -> None:
    log = written(database)
    with database.writing() as connection:
        connection.execute(text(change))
    check = log.verify()
    assert check.n_entries == n_right
    assert damage in (check.damage or "")


def test_a_log_whose_end_was_cut_off_is_noticed_by_who_knows_an_entry(database: Database) -> None:
    log = written(database)
    known = (4, log.verify().head_sha256)
    with database.writing() as connection:
        connection.execute(text("DELETE FROM audit WHERE seq > 2"))
    assert log.verify().damage is None
    assert log.verify(known).damage == "entry 4 is missing: the log ends earlier"


def test_a_log_that_was_computed_anew_is_noticed_by_who_knows_an_entry(database: Database) -> None:
    log = written(database)
    known = (3, log.last(2)[0].sha256)
    with database.writing() as connection:
        connection.execute(text("DELETE FROM audit WHERE seq > 1"))
    for number in (2, 3, 4):
        log.record("bundle-promoted", client="nobody", subject=f"gate/b{number}")
    assert log.verify().damage is None
    assert "entry 3 has the hash" in (log.verify(known).damage or "")


def test_entries_are_lines_of_the_program_log(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "edge_autotuner.server.audit"):
        log = written(database, 1)
    assert caplog.messages == [
        f"audit 1 bundle-promoted by deployer: gate/b1, done instead of nothing [{log.verify().head_sha256}]"
    ]
