"""Labels are bounded."""

from __future__ import annotations

import pytest

from telemetry.monitoring.counters import definitions


def test_made_up_clusters_do_not_make_labels_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "_clusters", set())
    names = {definitions.cluster_of(f"cluster-{number}/node") for number in range(1000)}
    assert len(names) == definitions.MAX_CLUSTERS + 1
    assert definitions.cluster_of("cluster-0/another") == "cluster-0"
    assert {definitions.cluster_of(edge) for edge in ("new/node", "", None, 5)} == {definitions.OTHER}
