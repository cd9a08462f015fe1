"""One search for a batch finds it in the logs of all processes, from the file to the commit."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from telemetry.monitoring.counters import stations
from tests.ports import free_port
from tests.scrape import answer
from tests.waiting import eventually

Start = Callable[..., subprocess.Popen[bytes]]


def lines(path: Path) -> list[dict[str, Any]]:
    """Those of one process that are objects; what Celery prints before it logs is not."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def test_a_batch_is_followed_by_one_search(
    start: Start, start_collector: Start, telemetry: Callable[..., Any], tmp_path: Path, engine: Engine
) -> None:
    sample = tmp_path / "sample.csv"
    telemetry("simulate", "--hosts", "1", "--gpus", "1", "--interval", "5", "--duration", "60", "-o", sample)
    every = {"TELEMETRY_LOG_FORMAT": "json", "TELEMETRY_LOG_LEVEL": "debug"}
    start_collector(**every)
    told = {"TELEMETRY_ROLE": "edge", "TELEMETRY_SOURCES": str(sample), **every}
    start("celery", "-A", "telemetry", "beat", **told)
    start("celery", "-A", "telemetry", "worker", "--without-gossip", "--without-mingle", **told)

    def ids() -> set[str]:
        with engine.connect() as connection:
            return set(connection.scalars(text("SELECT batch_id FROM batches")))

    batches = eventually(ids, 30)
    collector, streamer = tmp_path / "0-celery.log", tmp_path / "2-celery.log"
    for batch in batches:

        def found(path: Path, batch: str = batch) -> list[dict[str, Any]]:
            return [line for line in lines(path) if line.get("batch") == batch]

        (sent, *_) = eventually(lambda: found(streamer), 5)
        (stored,) = eventually(lambda: found(collector), 5)
        assert sent["message"].startswith("published first: ")
        assert str(sample) in sent["message"]
        # Late is what took a second, on a machine that has other work.
        assert stored["message"].startswith(("stored: ", "stored late: "))
        assert sent["edge"] == stored["edge"] == "test/node"
        assert sent["time"] <= stored["time"]


HEADER: dict[str, Any] = {
    "edge": "a/b",
    "batch_id": "b1",
    "published_at": 0,
    "start": 0,
    "end": 9,
    "source": {"path": "/x.csv"},
    "rows": {"read": 100},
}
USUAL = {"stored": 100}


@pytest.mark.parametrize(
    ("settlement", "rows", "acknowledged_us", "message"),
    [
        ("stored", USUAL, 2_000_000, "stored late: 100 rows, 2000.0 ms after they were sent"),
        (
            "stored",
            {"stored": 98, "quarantined": 2},
            32_100,
            "stored: 98 rows, 2 put in quarantine, 32.1 ms after they were sent",
        ),
        ("known", {}, 32_100, "came again, and is stored already: no rows, 32.1 ms after they were sent"),
        ("dead", {"dead": 100}, 32_100, "dead: 100 rows, 32.1 ms after they were sent"),
    ],
)
def test_an_unusual_batch_is_told_at_once_and_its_like_later(
    caplog: pytest.LogCaptureFixture, settlement: str, rows: dict[str, int], acknowledged_us: int, message: str
) -> None:
    stations.notices.cache_clear()
    caplog.set_level(logging.DEBUG, "telemetry.trail")
    usual = {"settlement": "stored", "rows": USUAL, "acknowledged_us": 32_100}
    unusual = {"settlement": settlement, "rows": rows, "acknowledged_us": acknowledged_us}
    for batch in (usual, unusual, unusual, usual):
        stations.acknowledged(HEADER, cluster="c", **batch)  # type: ignore[arg-type]
    debug, info = logging.DEBUG, logging.INFO
    assert [record.levelno for record in caplog.records] == [debug, info, debug, debug]
    assert caplog.records[1].getMessage() == message


def test_a_batch_published_again_is_told(caplog: pytest.LogCaptureFixture) -> None:
    stations.notices.cache_clear()
    caplog.set_level(logging.INFO, "telemetry.trail")
    for publication in ("first", "again", "probe", "again"):
        stations.published(HEADER, publication)
    assert [record.getMessage() for record in caplog.records] == ["published again: /x.csv [0, 9), 100 rows"]


def test_a_notice_comes_again_after_a_while() -> None:
    notices = stations.Notices()
    levels = [notices.level("slow", at_s) for at_s in (0.0, 9.9, 10.0, 10.1)]
    assert levels == [logging.INFO, logging.DEBUG, logging.INFO, logging.DEBUG]
    assert notices.level("known", 10.1) == logging.INFO
    assert notices.level(None, 99.0) == logging.DEBUG


def test_a_failure_names_the_batch_and_no_password(
    start_collector: Start, telemetry: Callable[..., Any], tmp_path: Path
) -> None:
    sample = tmp_path / "sample.csv"
    telemetry("simulate", "--hosts", "1", "--gpus", "1", "--interval", "5", "--duration", "10", "-o", sample)
    port = free_port()
    nowhere = "postgresql://me:hidden@127.0.0.1:1/none"
    start_collector(TELEMETRY_LOG_FORMAT="json", TELEMETRY_DATABASE_URL=nowhere, TELEMETRY_METRICS_PORT=str(port))
    assert answer(port, "/ready") == (200, {"broker": "ok", "database": "ok"})
    assert telemetry("ingest", "--timeout", "2", sample).returncode != 0

    def failed() -> list[dict[str, Any]]:
        return [line for line in lines(tmp_path / "0-celery.log") if line["level"] == "WARNING" and "batch" in line]

    (first, *_) = eventually(failed, 10)
    eventually(lambda: answer(port, "/ready") == (503, {"broker": "ok", "database": "failing"}), 10)
    assert first["edge"].startswith("ingest/")
    assert "hidden" not in (tmp_path / "0-celery.log").read_text()
