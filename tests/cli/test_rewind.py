"""`telemetry rewind` where the state of a source cannot be read: it says so and does not call that a success."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import redis

from telemetry.progress.claims import Claims
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from tests.states import source_state

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_source_that_cannot_be_read_is_named_and_the_others_are_set_back(
    telemetry: Run, settings: Settings, redis_client: redis.Redis
) -> None:
    keys = Keys(settings.key_prefix)
    claims = Claims(redis_client, keys, settings.edge, "one", 30)
    claims.claim("good", source_state())
    claims.claim("newer", source_state())
    redis_client.hset(keys.source(settings.edge, "newer"), "state", '{"version": 99}')
    done = telemetry("rewind", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert [source["to"] for source in told["rewound"]] == [source_state().first_record.offset]
    assert "newer" in told["unread"][0]
    redis_client.delete(keys.source(settings.edge, "newer"))
    again = telemetry("rewind")
    assert (again.returncode, again.stdout) == (0, "every edge is where the ledger is\n")
