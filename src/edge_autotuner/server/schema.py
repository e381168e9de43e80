"""The tables of the service: as queries name them, and the migrations that create them.

Times are stored as text, see `StoredTime`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Boolean, ColumnClause, Dialect, String, TableClause, TypeDecorator, column, table


class StoredTime(TypeDecorator[datetime]):
    """An aware time, stored as text in UTC that sorts like the times.

    >>> StoredTime.text(datetime(2026, 1, 1, tzinfo=UTC))
    '2026-01-01T00:00:00.000000+00:00'
    """

    impl = String
    cache_ok = True

    @staticmethod
    def text(time: datetime) -> str:
        """Return a time as it is stored."""
        return time.astimezone(UTC).isoformat(timespec="microseconds")

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Return a time for the database."""
        return None if value is None else self.text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Return a time of the database."""
        return None if value is None else datetime.fromisoformat(value)


def _table(name: str, columns: str, *, times: str = "", flags: str = "") -> TableClause:
    typed: list[ColumnClause[object]] = [column(each) for each in columns.split()]
    typed += [column(time, StoredTime) for time in times.split()]
    return table(name, *typed, *(column(flag, Boolean) for flag in flags.split()))


schema_version = _table("schema_version", "id version")
tokens = _table(
    "tokens",
    "id client scopes sha256 lifetime_s",
    times="created_at expires_at revoked_at last_used_at",
    flags="is_current",
)
audit = _table("audit", "seq at client action subject outcome detail sha256")  # `at` is hashed as text
cameras = _table("cameras", "camera place shows", times="added_at")
bundles = _table(
    "bundles",
    "id camera stage description description_sha256 summary signature parent data_sha256 added_by",
    times="stage_since added_at",
)
bundle_files = _table("bundle_files", "bundle_id name n_bytes sha256")

# A stack per camera: the deployed bundle is on top, above those that rollbacks return to.
deployments = _table("deployments", "camera position bundle_id deployed_by", times="deployed_at")

jobs = _table(
    "jobs",
    "id client key camera state request request_sha256 attempts n_kills task n_done n_total revision error_kind "
    "error_detail result",
    times="created_at deadline_at not_before started_at ended_at",
    flags="is_cancelling",
)
job_events = _table("job_events", "job_id seq kind name text data", times="at")

# The contents that a job needs (role "input"), and its results.
job_blobs = _table("job_blobs", "job_id role sha256")

TABLES = (schema_version, tokens, audit, cameras, bundles, bundle_files, deployments, jobs, job_events, job_blobs)

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE tokens (
            id VARCHAR(32) PRIMARY KEY,
            client VARCHAR(100) NOT NULL,
            scopes VARCHAR(100) NOT NULL,
            sha256 VARCHAR(64) NOT NULL,
            is_current BOOLEAN NOT NULL,
            lifetime_s FLOAT,
            created_at VARCHAR(32) NOT NULL,
            expires_at VARCHAR(32),
            revoked_at VARCHAR(32),
            last_used_at VARCHAR(32)
        )
        """,
        "CREATE UNIQUE INDEX tokens_current ON tokens (client) WHERE is_current",
        """
        CREATE TABLE audit (
            seq BIGINT PRIMARY KEY,
            at VARCHAR(32) NOT NULL,
            client VARCHAR(100) NOT NULL,
            action VARCHAR(100) NOT NULL,
            subject TEXT NOT NULL,
            outcome VARCHAR(100) NOT NULL,
            detail TEXT NOT NULL,
            sha256 VARCHAR(64) NOT NULL
        )
        """,
        """
        CREATE TABLE cameras (
            camera VARCHAR(100) PRIMARY KEY,
            place TEXT NOT NULL,
            shows TEXT NOT NULL,
            added_at VARCHAR(32) NOT NULL
        )
        """,
        """
        CREATE TABLE bundles (
            id VARCHAR(32) PRIMARY KEY,
            camera VARCHAR(100) NOT NULL REFERENCES cameras (camera),
            stage VARCHAR(16) NOT NULL,
            stage_since VARCHAR(32) NOT NULL,
            description TEXT NOT NULL,
            description_sha256 VARCHAR(64) NOT NULL,
            summary TEXT NOT NULL,
            signature VARCHAR(100),
            parent VARCHAR(100),
            data_sha256 VARCHAR(64),
            added_at VARCHAR(32) NOT NULL,
            added_by VARCHAR(100) NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX bundles_content ON bundles (camera, description_sha256)",
        "CREATE UNIQUE INDEX bundles_deployed ON bundles (camera) WHERE stage = 'deployed'",
        """
        CREATE TABLE bundle_files (
            bundle_id VARCHAR(32) NOT NULL REFERENCES bundles (id),
            name VARCHAR(100) NOT NULL,
            n_bytes BIGINT NOT NULL,
            sha256 VARCHAR(64) NOT NULL,
            PRIMARY KEY (bundle_id, name)
        )
        """,
        "CREATE INDEX bundle_files_content ON bundle_files (sha256)",
        """
        CREATE TABLE deployments (
            camera VARCHAR(100) NOT NULL REFERENCES cameras (camera),
            position INTEGER NOT NULL,
            bundle_id VARCHAR(32) NOT NULL REFERENCES bundles (id),
            deployed_at VARCHAR(32) NOT NULL,
            deployed_by VARCHAR(100) NOT NULL,
            PRIMARY KEY (camera, position)
        )
        """,
        "CREATE INDEX deployments_bundle ON deployments (bundle_id)",
    ),
    (
        """
        CREATE TABLE jobs (
            id VARCHAR(32) PRIMARY KEY,
            client VARCHAR(100) NOT NULL,
            key VARCHAR(100) NOT NULL,
            camera VARCHAR(100) NOT NULL REFERENCES cameras (camera),
            state VARCHAR(16) NOT NULL,
            request TEXT NOT NULL,
            request_sha256 VARCHAR(64) NOT NULL,
            created_at VARCHAR(32) NOT NULL,
            deadline_at VARCHAR(32),
            not_before VARCHAR(32),
            started_at VARCHAR(32),
            ended_at VARCHAR(32),
            attempts INTEGER NOT NULL,
            n_kills INTEGER NOT NULL,
            is_cancelling BOOLEAN NOT NULL,
            task VARCHAR(100) NOT NULL,
            n_done BIGINT NOT NULL,
            n_total BIGINT,
            revision INTEGER NOT NULL,
            error_kind VARCHAR(100),
            error_detail TEXT,
            result TEXT
        )
        """,
        "CREATE UNIQUE INDEX jobs_key ON jobs (client, key)",
        "CREATE INDEX jobs_state ON jobs (state, created_at)",
        """
        CREATE TABLE job_events (
            job_id VARCHAR(32) NOT NULL REFERENCES jobs (id),
            seq INTEGER NOT NULL,
            at VARCHAR(32) NOT NULL,
            kind VARCHAR(16) NOT NULL,
            name VARCHAR(100) NOT NULL,
            text TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (job_id, seq)
        )
        """,
        """
        CREATE TABLE job_blobs (
            job_id VARCHAR(32) NOT NULL REFERENCES jobs (id),
            role VARCHAR(32) NOT NULL,
            sha256 VARCHAR(64) NOT NULL,
            PRIMARY KEY (job_id, role, sha256)
        )
        """,
    ),
)
"""One step per schema version, in SQL for both SQLite and PostgreSQL. A released step never changes: add a new one."""
