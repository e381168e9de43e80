"""The tables of the service, as queries name them. `migrations` creates them; a test compares the two.

Times are text in UTC that sorts like the times, see `database.to_stored_time`.
"""

from __future__ import annotations

from sqlalchemy import Boolean, ColumnClause, TableClause, column, table


def _table(name: str, columns: str, *flags: str) -> TableClause:
    """Return a table with some columns, and further ones that are true or false."""
    found: list[ColumnClause[object]] = [column(each) for each in columns.split()]
    return table(name, *found, *(column(flag, Boolean) for flag in flags))


schema_version = _table("schema_version", "id version")
tokens = _table(
    "tokens", "id client scopes sha256 lifetime_s created_at expires_at revoked_at last_used_at", "is_current"
)
audit = _table("audit", "seq at client action subject outcome detail sha256")
cameras = _table("cameras", "camera place shows added_at")
bundles = _table(
    "bundles",
    "id camera stage stage_since description description_sha256 summary signature parent data_sha256 added_at added_by",
)
bundle_files = _table("bundle_files", "bundle_id name n_bytes sha256")

# A stack per camera: the deployed bundle is on top, above those that rollbacks return to.
deployments = _table("deployments", "camera position bundle_id deployed_at deployed_by")

jobs = _table(
    "jobs",
    "id client key camera state request request_sha256 created_at deadline_at not_before started_at ended_at attempts "
    "n_kills task n_done n_total revision error_kind error_detail result",
    "is_cancelling",
)
job_events = _table("job_events", "job_id seq at kind name text data")

# The contents that a job needs (role "input"), and its results.
job_blobs = _table("job_blobs", "job_id role sha256")

TABLES = (schema_version, tokens, audit, cameras, bundles, bundle_files, deployments, jobs, job_events, job_blobs)
