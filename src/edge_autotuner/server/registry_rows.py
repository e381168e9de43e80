"""Rows of the registry: reads them, checks what they refer to, and bounds what lists show of them.

Clients choose the metrics of a bundle. A list shows those of usual size, of the newest bundles first, up to a budget
that keeps it within `LONG_LIST`; the description of a bundle has all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from edge_autotuner.core.json_limits import check_json_values, load_json
from edge_autotuner.deployment.bundle import ModelBundle, parse_description
from edge_autotuner.errors import ModelBundleError
from edge_autotuner.server.problems import Problem
from edge_autotuner.server.schema import bundle_files, bundles, cameras
from edge_autotuner.wire.registry_messages import BundleFileInfo, BundleInfo, BundleRequest

MAX_BUNDLES = 2000
"""Most bundles in a list, the newest: less than half of what a reply may hold, even with the longest names."""

MAX_CAMERAS = 5000
"""Most cameras of a service: one reply lists all of them."""

MAX_VALUES = 500
MAX_BYTES = 8 << 10
_BUDGET_VALUES = 200_000
_BUDGET_BYTES = 4 << 20


class ShownMetrics:
    """Bounds the metrics that a reply shows, of each bundle and in total."""

    def __init__(self) -> None:
        self._n_values, self._n_bytes = _BUDGET_VALUES, _BUDGET_BYTES

    def of(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Return metrics; none if they are unusually large, not printable, or too much for the reply."""
        text = json.dumps(metrics)
        n_values = text.count(",") + text.count(":") + text.count("[") + text.count("{")
        if len(text) > min(MAX_BYTES, self._n_bytes) or n_values > self._n_values:
            return {}
        try:
            check_json_values(metrics, max_items=MAX_VALUES)
        except ValueError:  # accepted by an earlier version
            return {}
        self._n_values -= n_values
        self._n_bytes -= len(text)
        return dict(metrics)


def checked_description(request: BundleRequest) -> tuple[bytes, ModelBundle, str]:
    """Return the bytes of a description, the parsed description, and the summary for lists."""
    try:
        content = request.description.encode()
        bundle = parse_description(content)
        summary = json.dumps({"name": bundle.name, "metrics": bundle.metrics}, allow_nan=False)
        load_json(summary.encode()), bundle.name.encode(), json.dumps(bundle.metrics, ensure_ascii=False).encode()
    except (ModelBundleError, ValueError, RecursionError) as exc:  # ValueError: no UTF-8, or an infinite number
        raise Problem(422, "not-a-bundle", f"the description cannot be used: {exc!s:.500}") from exc
    return content, bundle, summary


def check_number_of_cameras(connection: Connection) -> None:
    """Raise `Problem` 409 if the service has no room for another camera."""
    if connection.execute(select(func.count()).select_from(cameras)).scalar_one() >= MAX_CAMERAS:
        detail = f"the service already has {MAX_CAMERAS} cameras, its limit; use another service"
        raise Problem(409, "too-many-cameras", detail)


def check_camera(connection: Connection, camera: str) -> None:
    """Raise `Problem` 404 if there is no such camera."""
    if connection.execute(select(cameras.c.camera).where(cameras.c.camera == camera)).first() is None:
        raise Problem(404, "unknown-camera", f"there is no camera '{camera}'; PUT /v1/cameras/{camera} adds one")


def bundle_row(connection: Connection, camera: str, bundle_id: str) -> Row[Any]:
    """Return the stage of a bundle; raises `Problem` 404 if there is no such camera or bundle."""
    check_camera(connection, camera)
    query = select(bundles.c.stage).where(bundles.c.camera == camera, bundles.c.id == bundle_id)
    row = connection.execute(query).first()
    if row is None:
        raise Problem(404, "unknown-bundle", f"camera '{camera}' has no bundle '{bundle_id}'")
    return row


def deployed_id(connection: Connection, camera: str) -> str | None:
    """Return the ID of the deployed bundle of a camera."""
    query = select(bundles.c.id).where(bundles.c.camera == camera, bundles.c.stage == "deployed")
    return connection.execute(query).scalar_one_or_none()


def files_of(connection: Connection, ids: Iterable[str]) -> dict[str, list[BundleFileInfo]]:
    """Return the files of some bundles."""
    files: dict[str, list[BundleFileInfo]] = {bundle_id: [] for bundle_id in ids}
    query = select(bundle_files).where(bundle_files.c.bundle_id.in_(files)).order_by(bundle_files.c.name)
    for row in connection.execute(query):
        files[row.bundle_id].append(BundleFileInfo(name=row.name, n_bytes=row.n_bytes, sha256=row.sha256))
    return files


def _summary_of(row: Row[Any], shown: ShownMetrics) -> tuple[str, dict[str, Any]]:
    """Return name and metrics for replies."""
    try:
        summary = load_json(row.summary)
    except ValueError:
        return row.id, {}
    return summary["name"], shown.of(summary["metrics"])


def facts_of(row: Row[Any], files: Sequence[BundleFileInfo], shown: ShownMetrics) -> dict[str, Any]:
    """Return the fields of a `BundleInfo`."""
    name, metrics = _summary_of(row, shown)
    stored = {column: value for column, value in row._mapping.items() if column in BundleInfo.model_fields}
    is_signed = row.signature is not None
    return {**stored, "name": name, "metrics": metrics, "files": tuple(files), "is_signed": is_signed}
