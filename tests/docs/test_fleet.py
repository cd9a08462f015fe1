"""Every call that docs/FLEET.md shows is answered, by a fleet whose readings are of now."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine

from telemetry.api import create_app
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.tellers import KUBERNETES, KUBERNETES_HELD, TOLD_BY
from telemetry.settings import Settings
from tests.batches import batch, key, now_s, readings
from tests.docs.pages import ROOT

CALLS = re.findall(r"(?m)^\| .* \| `(\S+)` \|$", (ROOT / "docs" / "FLEET.md").read_text(encoding="utf-8"))
VALUES = {
    **dict.fromkeys(("GPU_TEMP", "POWER_USAGE", "TOTAL_ENERGY_CONSUMPTION"), 50.0),
    "GPU_UTIL": 3.0,
    "POWER_MGMT_LIMIT": 400.0,
    "FB_USED": 95.0,
    "FB_FREE": 5.0,
    "XID_ERRORS": 79.0,
}
SOMEBODY = {"namespace": "research", "pod": "trainer-0", "user": "ada", "account": "physics", "hpc_job": "4711"}


@pytest.fixture
def client(settings: Settings, engine: Engine, redis_client: redis.Redis, judge: Callable[[], None]) -> Iterator[FlaskClient]:
    """The API over a GPU that somebody has now and that has an XID, and one that is silent for an hour."""
    rows = [
        (key(f"DCGM_FI_DEV_{metric}", gpu, rack="r1", row="7", **SOMEBODY), now_s() - age_s, value)
        for metric, value in VALUES.items()
        for gpu, age_s in (("GPU-1", 5), ("GPU-2", 3600))
    ]
    # One has an XID that it had not a minute ago.
    rows.append((key("DCGM_FI_DEV_XID_ERRORS", "GPU-1", rack="r1", row="7", **SOMEBODY), now_s() - 65, 0.0))
    # In the minutes before Kubernetes told of another pod.
    rows += [
        (key("DCGM_FI_DEV_GPU_TEMP", "GPU-1", rack="r1", row="7", **SOMEBODY), now_s() - age_s, 50.0)
        for age_s in range(120, 600, 60)
    ]
    other = {"namespace": "research", "pod": "trainer-1", TOLD_BY: KUBERNETES}
    rows.append((key(KUBERNETES_HELD, "GPU-1", **other), now_s() - 120, 480.0))
    # The only GPU of its host: so the host is silent, too.
    rows = [(text.replace("host-1", "host-2") if "GPU-2" in text else text, second, value) for text, second, value in rows]
    Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60)).persist(*wire.encode(batch(readings(*rows))))
    judge()
    app = create_app(replace(settings, api_access="open"))
    yield app.test_client()
    app.extensions["connections"].close()


def test_every_call_has_an_answer(client: FlaskClient) -> None:
    assert len(CALLS) >= 30
    for call in CALLS:
        answer = client.get(f"/api/v1/{call}")
        assert answer.status_code == 200, (call, answer.text)
        assert answer.get_json()["items"], call
