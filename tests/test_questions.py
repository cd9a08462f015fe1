"""What the owners of a fleet ask, each in one call, held against a simulated fleet whose rows and truth are added up by hand.

Two hours of just now. One host falls silent before the end, one GPU is used by a Slurm job, and one is cut into instances.
"""

from __future__ import annotations

import csv
import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine

from telemetry.api import create_app
from telemetry.readings.dump import HEADER
from telemetry.settings import Settings
from tests.cli.test_usage import put

# Enough hosts for each kind of fault, scraped once a minute: so a minute has one owner and one value.
HOSTS, GPUS, INTERVAL_S, DURATION_S = 8, 4, 60, 7200
SILENT_S = 1500
UTIL, TEMP, XID = (f"DCGM_FI_DEV_{name}" for name in ("GPU_UTIL", "GPU_TEMP", "XID_ERRORS"))


class Row(NamedTuple):
    """A reading as the file has it."""

    at: datetime
    metric: str
    gpu: str
    host: str
    namespace: str
    pod: str
    value: float


class Fleet(NamedTuple):
    """The rows that are stored, the truth beside them, the host that is silent, and the API over all."""

    rows: list[Row]
    truth: list[dict[str, Any]]
    silent: str
    end: datetime
    client: FlaskClient

    def ask(self, call: str) -> list[dict[str, Any]]:
        """The rows of one answer."""
        answer = self.client.get(f"/api/v1/{call}")
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.get_json()["items"]
        return items

    def of(self, *metrics: str) -> list[Row]:
        """The rows of some metrics."""
        return [row for row in self.rows if row.metric in metrics]

    def last(self, metric: str) -> dict[str, Row]:
        """The last row of each GPU that is not silent."""
        return {row.gpu: row for row in self.of(metric) if row.host != self.silent}


def read(path: Path) -> list[Row]:
    with path.open() as file:
        return [
            Row(
                datetime.fromisoformat(each["timestamp"]), each["metric_name"], each["uuid"], each["Hostname"],
                each["namespace"], each["pod"], float(each["value"]),
            )
            for each in csv.DictReader(file)
        ]  # fmt: skip


@pytest.fixture
def fleet(
    telemetry: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    settings: Settings,
    engine: Engine,
    redis_client: redis.Redis,
    judge: Callable[[], None],
) -> Iterator[Fleet]:
    path = tmp_path / "fleet.csv"
    sizes = ("--hosts", str(HOSTS), "--gpus", str(GPUS), "--interval", str(INTERVAL_S), "--duration", str(DURATION_S))
    # Up to two minutes ago: usage is told of minutes that are over.
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=DURATION_S, minutes=2)
    done = telemetry("simulate", *sizes, "--start", f"{start:%Y-%m-%dT%H:%M:%SZ}", "--truth", "-o", path)
    assert done.returncode == 0, done.stderr
    truth = json.loads(path.with_name("fleet.csv.truth.json").read_text())["gpus"]
    rows = read(path)
    end, silent = max(row.at for row in rows), truth[0]["host"]
    lines = path.read_text().splitlines(keepends=True)
    kept = [
        line
        for line, row in zip(lines[1:], rows, strict=True)
        if row.host != silent or row.at < end - timedelta(seconds=SILENT_S)
    ]
    path.write_text("".join((lines[0], *kept)))
    put(path, settings, engine, redis_client)
    judge()
    app = create_app(replace(settings, api_access="open"))
    yield Fleet(read(path), truth, silent, end, app.test_client())
    app.extensions["connections"].close()


def close(found: dict[Any, float], expected: dict[Any, float], rel: float = 1e-6) -> bool:
    return found == {name: pytest.approx(value, rel=rel) for name, value in expected.items()}


def means(rows: Iterable[Row], by: Callable[[Row], Any]) -> dict[Any, float]:
    groups = defaultdict[Any, list[float]](list)
    for row in rows:
        groups[by(row)].append(row.value)
    return {name: fmean(values) for name, values in groups.items()}


def test_each_question_has_its_answer_in_one_call(fleet: Fleet) -> None:
    for question in (
        *(hottest, idle_but_held, hours_by_pod, energy_by_namespace, xids, silent_hosts, memory_nearly_full),
        *(spread_of_utilisation, two_hosts, a_day_by_five_minutes, held_now),
    ):
        question(fleet)


def hottest(fleet: Fleet) -> None:
    """The ten hottest GPUs now."""
    now = {gpu: row.value for gpu, row in fleet.last(TEMP).items()}
    found = fleet.ask(f"latest?metric={TEMP}&sort=-value&limit=10")
    assert [row["value"] for row in found] == sorted(now.values(), reverse=True)[:10]
    assert all(row["value"] == now[row["gpu"]] and row["host"] and row["model"] for row in found)


def idle_but_held(fleet: Fleet) -> None:
    """Idle and allocated in the last six hours."""
    idle = Counter((row.gpu, row.namespace, row.pod) for row in fleet.of(UTIL) if row.value < 5 and row.pod)
    assert idle
    found = fleet.ask("usage?by=gpu,namespace,pod&start_time=-6h&sort=-idle_hours&limit=1000")
    hours = {(row["gpu"], row["namespace"], row["pod"]): row["idle_hours"] for row in found if row["idle_hours"]}
    assert close(hours, {name: minutes / 60 for name, minutes in idle.items()})
    assert [row["idle_hours"] for row in found if row["idle_hours"]] == sorted(hours.values(), reverse=True)


def hours_by_pod(fleet: Fleet) -> None:
    """GPU-hours by namespace, pod and user, last week."""
    minutes = Counter((row.namespace or None, row.pod or None) for row in fleet.of(UTIL))
    found = {(row["namespace"], row["pod"]): row for row in fleet.ask("usage?by=namespace,pod,user&start_time=-7d&limit=1000")}
    assert found.keys() == minutes.keys()
    for (namespace, pod), row in found.items():
        hours = row["held_hours"] if pod else row["free_hours"]
        # A GPU that fell off the bus is held in the gap, too, and read no minute of it.
        assert hours >= minutes[namespace, pod] / 60 - 1e-9
        if pod:
            assert hours * row["coverage"] == pytest.approx(minutes[namespace, pod] / 60)
    told = sum(row["held_hours"] for row in found.values())
    true = sum(
        (datetime.fromisoformat(each["end"]) - datetime.fromisoformat(each["start"])).total_seconds() / 3600
        for gpu in fleet.truth
        if gpu["host"] != fleet.silent
        for each in gpu["held"]
        if each["pod"]
    )
    of_the_silent = len({(row.gpu, row.at) for row in fleet.of(UTIL) if row.host == fleet.silent and row.pod}) / 60
    assert told == pytest.approx(true + of_the_silent, rel=0.03)


def energy_by_namespace(fleet: Fleet) -> None:
    """KWh by namespace."""
    true = defaultdict[Any, float](float)
    for gpu in fleet.truth:
        if gpu["host"] != fleet.silent:
            for each in gpu["held"]:
                true[each["namespace"]] += each["energy_kwh"]
    hosts = "&".join(f"host={host}" for host in sorted({gpu["host"] for gpu in fleet.truth} - {fleet.silent}))
    found = fleet.ask(f"usage?by=namespace&start_time=-7d&sort=-energy_kwh&{hosts}")
    assert close({row["namespace"]: row["energy_kwh"] for row in found}, true, rel=0.05)


def xids(fleet: Fleet) -> None:
    """XIDs since yesterday: which, when, how often; those that were scraped."""
    seen, before = Counter[tuple[str, int, str]](), dict[str, float]()
    for row in fleet.of(XID):
        if row.value and row.value != before.get(row.gpu):
            seen[row.gpu, int(row.value), f"{row.at:%Y-%m-%dT%H:%M}"] += 1
        before[row.gpu] = row.value
    assert seen
    found = fleet.ask("events?kind=xid&start_time=-1d&limit=1000")
    begun = Counter((row["gpu"], int(row["value"]), row["at"][:16]) for row in found if row["what"] == "begins")
    assert begun == seen
    assert {(gpu, code) for gpu, code, _ in begun} <= {(gpu["gpu"], xid["xid"]) for gpu in fleet.truth for xid in gpu["xids"]}


def silent_hosts(fleet: Fleet) -> None:
    """Hosts that went silent."""
    (found,) = fleet.ask("hosts?silent_for=10m")
    assert found["name"] == fleet.silent
    assert found["silent_for_s"] == pytest.approx((datetime.now(UTC) - fleet.end).total_seconds() + SILENT_S, abs=130)


def memory_nearly_full(fleet: Fleet) -> None:
    """Memory nearly full."""
    used, free = (fleet.last(f"DCGM_FI_DEV_FB_{name}") for name in ("USED", "FREE"))
    ratio = {gpu: used[gpu].value / (used[gpu].value + free[gpu].value) for gpu in used}
    full = {gpu: share for gpu, share in ratio.items() if share > 0.9}
    assert 0 < len(full) < len(ratio)
    found = fleet.ask("query?metric=memory_used_ratio&by=gpu&agg=last&start_time=-10m&having=value>0.9&limit=1000")
    assert close({row["gpu"]: row["value"] for row in found}, full)


def spread_of_utilisation(fleet: Fleet) -> None:
    """A histogram of utilisation."""
    edges = (5, 25, 50, 75, 95)
    values = [row.value for row in fleet.of(UTIL)]
    shares = Counter(sum(value >= edge for edge in edges) for value in values)
    found = fleet.ask(f"query?metric={UTIL}&agg=histogram&buckets={','.join(map(str, edges))}&start_time=-1d")
    assert close({sum((row["low"] or 0) >= edge for edge in edges): row["value"] for row in found if row["value"]}, {
        bucket: count / len(values) for bucket, count in shares.items()
    })  # fmt: skip


def two_hosts(fleet: Fleet) -> None:
    """Two hosts side by side."""
    one, other = sorted({row.host for row in fleet.rows})[1:3]
    found = fleet.ask(f"query?metric={UTIL}&agg=avg&by=host&host={one},{other}&start_time=-1d")
    expected = means((row for row in fleet.of(UTIL) if row.host in (one, other)), lambda row: row.host)
    assert close({row["host"]: row["value"] for row in found}, expected)


def a_day_by_five_minutes(fleet: Fleet) -> None:
    """A day of eight GPUs by five minutes, in one answer."""
    hosts = sorted({row.host for row in fleet.rows})[1:3]
    found = fleet.ask(f"query?metric={UTIL}&agg=avg&by=gpu&step=5m&host={','.join(hosts)}&start_time=-1d&limit=10000")
    step = timedelta(minutes=5)
    midnight = fleet.end.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    expected = means(
        (row for row in fleet.of(UTIL) if row.host in hosts),
        lambda row: (row.gpu, midnight + (row.at - midnight) // step * step),
    )
    times = {(row["gpu"], datetime.fromisoformat(row["timestamp"])): row["value"] for row in found}
    assert len({gpu for gpu, _ in times}) == 2 * GPUS
    assert close(times, expected)


def held_now(fleet: Fleet) -> None:
    """Which GPUs a namespace has now."""
    now = defaultdict[str, set[str]](set)
    for gpu in fleet.truth:
        if gpu["host"] != fleet.silent and gpu["gpu"] in fleet.last(UTIL):
            now[gpu["held"][-1]["namespace"]].add(gpu["gpu"])
    namespace = max((name for name in now if name), key=lambda name: len(now[name]))
    assert {row["gpu"] for row in fleet.ask(f"latest?metric={UTIL}&namespace={namespace}&limit=1000")} == now[namespace]


def test_jobs_users_and_instances_are_asked_for(
    settings: Settings, engine: Engine, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """By Slurm job, user and MIG slice."""
    now = datetime.now(UTC).replace(microsecond=0)
    labels = {"0": 'hpc_job="7",user="ada"', "1": 'hpc_job="8",user="bob"', "2": 'GPU_I_ID="3",GPU_I_PROFILE="1g.10gb"'}
    # Minutes that are over: the present one is not held yet.
    times = [(now - timedelta(minutes=age), age) for age in range(1, 11)]
    lines = [
        f"{at:%Y-%m-%dT%H:%M:%SZ},{UTIL},{index},,GPU-{index},H100,h,,,,{10 * int(index) + age}," + f'"{text}"\n'
        for at, age in times
        for index, text in ((index, said.replace('"', '""')) for index, said in labels.items())
    ]
    path = tmp_path / "jobs.csv"
    path.write_text(HEADER.decode() + "".join(lines))
    put(path, settings, engine, redis_client)
    app = create_app(replace(settings, api_access="open"))
    all_of_it = Fleet([], [], "", now, app.test_client())
    by_job = all_of_it.ask(f"query?metric={UTIL}&by=job,user&start_time=-1h&agg=max")
    assert {(row["job"], row["user"]): row["value"] for row in by_job} == {("7", "ada"): 10, ("8", "bob"): 20, (None, None): 30}
    assert [row["value"] for row in all_of_it.ask(f"query?metric={UTIL}&job=8&start_time=-1h&agg=count")] == [10]
    by_slice = all_of_it.ask(f"query?metric={UTIL}&by=label.GPU_I_ID&start_time=-1h&agg=max")
    assert {row["label.GPU_I_ID"]: row["value"] for row in by_slice}["3"] == 30
    hours = {row["job"]: row["held_hours"] for row in all_of_it.ask("usage?by=job,user&start_time=-1h") if row["job"]}
    assert hours == {"7": pytest.approx(10 / 60), "8": pytest.approx(10 / 60)}
    app.extensions["connections"].close()
