"""The tables of the service. `migrations` creates them; a test compares the two.

Times are text in UTC that sorts like the times, see `database.to_stored_time`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

_ID = String(32)
_NAME = String(100)
_SHA256 = String(64)
_TIME = String(32)

schema_version = Table(
    "schema_version",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("client", _NAME, nullable=False),
    Column("scopes", _NAME, nullable=False),
    Column("sha256", _SHA256, nullable=False),
    Column("is_current", Boolean, nullable=False),
    Column("lifetime_s", Float),
    Column("created_at", _TIME, nullable=False),
    Column("expires_at", _TIME),
    Column("revoked_at", _TIME),
    Column("last_used_at", _TIME),
)
Index(
    "tokens_current",
    tokens.c.client,
    unique=True,
    sqlite_where=tokens.c.is_current,
    postgresql_where=tokens.c.is_current,
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", _TIME, nullable=False),
    Column("client", _NAME, nullable=False),
    Column("action", _NAME, nullable=False),
    Column("subject", Text, nullable=False),
    Column("outcome", _NAME, nullable=False),
    Column("detail", Text, nullable=False),
    Column("sha256", _SHA256, nullable=False),
)

cameras = Table(
    "cameras",
    metadata,
    Column("camera", _NAME, primary_key=True),
    Column("place", Text, nullable=False),
    Column("shows", Text, nullable=False),
    Column("added_at", _TIME, nullable=False),
)

bundles = Table(
    "bundles",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("camera", _NAME, ForeignKey("cameras.camera"), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("stage_since", _TIME, nullable=False),
    Column("description", Text, nullable=False),
    Column("description_sha256", _SHA256, nullable=False),
    Column("summary", Text, nullable=False),
    Column("signature", _NAME),
    Column("parent", _NAME),
    Column("data_sha256", _SHA256),
    Column("added_at", _TIME, nullable=False),
    Column("added_by", _NAME, nullable=False),
)
Index("bundles_content", bundles.c.camera, bundles.c.description_sha256, unique=True)
Index(
    "bundles_deployed",
    bundles.c.camera,
    unique=True,
    sqlite_where=bundles.c.stage == "deployed",
    postgresql_where=bundles.c.stage == "deployed",
)

bundle_files = Table(
    "bundle_files",
    metadata,
    Column("bundle_id", _ID, ForeignKey("bundles.id"), primary_key=True),
    Column("name", _NAME, primary_key=True),
    Column("n_bytes", BigInteger, nullable=False),
    Column("sha256", _SHA256, nullable=False),
)
Index("bundle_files_content", bundle_files.c.sha256)

# A stack per camera: the deployed bundle is on top, above those that rollbacks return to.
deployments = Table(
    "deployments",
    metadata,
    Column("camera", _NAME, ForeignKey("cameras.camera"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("bundle_id", _ID, ForeignKey("bundles.id"), nullable=False),
    Column("deployed_at", _TIME, nullable=False),
    Column("deployed_by", _NAME, nullable=False),
)
Index("deployments_bundle", deployments.c.bundle_id)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("client", _NAME, nullable=False),
    Column("key", _NAME, nullable=False),
    Column("camera", _NAME, ForeignKey("cameras.camera"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("request", Text, nullable=False),
    Column("request_sha256", _SHA256, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("deadline_at", _TIME),
    Column("not_before", _TIME),
    Column("started_at", _TIME),
    Column("ended_at", _TIME),
    Column("attempts", Integer, nullable=False),
    Column("n_kills", Integer, nullable=False),
    Column("is_cancelling", Boolean, nullable=False),
    Column("task", _NAME, nullable=False),
    Column("n_done", BigInteger, nullable=False),
    Column("n_total", BigInteger),
    Column("revision", Integer, nullable=False),
    Column("error_kind", _NAME),
    Column("error_detail", Text),
    Column("result", Text),
)
Index("jobs_key", jobs.c.client, jobs.c.key, unique=True)
Index("jobs_state", jobs.c.state, jobs.c.created_at)

job_events = Table(
    "job_events",
    metadata,
    Column("job_id", _ID, ForeignKey("jobs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", _TIME, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("text", Text, nullable=False),
    Column("data", Text, nullable=False),
)

# The contents that a job needs (role "input"), and its results.
job_blobs = Table(
    "job_blobs",
    metadata,
    Column("job_id", _ID, ForeignKey("jobs.id"), primary_key=True),
    Column("role", String(32), primary_key=True),
    Column("sha256", _SHA256, primary_key=True),
)
