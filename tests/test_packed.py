"""Logs that are rotated and packed while they are streamed: with every part real, and `verify` as the judge."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, text

from telemetry.celery import make_app
from telemetry.progress import reading
from telemetry.progress.keys import Keys
from telemetry.progress.losses import of_edge
from telemetry.settings import Settings
from telemetry.streamer.publish import publisher
from telemetry.streamer.tick import Streamer
from tests.streamer.edge import HEADER, rows
from tests.streamer.packs import PACKERS, pack
from tests.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]
ROWS = 6000


def committed(settings: Settings, client: redis.Redis, path: Path) -> bool:
    """Whether all of a file is committed."""
    states = reading.sources(client, Keys(settings.key_prefix), settings.edge)
    return any(state.path == str(path) and state.all_committed for state in states.values())


@pytest.mark.parametrize(
    ("suffix", "ticks", "restarts"),
    [(".gz", 0, False), (".gz", 1, False), (".xz", 2, False), (".gz", 1, True), (".zst", 2, True), (".gz", 5, True)],
)
def test_a_log_packed_at_any_point_is_stored_once(
    start_collector: Callable[[], object],
    settings: Settings,
    redis_client: redis.Redis,
    telemetry: Run,
    tmp_path: Path,
    suffix: str,
    ticks: int,
    restarts: bool,
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "gpu.csv"
    log.write_text(HEADER + rows(0, ROWS))
    settings = replace(
        settings,
        sources=(str(folder / "*"),),
        close_after_s=0.2,
        window_bytes=1 << 16,
        lease_s=2,
        batch_size=100,
        catch_up_size=100,
        republish_after_s=0.2,
    )
    app = make_app(settings)
    streamer = Streamer(settings, redis_client, publisher(app, settings))
    start_collector()
    for _ in range(ticks):
        streamer.tick(0)
    with log.open("a") as stream:
        stream.write(rows(ROWS, ROWS + 50))
    rotated = log.rename(folder / "gpu.csv.1")
    log.write_text(HEADER + rows(50_000, 50_100))
    if not restarts:
        streamer.tick(0)
    packed = pack(rotated, suffix)
    if restarts:
        streamer.close()
        streamer = Streamer(settings, redis_client, publisher(app, settings))

    def done() -> bool:
        streamer.tick(0.05)
        return committed(settings, redis_client, packed) and committed(settings, redis_client, log)

    try:
        eventually(done, 30)
    finally:
        streamer.close()
        app.close()
    verified = telemetry("verify", "--json", packed, log)
    counts = json.loads(verified.stdout)
    assert (verified.returncode, counts["read"], counts["stored"], counts["extra"]) == (0, ROWS + 150, ROWS + 150, 0)
    assert of_edge(redis_client, Keys(settings.key_prefix), settings.edge) == []


def test_a_packed_file_is_ingested_checked_and_verified(
    start_collector: Callable[[], object], telemetry: Run, engine: Engine, tmp_path: Path
) -> None:
    start_collector()
    bad = "2025-07-18T00:00:59Z,DCGM_FI_DEV_GPU_UTIL,0,GPU-1,host-1,x\n"
    for at, suffix in enumerate(sorted(PACKERS)):
        path = tmp_path / f"{at}.csv"
        path.write_text(HEADER + rows(10_000 * at, 10_000 * at + 5000) + bad.replace("GPU-1", f"GPU-{at}"))
        pack(path, suffix)
    files = sorted(tmp_path.glob("*.csv.*"))
    checked = telemetry("check", "--json", tmp_path)
    assert (checked.returncode, [f["readings"] for f in json.loads(checked.stdout)["files"]]) == (1, [5000] * 3)
    assert json.loads(checked.stdout)["files"][0]["problems"][0]["line"] == 5002
    done = telemetry("ingest", "--json", "--timeout", "60", *files)
    told = json.loads(done.stdout)
    assert (done.returncode, told["rows"], told["new"], told["quarantined"]) == (0, 15_003, 15_000, 3), done.stderr
    verified = telemetry("verify", "--json", *files)
    counts = json.loads(verified.stdout)
    assert (verified.returncode, counts["read"], counts["stored"], counts["quarantined"]) == (0, 15_003, 15_000, 3)
    # The same as the file that it was packed of.
    plain = tmp_path / "plain.csv"
    plain.write_bytes(gzip.decompress((tmp_path / "0.csv.gz").read_bytes()))
    assert json.loads(telemetry("ingest", "--json", "--final", plain).stdout)["known"] == 5000
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM quarantine")) == 3


def test_a_damaged_file_is_never_called_read(start_collector: Callable[[], object], telemetry: Run, tmp_path: Path) -> None:
    start_collector()
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 20_000))
    packed = pack(path)
    packed.write_bytes(packed.read_bytes()[:-5])
    for command, options in (("check", ()), ("ingest", ("--final", "--timeout", "60")), ("verify", ())):
        done = telemetry(command, *options, packed)
        assert done.returncode == 1
        assert "damaged" in done.stdout, (command, done.stdout, done.stderr)
    left = telemetry("ingest", "--timeout", "60", packed)
    assert (left.returncode, f"the last record of {packed} is not complete and was left" in left.stdout) == (1, True)
