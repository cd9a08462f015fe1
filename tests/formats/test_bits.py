"""Any number that a file of any format holds is in the database bit for bit, in whatever variant the file is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from telemetry.formats.registry import FORMATS
from telemetry.settings import Settings, sources_file
from tests.fixtures.services import Query
from tests.formats.test_stored import stored
from tests.formats.variants import SHAPES, WHOLE, drawn

# Each job is an owner of its own, which takes more than a sample.
COUNT, JOBS = 40, 10
SAID = sources_file.Rule("*", time_zone="UTC", host="node")
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))]


def test_no_format_is_left_out() -> None:
    # `mapped` has a test of its own: tests/formats/test_mapped_agreement.py.
    assert {*SHAPES, *WHOLE} == {each.name for each in FORMATS} - {"mapped"}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", [*SHAPES, *WHOLE])
def test_each_bit_survives(
    name: str, seed: int, settings: Settings, redis_client: redis.Redis, engine: Engine, query: Query, tmp_path: Path
) -> None:
    content, values = drawn(name, seed, JOBS if name in WHOLE else COUNT)
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    edge, outcome = stored(path, replace(settings, source_settings=(SAID,)), redis_client, engine)
    assert {batch.source.format for batch in edge.published} == {name}
    assert outcome.differences() == {}
    assert outcome.counts["quarantined"] == 0
    found = [value for (value,) in query("SELECT value FROM samples ORDER BY ts")]
    assert [value.hex() for value in found] == [value.hex() for value in values]
