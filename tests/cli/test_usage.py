"""`telemetry usage` and the API's `usage` on a simulated fleet, against the truth that was written beside it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner
from flask.testing import FlaskClient
from sqlalchemy import Engine

from telemetry.api import create_app
from telemetry.cli.usage import usage
from telemetry.collector.persist import Collector
from telemetry.formats.base import Limits
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings, rates_file
from telemetry.streamer.batching import Cutter, Reader
from telemetry.streamer.source import SourceFile
from tests.batches import batch

Run = Callable[..., subprocess.CompletedProcess[str]]
# Two hours in which pods of three hosts come and go.
START, HOSTS, INTERVAL_S, DURATION_S = "2026-11-05T15:20:00Z", 3, 60, 7200
SPAN = ("--since", "2026-11-05", "--until", "2026-11-06")
RATES = 'currency = "EUR"\nkwh = 0.5\ngpu_hour = 1.0\n[model]\n"NVIDIA H100 80GB HBM3" = 2.5\n'


def put(path: Path, settings: Settings, engine: Engine, client: redis.Redis) -> None:
    """Store a file as one batch after the other."""
    collector = Collector(settings, engine, Acks(client, Keys(settings.key_prefix), 60))
    limits = Limits(0, 1 << 60)
    source = SourceFile.open(path, max_record=1 << 16, final=True, settings=settings.of_source(str(path)))
    assert source is not None
    with source:
        cut = Cutter(source, Reader(1 << 16, limits)).batches(source.head.first, limit=20_000, room_bytes=1 << 30, now_us=0)
        for number, each in enumerate(cut):
            collector.persist(*wire.encode(batch(each.readings, f"b{number}")))


@pytest.fixture
def truth(telemetry: Run, tmp_path: Path, settings: Settings, engine: Engine, redis_client: redis.Redis) -> dict[str, Any]:
    """The truth about the fleet whose telemetry is stored."""
    path = tmp_path / "fleet.csv"
    done = telemetry(
        *("simulate", "--hosts", str(HOSTS), "--gpus", "4", "--interval", str(INTERVAL_S)),
        *("--duration", str(DURATION_S)),
        *("--start", START, "--truth", "-o", path),
    )
    assert done.returncode == 0, done.stderr
    put(path, settings, engine, redis_client)
    document: dict[str, Any] = json.loads(path.with_name("fleet.csv.truth.json").read_text())
    return document


@pytest.fixture
def client(settings: Settings, tmp_path: Path) -> Iterator[FlaskClient]:
    """The API with a table of rates."""
    rates = tmp_path / "rates.toml"
    rates.write_text(RATES)
    app = create_app(replace(settings, api_access="open", rates=rates_file.parse(str(rates))))
    with app.test_client() as made:
        yield made
    app.extensions["connections"].close()


def held(truth: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any], float]]:
    """Each stretch with its GPU and its hours."""
    for gpu in truth["gpus"]:
        for stretch in gpu["held"]:
            length = datetime.fromisoformat(stretch["end"]) - datetime.fromisoformat(stretch["start"])
            yield gpu, stretch, length.total_seconds() / 3600


def printed(environ: dict[str, str], *options: str) -> str:
    """What `telemetry usage` prints."""
    result = CliRunner().invoke(usage, options, env=environ)
    assert result.exit_code == 0, result.output
    return result.output


def test_usage_is_the_truth(truth: dict[str, Any], environ: dict[str, str], client: FlaskClient, tmp_path: Path) -> None:
    hours, energy = defaultdict[Any, float](float), defaultdict[Any, float](float)
    cost, stretches = 0.0, 0
    for gpu, stretch, length in held(truth):
        hours[stretch["namespace"]] += length
        energy[stretch["namespace"]] += stretch["energy_kwh"]
        stretches += 1
        if stretch["namespace"]:
            cost += length * (2.5 if "H100" in gpu["model"] else 1.0) + stretch["energy_kwh"] * 0.5
    assert stretches > len(truth["gpus"]), "a pod must end in this time"

    answer = client.get("/api/v1/usage?start_time=2026-11-05&end_time=2026-11-06&by=namespace").get_json()
    rows = {row["namespace"]: row for row in answer["items"]}
    assert rows.keys() == hours.keys()
    # A hand-over is known to the minute, which both sides share.
    minutes = stretches / 60
    for namespace, row in rows.items():
        assert row["held_hours" if namespace else "free_hours"] == pytest.approx(hours[namespace], abs=minutes / 2)
        assert row["energy_kwh"] == pytest.approx(energy[namespace], rel=0.05)
        assert row["energy_from"] == "counter"
    whole = client.get("/api/v1/usage?start_time=2026-11-05&end_time=2026-11-06&by=host").get_json()["items"]
    assert sum(row["held_hours"] + row["free_hours"] for row in whole) == pytest.approx(sum(hours.values()))
    assert sum(row["energy_kwh"] for row in whole) == pytest.approx(sum(gpu["energy_kwh"] for gpu in truth["gpus"]), rel=1e-3)
    assert sum(row["cost"] for row in whole) == pytest.approx(cost, rel=0.05)
    assert (answer["currency"], answer["idle_below_percent"], answer["start"]) == ("EUR", 5, "2026-11-05T00:00:00Z")

    told = json.loads(printed(environ, *SPAN, "--json"))
    assert {row["namespace"]: row["held_hours"] for row in told["items"]} == {
        name: pytest.approx(row["held_hours"]) for name, row in rows.items()
    }
    text = printed(environ, *SPAN, "--by", "namespace,model", "--format", "csv")
    assert sum(float(row["held_hours"]) for row in csv.DictReader(io.StringIO(text))) == pytest.approx(
        sum(row["held_hours"] for row in rows.values())
    )
    table = printed(environ, *SPAN)
    assert "held h" in table
    assert "below 5 %" in table
    page = tmp_path / "week.html"
    assert str(page) in printed(environ, *SPAN, "--html", str(page))
    text = page.read_text()
    assert "By namespace" in text
    assert not any(place in text for place in ("http://", "https://", "src="))


def test_xids_are_those_of_the_truth(truth: dict[str, Any], client: FlaskClient) -> None:
    """Where a code was scraped at all: a GPU that is silent when it changes shows it later, or never."""
    query = "metric=DCGM_FI_DEV_XID_ERRORS&start_time=2026-11-05&end_time=2026-11-06"
    rows = client.get(f"/api/v1/query?{query}&by=gpu&agg=changes&having=value>0").get_json()["items"]
    changes = {row["gpu"]: row["value"] for row in rows}
    # What the first scrape shows is no change.
    told = {
        gpu["gpu"]: len([xid for xid in gpu["xids"] if xid["time"] != gpu["held"][0]["start"]])
        for gpu in truth["gpus"]
        if gpu["xids"]
    }
    memory = {gpu: count for gpu, count in told.items() if 79 not in codes(truth, gpu)}
    assert memory
    assert {gpu: changes[gpu] for gpu in memory} == memory


def codes(truth: dict[str, Any], name: str) -> set[int]:
    return {xid["xid"] for gpu in truth["gpus"] if gpu["gpu"] == name for xid in gpu["xids"]}


def test_bad_usage_is_told(environ: dict[str, str]) -> None:
    for options, says in (
        (("--by", "colour"), "'colour' is none of namespace"),
        (("--since", "yesterday"), "'yesterday' must be a time such as -7d"),
        (("--since", "2026-11-06", "--until", "2026-11-05"), "--since must be before --until"),
    ):
        result = CliRunner().invoke(usage, options, env=environ)
        assert (result.exit_code, says in result.output) == (2, True), result.output
