"""The database: who writes waits in line, what is half done is undone, and other versions are refused."""

from __future__ import annotations

import hashlib
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, Connection, event, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from edge_autotuner.errors import ConfigError, MissingDependency, StorageError
from edge_autotuner.server import database as database_module
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.database import Database
from edge_autotuner.server.retention import RetentionRules
from edge_autotuner.server.schema import STEPS, TABLES, StoredTime, cameras, schema_version
from edge_autotuner.wire.job_messages import JobProgress, OutputFile
from edge_autotuner.wire.registry_messages import BundleRequest, CameraRequest
from support.service.job_parts import NODE, RESULT, open_jobs
from support.service.registry_samples import add_bundle, description, url_of


def insert_camera(connection: Connection, name: str) -> None:
    connection.execute(
        cameras.insert().values(camera=name, place="", shows="", added_at=datetime(2026, 1, 1, tzinfo=UTC))
    )


def camera_names(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.execute(select(cameras.c.camera).order_by(cameras.c.camera)).scalars())


def test_a_new_database_has_the_tables_of_the_schema(tmp_path: Path) -> None:
    made = Database(url_of(tmp_path))
    found = inspect(made.engine)
    assert set(found.get_table_names()) == {table.name for table in TABLES}
    for table in TABLES:
        columns = {column["name"]: str(column["type"]) == "BOOLEAN" for column in found.get_columns(table.name)}
        assert columns == {column.name: isinstance(column.type, Boolean) for column in table.columns}, table.name
    made.close()


def test_released_migrations_never_change() -> None:
    """A database of an earlier version has taken them as they were: what changes is a new step at the end."""
    digests = [hashlib.sha256(" ".join(" ".join(step).split()).encode()).hexdigest()[:16] for step in STEPS]
    assert digests[:2] == ["545d981424f5914d", "3573fb599903e154"]


def test_only_one_token_of_a_client_and_one_bundle_of_a_camera_count(tmp_path: Path) -> None:
    made = Database(url_of(tmp_path))
    found = inspect(made.engine)
    for table, index in (("tokens", "tokens_current"), ("bundles", "bundles_deployed")):
        (facts,) = [each for each in found.get_indexes(table) if each["name"] == index]
        assert facts["unique"]
        assert "sqlite_where" in facts["dialect_options"]
    made.close()


def test_an_exception_undoes_a_transaction(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))

    def fail() -> None:
        with database.writing() as connection:
            insert_camera(connection, "gate")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert camera_names(database) == []
    with database.writing() as connection:
        insert_camera(connection, "gate")
    assert camera_names(database) == ["gate"]
    database.close()


def test_what_is_committed_is_on_the_disk(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    with database.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    database.close()


def test_only_the_owner_reads_the_file(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new/folder/service.db")
    with database.writing() as connection:
        insert_camera(connection, "gate")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new" / "folder").iterdir()}
    assert modes == {"service.db": 0o600, "service.db-wal": 0o600, "service.db-shm": 0o600}
    database.close()


def test_a_reader_sees_one_state_and_does_not_wait(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    with database.writing() as writer:
        insert_camera(writer, "gate")
        assert camera_names(database) == []
    with database.reading() as reader:
        before = reader.execute(select(cameras.c.camera)).all()
        with database.writing() as writer:
            insert_camera(writer, "yard")
        assert reader.execute(select(cameras.c.camera)).all() == before
    assert camera_names(database) == ["gate", "yard"]
    database.close()


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    first = Database(url_of(tmp_path))
    with first.writing() as connection:
        insert_camera(connection, "gate")
    first.close()
    second = Database(url_of(tmp_path))
    assert camera_names(second) == ["gate"]
    second.close()


def test_missing_steps_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Database(url_of(tmp_path))
    with old.writing() as connection:
        insert_camera(connection, "gate")
    more = (*STEPS, ("ALTER TABLE cameras ADD COLUMN note TEXT", "UPDATE cameras SET note = 'new'"))
    monkeypatch.setattr(database_module, "STEPS", more)
    new = Database(url_of(tmp_path))
    with new.reading() as connection:
        assert connection.exec_driver_sql("SELECT camera, note FROM cameras").all() == [("gate", "new")]
        assert connection.execute(select(schema_version.c.version)).scalar_one() == len(more)
    new.close()
    old.close()


def test_a_step_that_fails_leaves_the_old_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Database(url_of(tmp_path)).close()
    monkeypatch.setattr(database_module, "STEPS", (*STEPS, ("CREATE TABLE extra (id INTEGER)", "NOT SQL")))
    with pytest.raises(StorageError, match="syntax error"):
        Database(url_of(tmp_path))
    monkeypatch.undo()
    database = Database(url_of(tmp_path))
    assert "extra" not in inspect(database.engine).get_table_names()
    database.close()


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    running = Database(url_of(tmp_path))
    with running.writing() as connection:
        connection.execute(schema_version.update().values(version=len(STEPS) + 1))
    with pytest.raises(
        ConfigError, match=f"schema version {len(STEPS) + 1}, but this installation supports {len(STEPS)}"
    ):
        Database(url_of(tmp_path))
    with pytest.raises(StorageError, match="restart this one"), running.writing() as connection:
        insert_camera(connection, "gate")
    assert camera_names(running) == []
    running.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("service.db", "cannot read", id="no-url"),
        pytest.param("sqlite://", "must be a file", id="memory"),
        pytest.param("sqlite:///:memory:", "must be a file", id="memory-by-name"),
        pytest.param("sqlite:///file:x?mode=memory&uri=true", "must be a file", id="sqlite-uri"),
        pytest.param("mysql://host/name", "'mysql' databases are not supported", id="mysql"),
        pytest.param("nosuch://host/name", "'nosuch' databases are not supported", id="unknown"),
    ],
)
def test_urls_that_cannot_be_used_are_explained(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Database(url)


def test_a_missing_driver_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingDependency, match=r"pip install 'edge-autotuner\[postgresql\]'"):
        Database("postgresql://user:secret@host/name")


def test_a_file_that_is_no_database_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "service.db").write_bytes(b"something else" * 1000)
    with pytest.raises(StorageError, match=r"cannot use the database sqlite.*file is not a database"):
        Database(url_of(tmp_path))


def test_errors_do_not_show_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as caught:
        Database("oracle://user:secret@host/name")
    assert "secret" not in str(caught.value)


def test_errors_do_not_show_values(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    with database.writing() as connection:
        insert_camera(connection, "a-secret-value")
    with pytest.raises(StorageError) as caught, database.writing() as connection:
        insert_camera(connection, "a-secret-value")
    cause = caught.value.__cause__
    assert isinstance(cause, SQLAlchemyError)
    assert "UNIQUE constraint" in str(caught.value)
    assert "a-secret-value" not in f"{caught.value} {cause}"
    database.close()


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5))], ids=["utc", "east"])
def test_stored_times_come_back_and_sort(zone: timezone) -> None:
    times = [datetime(2026, 1, 1, 0, 0, 0, micro, zone) for micro in (0, 1, 999_999)]
    stored = [StoredTime.text(time) for time in times]
    assert sorted(stored) == stored
    assert [StoredTime().process_result_value(text, sqlite.dialect()) for text in stored] == times


def test_threads_write_in_line(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    failures: list[BaseException] = []

    def write(worker: int) -> None:
        try:
            for index in range(10):
                with database.writing() as connection:
                    insert_camera(connection, f"{worker}-{index}")
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(camera_names(database)) == 80
    database.close()


ADD_ENTRIES = """
import sys
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.database import Database

log = AuditLog(Database(sys.argv[1]))
for index in range(15):
    log.record("tested", client=sys.argv[2], subject=str(index))
"""


def test_processes_that_open_a_new_database_at_once_all_write(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", ADD_ENTRIES, url_of(tmp_path)]
    writers = [subprocess.Popen([*command, f"writer-{number}"]) for number in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    database = Database(url_of(tmp_path))
    log = AuditLog(database)
    assert log.verify().damage is None
    for number in range(4):
        mine = [entry.subject for entry in log.entries() if entry.client == f"writer-{number}"]
        assert mine == [str(index) for index in range(15)]
    database.close()


def test_a_writer_of_another_program_is_waited_for(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    other = sqlite3.connect(tmp_path / "service.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Event()

    def write() -> None:
        with database.writing() as connection:
            insert_camera(connection, "gate")
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert not done.is_set()
    other.execute("COMMIT")
    thread.join()
    assert done.is_set()
    assert camera_names(database) == ["gate"]
    other.close()
    database.close()


def test_everything_that_is_asked_compiles_for_postgresql(tmp_path: Path) -> None:
    jobs = open_jobs(tmp_path, rules=RetentionRules(max_age_s=0, min_age_s=0, grace_s=0, n_rollbacks=0))
    parts = jobs.parts
    asked: list[Any] = []
    event.listen(parts.database.engine, "before_execute", lambda _c, statement, *_rest: asked.append(statement))
    parts.registry.put_camera("yard", CameraRequest(), client="trainer")
    first = add_bundle(parts, name="a")
    signed = BundleRequest(description=description("a"), signature="A" * 86 + "==")
    parts.registry.add("gate", signed, client="trainer")
    second = add_bundle(parts, name="b", model=b"other")
    third = add_bundle(parts, name="c")
    parts.registry.put_camera("gate", CameraRequest(place="here"), client="trainer")
    for bundle in (first, second):
        parts.registry.promote("gate", bundle, client="deployer")
    parts.registry.roll_back("gate", client="deployer")
    parts.registry.archive("gate", third, client="deployer")
    parts.registry.cameras(), parts.registry.bundles("gate"), parts.registry.deployed("gate")
    parts.clock.advance(60)
    for job_id in (jobs.add("a", deadline_s=1), jobs.add("b")):
        jobs.store.get(job_id, NODE), jobs.store.events(job_id, NODE, after=0)
    jobs.store.list(NODE, camera="gate", state="queued", limit=9), jobs.store.counts()
    jobs.queue.recover()
    claimed = jobs.queue.claim()
    assert claimed is not None
    jobs.queue.report(claimed, JobProgress(task="training", done=1, total=None))
    jobs.queue.note(claimed, {"kind": "stage", "name": "training"})
    jobs.store.cancel(claimed.id, NODE)
    left = OutputFile(role="report", sha256=parts.blobs.store(b"page"), n_bytes=4)
    jobs.queue.finish(claimed, RESULT.model_copy(update={"files": (left,)}))
    assert parts.registry.collect_garbage(client="admin").bundles
    parts.clock.advance(8 * 86400)
    jobs.queue.recover()
    token = parts.tokens.add("edge", ["annotate"])
    parts.tokens.identify(token.text)
    parts.tokens.rotate("edge", overlap_s=60)
    parts.tokens.revoke("edge")
    parts.tokens.all()
    parts.audit.verify(), parts.audit.last(3)
    parts.close()
    texts = {str(statement.compile(dialect=postgresql.dialect())) for statement in asked}
    kinds = {text.split()[0] for text in texts}
    assert kinds == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert any(text.rstrip().endswith("FOR UPDATE") for text in texts), "writers take turns there, too"
    assert {text.split()[2] for text in texts if text.startswith("INSERT")} == {table.name for table in TABLES} - {
        "schema_version"
    }


def write_one(database: Database) -> None:
    with database.writing() as connection:
        insert_camera(connection, "gate")


def test_a_lock_of_another_process_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_LOCK_WAIT_S", 0.05)
    monkeypatch.setattr(database_module, "_PROBE_WAIT_S", 0.05)
    database = Database(url_of(tmp_path))
    other = sqlite3.connect(tmp_path / "service.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for write in (lambda: write_one(database), database.check_writable):
        with pytest.raises(StorageError, match="database is locked"):
            write()
    assert camera_names(database) == [], "who reads does not wait"
    other.execute("ROLLBACK")
    database.check_writable()
    write_one(database)
    other.close()
    database.close()


def test_a_writer_of_this_process_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(url_of(tmp_path))
    monkeypatch.setattr(database_module, "_TURN_WAIT_S", 0.05)
    with database.writing():
        outcome: list[BaseException] = []

        def write() -> None:
            try:
                write_one(database)
            except StorageError as exc:
                outcome.append(exc)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert "another change has held" in str(outcome[0])
    write_one(database)
    database.close()


@pytest.mark.parametrize("put_there", [None, "another database", "the same content"])
def test_a_file_that_is_gone_or_another_is_not_written_to(tmp_path: Path, put_there: str | None) -> None:
    database = Database(url_of(tmp_path))
    write_one(database)
    path, kept = tmp_path / "service.db", tmp_path / "kept.db"
    path.rename(kept)
    if put_there == "another database":
        Database(url_of(tmp_path)).close()
    elif put_there is not None:
        path.write_bytes(kept.read_bytes())
    for use in (lambda: write_one(database), lambda: camera_names(database), database.check_writable):
        with pytest.raises(StorageError, match="was removed or replaced while in use: stop the service"):
            use()
    assert path.exists() == (put_there is not None), "nothing new is made in its place"
    if put_there is None:
        kept.rename(path)
        assert camera_names(database) == ["gate"]
    database.close()


def test_whether_it_can_be_written_to_changes_nothing(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    before = (tmp_path / "service.db-wal").read_bytes()
    database.check_writable()
    assert (tmp_path / "service.db-wal").read_bytes() == before
    write_one(database)
    database.close()
