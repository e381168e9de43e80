"""Settings of the service: what fits together, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edge_autotuner.config.server import ServerConfig


def test_the_defaults_serve_the_packaged_model_on_this_machine_only() -> None:
    config = ServerConfig()
    assert config.host == "127.0.0.1"
    assert config.models["street-nano"].source == "street-nano"
    assert not config.metrics_open


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        pytest.param({"limits": {"max_batch_pictures": 65}}, "max_batch_pictures", id="a batch that never fits"),
        pytest.param({"limits": {"max_megapixels": 300}}, "max_megapixels", id="a picture that never fits"),
        pytest.param({"limits": {"max_body_mb": 300}}, "max_body_mb", id="a body that never fits"),
        pytest.param({"retention": {"min_age_s": "91d"}}, "min_age_s", id="younger than old"),
        pytest.param({"retention": {"grace_s": "31d"}}, "grace_s", id="longer than pictures may stay"),
        pytest.param({"retention": {"every_s": 0.5}}, "every_s", id="always collecting"),
        pytest.param({"blobs": {"max_content_mb": 0}}, "max_content_mb", id="contents of no size"),
        pytest.param({"models": {}}, "models", id="no models"),
        pytest.param({"models": {"../x": {"source": "a"}}}, "models", id="a name that is a path"),
        pytest.param({"models": {"a": {"source": "a", "adapter": "x"}}}, "adapter", id="unknown adapter"),
        pytest.param({"port": 70_000}, "port", id="no port"),
        pytest.param({"tls": {"certificate": "a.pem"}}, "key", id="a certificate without its key"),
    ],
)
def test_what_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ServerConfig.model_validate(values)


def test_retention_is_written_as_durations() -> None:
    retention = ServerConfig.model_validate({"retention": {"max_age_s": "30d", "every_s": "1h30m"}}).retention
    assert (retention.max_age_s, retention.every_s) == (30 * 86400, 5400)
    assert ServerConfig.model_validate({"retention": {"every_s": None}}).retention.every_s is None
