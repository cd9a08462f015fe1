"""From a cluster's API to allocations in the database: what Kubernetes tells stands beside what was read off the GPU."""

from __future__ import annotations

from pathlib import Path

import redis
from sqlalchemy import Engine

from telemetry.record.files import Files
from telemetry.record.taken import lines
from telemetry.settings import Settings
from tests.deploy.kubernetes import serving
from tests.fixtures.services import Query
from tests.formats.test_stored import stored
from tests.record.cluster import CLAIMS, NODES, PODS, SLICES, WatchedApi, claim, node, pod, slices
from tests.record.test_pods import A, B, Look

HELD = """
    SELECT g.identity, o.pod, coalesce(o.labels ->> 'told_by', ''),
           to_char(lower(r) AT TIME ZONE 'UTC', 'HH24:MI'), to_char(upper(r) AT TIME ZONE 'UTC', 'HH24:MI')
    FROM allocations a JOIN gpus g ON g.id = a.gpu_id JOIN owners o ON o.id = a.owner_id, unnest(held) r
    WHERE o.labels <> '{}' ORDER BY 1, 2, 3, 4
"""


def recorded(look: Look, directory: Path, clock: str) -> Path:
    """The file of a recording that looked once, at this time."""
    directory.mkdir(exist_ok=True)
    files = Files(directory, "pods", 1 << 20, 1e9, 1 << 30)
    look.clock = clock
    files.append(lines(look.pods.take(), 0.0))
    path = files.path
    assert path is not None
    files.close()
    return path


def test_what_kubernetes_tells_is_an_allocation_of_its_own(
    settings: Settings, redis_client: redis.Redis, engine: Engine, query: Query, tmp_path: Path
) -> None:
    api = WatchedApi()
    api.set(SLICES, "n1-gpus", **slices({"gpu-0": A, "gpu-1": B}))
    api.set(NODES, "n2", **node(2, count="2"))
    api.set(CLAIMS, "shared", **claim("gpu-0", pods=("a", "b")))
    for name in ("a", "b"):
        api.set(PODS, name, **pod("08:00:10", claim="shared"))
    api.set(PODS, "whole", **pod("08:02:00", node="n2", gpus=2))
    with serving(api):
        path = recorded(Look(api), tmp_path, "08:05:30")
        _, outcome = stored(path, settings, redis_client, engine)
        assert outcome.counts["conflict"] == 0
        assert outcome.owners.minutes == 2 * 6 + 2 * 4
        assert outcome.agrees()
        expected = [
            (A, "a", "kubernetes", "08:00", "08:06"),
            (A, "b", "kubernetes", "08:00", "08:06"),
            ("n2:0", "whole", "kubernetes", "08:02", "08:06"),
            ("n2:1", "whole", "kubernetes", "08:02", "08:06"),
        ]
        assert query(HELD) == expected
        # Another process after a while away, and the end of one pod, which is told of twice.
        api.set(PODS, "a", **pod("08:00:10", claim="shared", phase="Succeeded", over="08:09:20"))
        for number in range(2):
            _, outcome = stored(recorded(Look(api), tmp_path / str(number), "08:30:00"), settings, redis_client, engine)
            assert outcome.counts["conflict"] == 0
            assert outcome.agrees()
    expected[0] = (A, "a", "kubernetes", "08:00", "08:10")
    assert query(HELD) == [
        expected[0],
        (A, "b", "kubernetes", "08:00", "08:30"),
        *((*each[:4], "08:30") for each in expected[2:]),
    ]
    # The exporter's labels name another pod: both stand there.
    log = tmp_path / "gpu.csv"
    log.write_text(
        f"timestamp,metric_name,uuid,namespace,pod,value\n2025-07-18T08:03:10Z,DCGM_FI_DEV_GPU_UTIL,{A},research,other,50\n"
    )
    _, outcome = stored(log, settings, redis_client, engine)
    assert outcome.agrees()
    assert (A, "other", "", "08:03", "08:04") in query(HELD)
    # Once the series are there, more pods make no more of them.
    assert query("SELECT count(*) FROM series") == [(4,)]
