"""The service's tables, its writers and the service itself on a real PostgreSQL."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from edge_autotuner.client import Connection, find_remote_model
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.errors import StorageError
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.database import Database
from edge_autotuner.server.retention import RetentionRules
from edge_autotuner.server.schema import TABLES, bundles, schema_version
from support.runs.run_samples import Samples
from support.service import registry_samples
from support.service.postgresql_server import postgresql
from support.service.real_service import RealService
from support.service.registry_samples import Parts, add_bundle, open_parts, stages


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    """Return the URL of a database without tables."""
    database = Database(server)
    with database.engine.begin() as connection:
        for table in reversed(TABLES):
            connection.execute(text(f"DROP TABLE {table.name}"))
    database.close()
    return server


@pytest.fixture
def parts(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    monkeypatch.setattr(registry_samples, "url_of", lambda _folder: url)
    made = open_parts(tmp_path, rules=RetentionRules(max_age_s=1, min_age_s=1, grace_s=1, n_rollbacks=1))
    yield made
    made.close()


def test_the_life_of_bundles(parts: Parts) -> None:
    ids = [add_bundle(parts, name=name) for name in "abc"]
    assert [add_bundle(parts, name=name) for name in "abc"] == ids
    for bundle_id in (*ids, ids[-1]):
        parts.registry.promote("gate", bundle_id, client="deployer")
    assert stages(parts) == {"a": "archived", "b": "archived", "c": "deployed"}
    parts.clock.advance(60)
    assert parts.registry.collect_garbage(client="admin").bundles == (ids[0],)
    assert parts.registry.roll_back("gate", client="deployer").id == ids[1]
    assert parts.registry.cameras()[0].deployed == ids[1]
    assert parts.audit.verify().damage is None


def test_tokens(parts: Parts) -> None:
    old = parts.tokens.add("gate", ["annotate"])
    new = parts.tokens.rotate("gate", overlap_s=60)
    assert parts.tokens.identify(old.text) == parts.tokens.identify(new.text)
    assert parts.tokens.revoke("gate") == 2
    assert parts.tokens.identify(new.text) is None


def test_two_deployed_bundles_are_impossible(parts: Parts) -> None:
    for name in "ab":
        add_bundle(parts, name=name)
    with pytest.raises(StorageError, match="bundles_deployed"), parts.database.writing() as connection:
        connection.execute(update(bundles).values(stage="deployed"))
    with parts.database.reading() as connection:
        assert set(connection.execute(select(bundles.c.stage)).scalars()) == {"candidate"}


def test_the_service_itself_keeps_its_tokens_there(url: str, samples: Samples, tmp_path: Path) -> None:
    settings = {"database_url": url}
    with RealService(tmp_path, samples.teacher, name="big", adapter="yolox", settings=settings) as service:
        service.kill()
        service.start()
        with Connection(ServiceConfig(url=service.url, token_file=service.token_file)) as connection:
            assert find_remote_model(connection, "big").name == "big"
    assert "service.sqlite" not in {path.name for path in (tmp_path / "data").iterdir()}


def test_many_open_a_new_database_at_once_and_write(url: str) -> None:
    failures: list[BaseException] = []

    def write(client: str) -> None:
        try:
            database = Database(url)
            log = AuditLog(database)
            for index in range(10):
                log.record("tested", client=client, subject=str(index))
            database.close()
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=write, args=(f"writer-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    database = Database(url)
    check = AuditLog(database).verify()
    assert (check.n_entries, check.damage) == (60, None)
    database.close()


@contextmanager
def stopped(url: str) -> Iterator[None]:
    """Let every process of the server sleep, so that connections stay and nothing answers."""
    folder = Path(url.partition("host=")[2])
    main = int((folder / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    children = Path(f"/proc/{main}/task/{main}/children").read_text(encoding="ascii").split()
    processes = [main, *map(int, children)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def test_a_server_that_does_not_answer_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_autotuner.server.postgresql import BoundedConnection  # the driver is optional

    database = Database(url)
    write_nothing(database)
    monkeypatch.setattr(BoundedConnection, "silence_s", 2.0)
    with (
        pytest.raises(StorageError, match="no response from the server for 2 s"),
        database.reading() as connection,
        stopped(url),
    ):
        connection.execute(select(schema_version.c.version))
    monkeypatch.undo()
    write_nothing(database)
    monkeypatch.setattr(BoundedConnection, "silence_s", 2.0)
    with stopped(url):
        for use in (database.check_writable, lambda: read_version(database), lambda: write_nothing(database)):
            with pytest.raises(StorageError, match=r"no response|timeout"):
                use()
    monkeypatch.undo()
    write_nothing(database)
    database.close()


def read_version(database: Database) -> None:
    with database.reading() as connection:
        connection.execute(select(schema_version.c.version)).scalar_one()


def write_nothing(database: Database) -> None:
    with database.writing():
        pass
