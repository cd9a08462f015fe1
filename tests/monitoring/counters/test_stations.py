"""One search for a batch finds it in the logs of all processes, from the file to the commit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

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
    start_collector(TELEMETRY_LOG_FORMAT="json")
    told = {"TELEMETRY_ROLE": "edge", "TELEMETRY_SOURCES": str(sample), "TELEMETRY_LOG_FORMAT": "json"}
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
        assert stored["message"].startswith("stored: ")
        assert sent["edge"] == stored["edge"] == "test/node"
        assert sent["time"] <= stored["time"]


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
