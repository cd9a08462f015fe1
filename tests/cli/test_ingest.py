"""`telemetry ingest` says what became of the rows, and outlives a broker that is started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from sqlalchemy import Engine, text

from telemetry.cli import main
from telemetry.local.servers import Valkey
from tests.strategies import HEADER
from tests.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]
ROW = b"2025-07-18T20:42:%02dZ,DCGM_FI_DEV_GPU_UTIL,0,nvidia0,GPU-%d,H100,host-1,,,,7,\n"
BIN = Path(sys.executable).parent


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of two batches of three rows."""
    path = tmp_path / "six.csv"
    path.write_bytes(HEADER + b"".join(ROW % (second, second // 3) for second in range(6)))
    return path


def test_rows_that_died_are_told(start_collector: Callable[[], object], telemetry: Run, engine: Engine, file: Path) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE gpus ADD CHECK (identity <> 'GPU-1')"))
    start_collector()
    done = telemetry("ingest", "--json", "--timeout", "60", "--batch-size", "3", file)
    told = json.loads(done.stdout)
    assert (done.returncode, told["rows"], told["dead_rows"], told["dead_batches"]) == (1, 6, 3, 1), done.stderr
    again = telemetry("ingest", "--timeout", "60", "--batch-size", "3", file)
    assert again.returncode == 1
    assert "3 of them in 1 batches are DEAD" in again.stdout
    sources = json.loads(telemetry("status", "--json").stdout)["sources"]
    assert [(each["lag_bytes"], each["dead_letters"], each["safe_to_delete"]) for each in sources] == [(0, 1, False)]
    assert telemetry("deadletter", "drop", "--all").returncode == 0
    assert "0 behind, 0 batches in flight  safe to delete" in telemetry("status").stdout


@pytest.mark.parametrize("seconds", ["0", "-1"])
def test_a_timeout_is_a_time(file: Path, seconds: str) -> None:
    assert CliRunner().invoke(main, ["ingest", str(file), "--timeout", seconds]).exit_code == 2


def test_a_broker_may_be_started_again(tmp_path: Path, environ: dict[str, str], file: Path) -> None:
    with Valkey(tmp_path / "valkey") as valkey:
        environ["TELEMETRY_BROKER_URL"] = valkey.url
        command: list[str | Path] = [BIN / "telemetry", "ingest", file, "--timeout", "60"]
        with subprocess.Popen(command, env=os.environ | environ, stderr=subprocess.PIPE, text=True) as ingesting:
            queue = f"{environ['TELEMETRY_KEY_PREFIX']}.ingest"
            client = redis.Redis(unix_socket_path=valkey.url.removeprefix("redis+socket://").partition("?")[0])
            eventually(lambda: client.llen(queue) == 1, 20)
            valkey.kill()
            with pytest.raises(subprocess.TimeoutExpired):
                ingesting.wait(4)
            valkey.start()
            eventually(client.client_list, 20)
            with pytest.raises(subprocess.TimeoutExpired):
                ingesting.wait(2)
            ingesting.terminate()
