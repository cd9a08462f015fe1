"""A real H200 in every form that nvidia-smi writes: each file ends in the database, and says what NVML said in that second."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import redis
from sqlalchemy import Engine

from telemetry.settings import Settings, sources_file
from tests.fixtures.services import Query
from tests.formats.test_stored import stored

FIELDS = "timestamp,index,uuid,name,utilization.gpu,utilization.memory,memory.used,memory.total,temperature.gpu,"
FIELDS += "temperature.memory,power.draw,power.limit,clocks.sm,clocks.mem"
FILES = (
    *("smi-all.csv", "smi-documented.csv", "smi-file.csv", "smi-mixed.csv", "smi-nounits.csv", "smi-noheader-nounits.csv"),
    *("smi-apps.csv", "dmon.csv", "dmon.txt", "dmon-gpm.txt", "pmon.txt"),
)
SAID = sources_file.Rule("*", time_zone="UTC", host="node")
HEADLESS = {"smi-noheader-nounits.csv": FIELDS}


class Truth(NamedTuple):
    """NVML's column, how many of its unit make one of the metric's, and what the tool rounds or averages."""

    column: str
    per: float
    within: float


# What the tool rounds: to whole numbers, query-gpu power to a hundredth of a watt. Power and clocks move within a second.
TRUTH = {
    "DCGM_FI_DEV_GPU_UTIL": Truth("gpu", 1, 0.5),
    "DCGM_FI_DEV_MEM_COPY_UTIL": Truth("mem", 1, 0.5),
    "DCGM_FI_DEV_GPU_TEMP": Truth("temp", 1, 0.5),
    "DCGM_FI_DEV_POWER_USAGE": Truth("power_mw", 1_000, 3.0),
    "DCGM_FI_DEV_SM_CLOCK": Truth("sm", 1, 0.5),
    "DCGM_FI_DEV_MEM_CLOCK": Truth("memclk", 1, 0.5),
}
NEAR_S, MOST_APART = 1.05, 0.1
# What NVML was not asked.
OF_PROCESSES = {"smi-apps.csv", "pmon.txt"}


@pytest.mark.parametrize("name", FILES)
def test_it_is_stored_whole_and_is_what_nvml_said(
    recorded: Path, name: str, settings: Settings, redis_client: redis.Redis, engine: Engine, query: Query
) -> None:
    rule = replace(SAID, header=HEADLESS.get(name, ""))
    _, outcome = stored(recorded / name, replace(settings, source_settings=(rule,)), redis_client, engine)
    assert outcome.differences() == {}
    assert outcome.counts["quarantined"] == 0
    rows = query(
        "SELECT m.name, extract(epoch FROM ts)::float8, value FROM samples"
        " JOIN series s ON s.id = series_id JOIN metrics m ON m.id = s.metric_id"
    )
    assert rows
    compared = beside_nvml(rows, recorded / "nvml.csv")
    assert bool(compared) == (name not in OF_PROCESSES)
    for metric, (count, apart) in compared.items():
        assert apart <= MOST_APART * count, f"{metric}: {apart} of {count} are not what NVML said within a second"


def beside_nvml(rows: list[tuple[str, float, float]], path: Path) -> dict[str, tuple[int, int]]:
    """By metric: how many samples there are, and how many lie outside of what NVML said within a second of them."""
    with path.open() as file:
        said = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    counts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for metric, at_s, value in rows:
        truth = TRUTH.get(metric)
        if truth is None:
            continue
        near = [row[truth.column] / truth.per for row in said if abs(row["t"] - at_s) <= NEAR_S]
        if near:
            count, apart = counts[metric]
            is_apart = not min(near) - truth.within <= value <= max(near) + truth.within
            counts[metric] = count + 1, apart + is_apart
    return dict(counts)
