"""How a database comes from nothing to the tables of `schema`, one step per schema version.

A step that was released is never changed: what changes is a new step at the end. The SQL is what SQLite and PostgreSQL
both know.
"""

from __future__ import annotations

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
)
