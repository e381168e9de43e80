"""A database that may not grow: every change is refused as a whole, and all goes on when there is room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, text

from edge_autotuner.errors import StorageError
from edge_autotuner.server import database as database_module
from edge_autotuner.server.database import Database
from edge_autotuner.server.schema import STEPS, schema_version
from edge_autotuner.wire.registry_messages import BundleRequest, CameraRequest
from support.service.registry_samples import Parts, add_bundle, description, open_parts, stages, url_of


def forbid_growth(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA max_page_count = 1")  # SQLite raises it to what there is


class Full:
    """Lets a database be full for a while: not even an entry of the audit log fits."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def begin(self) -> None:
        event.listen(self._parts.database.engine, "connect", forbid_growth)
        self._parts.database.close()
        with suppress(StorageError):
            while True:
                self._parts.audit.record("filler", client="-", subject="-")

    def end(self) -> None:
        event.remove(self._parts.database.engine, "connect", forbid_growth)
        self._parts.database.close()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = open_parts(tmp_path)
    yield made
    made.close()


ACTS: dict[str, Callable[[Parts, list[str]], object]] = {
    "camera": lambda parts, ids: parts.registry.put_camera("new", CameraRequest(place="x"), client="c"),
    "add": lambda parts, ids: parts.registry.add("gate", BundleRequest(description=description("other")), client="c"),
    "promote": lambda parts, ids: parts.registry.promote("gate", ids[0], client="c"),
    "roll back": lambda parts, ids: parts.registry.roll_back("gate", leaving=ids[1], client="c"),
    "archive": lambda parts, ids: parts.registry.archive("gate", ids[2], client="c"),
    "token": lambda parts, ids: parts.tokens.add("new", ["annotate"]),
    "rotate": lambda parts, ids: parts.tokens.rotate("old"),
    "revoke": lambda parts, ids: parts.tokens.revoke("old"),
}


def state(parts: Parts) -> object:
    tables = ("cameras", "bundles", "bundle_files", "deployments", "tokens")
    with parts.database.reading() as connection:
        found = {table: connection.execute(text(f"SELECT * FROM {table}")).all() for table in tables}
    return found, {blob.sha256 for blob in parts.blobs.all()}


@pytest.mark.parametrize("act", ACTS, ids=str)
def test_a_change_is_refused_as_a_whole_and_can_be_made_later(parts: Parts, act: str) -> None:
    ids = [add_bundle(parts, name=f"n{number}", model=bytes([number])) for number in range(3)]
    add_bundle(parts, "yard")
    for bundle in ids[:2]:
        parts.registry.promote("gate", bundle, client="c")
    old = parts.tokens.add("old", ["annotate"]).text
    full = Full(parts)
    full.begin()
    before = state(parts)
    with pytest.raises(StorageError, match="full"):
        ACTS[act](parts, ids)
    assert state(parts) == before
    assert parts.tokens.identify(old) is not None
    assert stages(parts)["n1"] == "deployed", "reading goes on"
    full.end()
    ACTS[act](parts, ids)
    assert state(parts) != before
    assert parts.audit.verify().damage is None


def test_a_database_that_cannot_be_brought_forward_keeps_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "STEPS", STEPS[:1])
    Database(url_of(tmp_path)).close()
    new_step = ("CREATE TABLE something_new (id INTEGER PRIMARY KEY)",)
    monkeypatch.setattr(database_module, "STEPS", (STEPS[0], new_step))
    event.listen(Engine, "connect", forbid_growth)
    try:
        with pytest.raises(StorageError, match="full"):
            Database(url_of(tmp_path))
    finally:
        event.remove(Engine, "connect", forbid_growth)
    made = Database(url_of(tmp_path))
    with made.reading() as connection:
        assert connection.execute(select(schema_version.c.version)).scalar_one() == 2
        assert connection.execute(text("SELECT * FROM something_new")).all() == []
    made.close()
