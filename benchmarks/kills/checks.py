"""What must hold after any strike; each function returns what is wrong, nothing if all is well."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from edge_autotuner.config.server import ServerConfig
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.deployment import deployed_bundle, read_bundle
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.server.audit import AuditEntry, AuditLog
from edge_autotuner.server.blobs import Blobs
from edge_autotuner.server.data_folder import BLOBS_FOLDER, DATABASE_FILE, RESULTS_FILE, database_url
from edge_autotuner.server.database import Database
from edge_autotuner.server.registry import Registry
from edge_autotuner.storage.journal import read_journal


def frames_of(dataset: Path) -> list[tuple[str, int]]:
    """Return the frames that are on the disk, in order; none where nothing was written yet."""
    journal = dataset / "journal.jsonl"
    if not journal.is_file():
        return []
    records = read_journal(journal).records
    return [(str(r["frame"]["split"]), int(r["frame"]["index"])) for r in records if r["kind"] == "frame"]


def dataset_damage(dataset: Path, *, is_labelled: bool) -> list[str]:
    """Look at frames, pictures and labels of a dataset."""
    records = read_journal(dataset / "journal.jsonl").records
    found = [f"frame {key} is there {n} times" for key, n in Counter(frames_of(dataset)).items() if n > 1]
    labels = Counter((r["split"], r["index"], r["fingerprint"]) for r in records if r["kind"] == "annotation")
    found += [f"labels {key} are there {n} times" for key, n in labels.items() if n > 1]
    try:
        with DatasetStore.open(dataset) as store:
            for record in store.frames():
                store.read_image(record)
                if is_labelled and store.annotation_of(record) is None:
                    found.append(f"frame {record.key} has no labels")
            named = {Path(record.file).name for record in store.frames()}
    except EdgeAutotunerError as exc:
        return [*found, f"the dataset cannot be read: {exc}"]
    there = {path.name for path in (dataset / "frames").iterdir()}
    return found + [f"no record of picture {name}" for name in sorted(there - named)]


def leftovers(folder: Path) -> list[str]:
    """Look for temporary files and folders."""
    found = [path for path in folder.rglob("*") if path.name.endswith((".tmp", ".part"))]
    incoming = folder / "incoming"
    found += list(incoming.iterdir()) if incoming.is_dir() else []
    return [f"left over: {path.relative_to(folder)}" for path in sorted(found)]


def bundles_damage(camera: Path) -> list[str]:
    """Look at all bundles of a camera, and at the link to the deployed one."""
    found = []
    try:
        if deployed_bundle(camera) is None:
            found.append("no bundle is deployed")
        for path in (camera / "bundles").iterdir():
            if not path.name.startswith("."):
                read_bundle(path)
    except EdgeAutotunerError as exc:
        found.append(f"a bundle is damaged: {exc}")
    return found


def difference(what: str, got: Any, wanted: Any) -> list[str]:  # noqa: ANN401 (JSON)
    """Compare with the undisturbed reference."""
    if isinstance(got, Mapping) and isinstance(wanted, Mapping):
        keys = sorted({*got, *wanted})
        return [text for key in keys for text in difference(f"{what}.{key}", got.get(key), wanted.get(key))]
    if plain(got) == plain(wanted):
        return []
    return [f"{what}: {json.dumps(plain(got)):.300} instead of {json.dumps(plain(wanted)):.300}"]


def plain(value: Any) -> Any:  # noqa: ANN401 (JSON)
    """Return values as JSON gives them back."""
    return json.loads(json.dumps(value, default=str))


class Stored:
    """What a service that does not run has on its disk."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._database = Database(database_url(ServerConfig(data=data)))
        self._log = AuditLog(self._database)
        self.blobs = Blobs(data / BLOBS_FOLDER, reserve_bytes=0)
        self.registry = Registry(self._database, self.blobs, self._log)

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def actions(self) -> list[tuple[str, str]]:
        """Return action and subject of all that the audit log holds of the registry."""
        return [(e.action, e.subject) for e in self._entries() if e.action.startswith(("bundle", "blob", "camera"))]

    def _entries(self) -> Iterable[AuditEntry]:
        return list(self._log.entries())

    def damage(self) -> list[str]:
        """Look at both databases, the audit log's chain, and all contents."""
        found = []
        if (damage := self._log.verify().damage) is not None:
            found.append(f"audit log: {damage}")
        for path in (self.data / DATABASE_FILE, self.data / RESULTS_FILE):
            if path.is_file():
                with closing(sqlite3.connect(path)) as connection:
                    answer = connection.execute("PRAGMA integrity_check").fetchone()[0]
                found += [] if answer == "ok" else [f"{path.name}: {answer}"]
        hashes = {blob.sha256 for blob in self.blobs.all()}
        for sha256 in hashes:
            if hashlib.sha256(self.blobs.path(sha256).read_bytes()).hexdigest() != sha256:
                found.append(f"content {sha256} is not what its name says")
        found += [f"left over: {path.name}" for path in (self.data / BLOBS_FOLDER / "incoming").iterdir()]
        for camera in self.registry.cameras():
            bundles = self.registry.bundles(camera.camera)
            needed = {file.sha256 for bundle in bundles for file in bundle.files}
            if not needed <= hashes:
                found.append(f"{len(needed - hashes)} contents of bundles are missing")
            n_deployed = sum(bundle.stage == "deployed" for bundle in bundles)
            if n_deployed > 1:
                found.append(f"{n_deployed} bundles are deployed")
        return found
