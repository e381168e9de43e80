"""What clients call things does not break the page of measurements."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_autotuner.server.metrics import Metrics

HOSTILE = ['a"b', "a\\", 'x"} 1\nevil_metric{a="', "\n# HELP evil", "{}", "", "é\u202e", 'quote\\"']


@pytest.mark.parametrize("value", HOSTILE)
def test_a_label_is_escaped(value: str) -> None:
    metrics = Metrics()
    metrics.watch("hostile", "Test.", "what", lambda: {value: 7})
    families = {family.name: family for family in text_string_to_metric_families(metrics.page().decode())}
    samples = families["edge_autotuner_hostile"].samples
    assert [(sample.labels, sample.value) for sample in samples] == [({"what": value}, 7.0)]
    assert not [name for name in families if name.startswith("evil")]
