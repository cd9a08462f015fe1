"""The counters of streamer and collector against `verify` and the ledger, after kills of children and cuts of the broker."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
from sqlalchemy import Engine, text

from telemetry.settings import Settings
from tests.faults.proxy import Proxy
from tests.fixtures.processes import exact
from tests.ports import free_port
from tests.scrape import by, scrape, total
from tests.waiting import eventually

Start = Callable[..., subprocess.Popen[bytes]]
BATCH, TRANSACTION, KILLS = 100, 500, 4
CLASSES = ("stored", "duplicate", "conflict", "blank", "quarantined")


@pytest.mark.timeout(240)
def test_each_counter_is_true_after_kills_and_cuts(
    start: Start,
    start_collector: Start,
    telemetry: Callable[..., subprocess.CompletedProcess[str]],
    verify: Callable[..., dict[str, int]],
    settings: Settings,
    engine: Engine,
    way: Proxy,
    tmp_path: Path,
) -> None:
    whole, sample = tmp_path / "whole.csv", tmp_path / "sample.csv"
    telemetry("simulate", "--hosts", "2", "--gpus", "4", "--interval", "1", "--duration", "300", "-o", whole)
    header, *lines = [*whole.read_bytes().splitlines(keepends=True), b"not,a,reading\n"]
    sample.write_bytes(header)
    # Some of it flows at each strike.
    part = len(lines) // (KILLS + 1) + 1
    ports = {name: free_port() for name in ("streamer", "collector")}
    number = parse_qs(urlsplit(settings.broker_url).query)["virtual_host"][0]
    told = {
        "TELEMETRY_BROKER_URL": f"redis://127.0.0.1:{way.port}/{number}",
        "TELEMETRY_COLLECTOR_BATCH_SIZE": str(TRANSACTION),
    }
    edge = {
        **told,
        "TELEMETRY_ROLE": "edge",
        "TELEMETRY_SOURCES": str(sample),
        "TELEMETRY_STREAM_INTERVAL_S": "0.2",
        "TELEMETRY_BATCH_SIZE": str(BATCH),
        "TELEMETRY_CATCH_UP_SIZE": str(BATCH),
        "TELEMETRY_WINDOW_BYTES": str(1 << 18),
        "TELEMETRY_REPUBLISH_AFTER_S": "1",
        "TELEMETRY_VISIBILITY_TIMEOUT_S": "5",
    }
    worker = start_collector(**told, TELEMETRY_VISIBILITY_TIMEOUT_S="5", TELEMETRY_METRICS_PORT=str(ports["collector"]))
    start("celery", "-A", "telemetry", "beat", **edge)
    streamer = ("celery", "-A", "telemetry", "worker", "--without-gossip", "--without-mingle")
    start(*streamer, **edge, TELEMETRY_METRICS_PORT=str(ports["streamer"]))

    def committed() -> int:
        with engine.connect() as connection:
            return int(connection.scalar(text("SELECT coalesce(sum(rows), 0) FROM batches")) or 0)

    for n in range(KILLS):
        before = committed()
        append(sample, lines[n * part : (n + 1) * part])
        eventually(lambda before=before: committed() > before, 60, every_s=0.02, what="rows flow")  # type: ignore[misc]
        victim = psutil.Process(worker.pid).children()[0]
        victim.kill()
        # One after the other: a worker that loses both at once waits for the time limit of the group that is gone.
        eventually(lambda victim=victim: replaced(worker.pid, victim), 20)  # type: ignore[misc]
        way.cut() if n % 2 else way.refuse()
        way.heal()
    append(sample, lines[KILLS * part :])
    rows = len(lines)
    eventually(lambda: committed() == rows, 90, every_s=0.2, what="all rows committed")
    counts = verify(sample)
    assert exact(counts)

    sent = scrape(ports["streamer"])
    for name in ("telemetry_rows_read_total", "telemetry_rows_published_total"):
        assert total(sent, name) == counts["read"] == rows, name
    assert total(sent, "telemetry_batches_published_total", publication="first") == ledger(engine)

    shown = scrape(ports["collector"])
    by_class = by(shown, "telemetry_rows_committed_total", "row_class")
    # A child that is killed between its commit and its count takes a transaction along, and nothing else does.
    lost = counts["read"] - sum(by_class.values())
    assert 0 <= lost <= KILLS * TRANSACTION
    for name in CLASSES:
        assert counts[name] - lost <= by_class.get(name, 0) <= counts[name], name
    assert total(shown, "telemetry_batch_rows_sum") == sum(by_class.values())
    batches = total(shown, "telemetry_batches_settled_total", settlement="stored") or 0
    assert ledger(engine) - KILLS * TRANSACTION / BATCH <= batches <= ledger(engine)
    # A child counts a transaction as soon as it is committed, and its batches once they are acknowledged.
    unsettled = (total(shown, "telemetry_transaction_batches_sum") or 0) - batches
    assert 0 <= unsettled <= KILLS * TRANSACTION / BATCH
    assert not total(shown, "telemetry_batches_settled_total", settlement="dead")


def append(path: Path, lines: list[bytes]) -> None:
    """Let a file grow."""
    with path.open("ab") as file:
        file.writelines(lines)


def replaced(pid: int, victim: psutil.Process) -> bool:
    """Whether another child stands in for one that was killed."""
    children = psutil.Process(pid).children()
    return len(children) == 2 and victim not in children


def ledger(engine: Engine) -> int:
    """Batches in the ledger."""
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM batches")) or 0)
