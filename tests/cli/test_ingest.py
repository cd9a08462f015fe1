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
from tests.fixtures.services import Query
from tests.strategies import HEADER
from tests.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]
ROW = b"2025-07-18T20:42:%02dZ,DCGM_FI_DEV_GPU_UTIL,0,nvidia0,GPU-%d,H100,host-1,,,,7,\n"
CLASSES = ("new", "known", "conflict", "blank", "quarantined", "unread")
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
    assert {name: told[name] for name in CLASSES} == {**dict.fromkeys(CLASSES, 0), "new": 3}
    again = telemetry("ingest", "--timeout", "60", "--batch-size", "3", file)
    assert again.returncode == 1
    assert "6 rows of 1 file committed" in again.stdout
    assert "0 new, 3 known, 0 in quarantine\n3 of them in 1 batch are DEAD" in again.stdout
    sources = json.loads(telemetry("status", "--json").stdout)["sources"]
    assert [(each["lag_bytes"], each["dead_letters"], each["safe_to_delete"]) for each in sources] == [(0, 1, False)]
    assert telemetry("deadletter", "drop", "--all").returncode == 0
    assert "557 bytes of 557 bytes committed  growing" in telemetry("status").stdout
    quiet = telemetry("status", "--all", TELEMETRY_CLOSE_AFTER_S="0").stdout
    assert "557 bytes of 557 bytes committed  safe to delete" in quiet


def test_what_became_of_the_rows_is_told(start_collector: Callable[[], object], telemetry: Run, file: Path) -> None:
    def told(*options: str) -> tuple[int, dict[str, int]]:
        done = telemetry("ingest", "--json", "--timeout", "60", *options, file)
        classes = json.loads(done.stdout)
        return done.returncode, {name: classes[name] for name in ("rows", *CLASSES) if classes[name]}

    start_collector()
    bad = b"nonsense\n" + ROW.replace(b"Z,", b",") % (7, 1) + ROW.replace(b",7,", b",,") % (8, 1)
    file.write_bytes(file.read_bytes() + bad)
    rest = {"rows": 9, "blank": 1, "quarantined": 2}
    assert told() == (0, {**rest, "new": 6})
    # The same batches, which the ledger knows, and others, of which it does not.
    assert told() == (0, {**rest, "known": 6})
    assert told("--batch-size", "4") == (0, {**rest, "known": 6})
    done = telemetry("ingest", "--timeout", "60", file)
    assert done.stdout.endswith(": 0 new, 6 known, 1 blank, 2 in quarantine (bad_columns 1, bad_timestamp 1)\n")
    file.write_bytes(HEADER + ROW % (0, 0) + ROW.replace(b",7,", b",8,") % (1, 0) + ROW % (9, 0))
    assert told() == (1, {"rows": 3, "new": 1, "known": 1, "conflict": 1})
    assert told() == (1, {"rows": 3, "known": 2, "conflict": 1})
    assert "\n1 reading had another value than the stored one, which stays" in telemetry("ingest", file).stdout


def test_readings_below_the_floor_are_expired_and_their_file_is_needed(
    start_collector: Callable[[], object], telemetry: Run, file: Path, query: Query, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE retention SET kept_since = '2025-07-18 20:42:02+00' WHERE level = 'samples'"))
    start_collector()
    done = telemetry("ingest", "--json", "--timeout", "60", file)
    told = json.loads(done.stdout)
    assert (done.returncode, told["new"], told["expired"]) == (0, 4, 2)
    assert query("SELECT stored, expired FROM batches") == [(4, 2)]
    again = telemetry("ingest", "--timeout", "60", file)
    assert (
        "0 new, 4 known, 2 expired, 0 in quarantine\n2 readings are EXPIRED, older than what the database keeps" in again.stdout
    )
    ((source,), verified) = (
        json.loads(telemetry("status", "--json", TELEMETRY_CLOSE_AFTER_S="0").stdout)["sources"],
        json.loads(telemetry("verify", "--json", file).stdout),
    )
    assert (source["expired"], source["safe_to_delete"], verified["stored"], verified["expired"]) == (2, False, 4, 2)
    # It is the same batch when the floor has fallen, and stored then.
    fallen = telemetry("db", "retention", "--store-again-from", "2025-07-01")
    assert "the ledger has forgotten what of 1 source was expired" in fallen.stdout
    told = json.loads(telemetry("ingest", "--json", "--timeout", "60", file).stdout)
    assert (told["new"], told["known"], told["expired"]) == (2, 4, 0)
    assert json.loads(telemetry("verify", "--json", file).stdout)["stored"] == 6


def test_of_two_files_of_the_same_bytes_one_is_known(
    start_collector: Callable[[], object], telemetry: Run, tmp_path: Path, file: Path
) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_bytes(file.read_bytes())
    start_collector()
    classes = json.loads(telemetry("ingest", "--json", "--timeout", "60", file, copy).stdout)
    assert [classes[name] for name in ("rows", *CLASSES)] == [12, 6, 6, 0, 0, 0, 0]


def test_each_call_tells_of_its_own_files_alone(
    start_collector: Callable[[], object], telemetry: Run, tmp_path: Path, file: Path
) -> None:
    """Also where an edge notes what it has begun, as under `telemetry up`."""
    foreign, state = tmp_path / "smi.csv", {"TELEMETRY_STATE_DIR": str(tmp_path / "state")}
    foreign.write_text("time, index\n1, 0\n")
    start_collector()
    assert telemetry("ingest", "--timeout", "60", foreign, **state).returncode == 1
    for classes in ((6, 6, 0), (6, 0, 6)):
        done = telemetry("ingest", "--json", "--timeout", "60", file, **state)
        told = json.loads(done.stdout)
        assert (done.returncode, done.stderr, told["foreign"], told["unread"]) == (0, "", [], 0)
        assert (told["rows"], told["new"], told["known"]) == classes


@pytest.mark.parametrize("limit", [100, 160])
def test_more_files_than_descriptors_are_all_ingested(
    start_collector: Callable[[], object], telemetry: Run, environ: dict[str, str], tmp_path: Path, limit: int
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for second in range(3 * limit):
        row = b"2025-07-18T20:%02d:%02dZ,DCGM_FI_DEV_GPU_UTIL,0,nvidia0,GPU-1,H100,host-1,,,,7,\n" % divmod(second, 60)
        (folder / f"job-{second}.csv").write_bytes(HEADER + row)
    start_collector()
    command: list[str | Path] = [
        "bash",
        "-c",
        f'ulimit -n {limit}; exec "$@"',
        "limited",
        BIN / "telemetry",
        "ingest",
        "--timeout",
        "90",
        folder,
    ]
    # What is sent again would be known, and a machine that has other work does not store all of it within half a second.
    environ["TELEMETRY_REPUBLISH_AFTER_S"] = "30"
    done = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, f": {3 * limit} new, 0 known, 0 in quarantine\n" in done.stdout) == (0, True), done
    assert "cannot read" not in done.stderr
    assert telemetry("verify", folder).returncode == 0


MEND = "; if it is a table of measurements with their time, `telemetry formats suggest FILE` says how to read it"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            "time, index\n1, 0\n2, 0\n",
            f"no format knows its first line as a header: 'time, index'{MEND}",
        ),
        ("\0x\n\n", "no format knows its first line as a header: 'x'"),
        (
            "Timestamp;metric_name;uuid;value\n",
            "its columns are separated by semicolons; separate them by commas",
        ),
    ],
)
def test_a_file_of_which_nothing_was_read_is_no_success(
    start_collector: Callable[[], object], telemetry: Run, tmp_path: Path, content: str, why: str, file: Path
) -> None:
    start_collector()
    foreign, lines = tmp_path / "smi.csv", len(content.splitlines())
    foreign.write_text(content)
    done = telemetry("ingest", "--timeout", "60", file, foreign)
    assert done.returncode == 1
    first, last = done.stdout.splitlines()
    assert first.startswith("6 rows of 2 files committed")
    assert first.endswith(f": 6 new, 0 known, 0 in quarantine, {lines} unread")
    assert last.startswith(f"{lines} line{'s' if lines > 1 else ''} of {foreign} ")
    assert last.endswith(f"not read: {why}")
    alone = telemetry("ingest", "--json", "--timeout", "60", foreign)
    classes = json.loads(alone.stdout)
    assert (alone.returncode, classes["rows"], classes["unread"], classes["foreign"]) == (1, 0, lines, [str(foreign)])


@pytest.mark.redteam(of="R12")
def test_a_last_line_without_its_end_is_left_while_the_file_may_grow(
    start_collector: Callable[[], object], telemetry: Run, file: Path, tmp_path: Path
) -> None:
    def told(*options: str, file: Path = file, **environ: str) -> tuple[int, int, list[str]]:
        done = telemetry("ingest", "--json", "--timeout", "60", *options, file, **environ)
        classes = json.loads(done.stdout)
        return done.returncode, classes["new"], classes["left"]

    start_collector()
    torn = (ROW % (9, 1)).replace(b",7,", b",250.5,")[:-4]
    file.write_bytes(file.read_bytes() + torn)
    assert told() == (1, 6, [str(file)])
    assert f"the last record of {file} is not complete and was left" in telemetry("ingest", file).stdout
    assert telemetry("verify", file).returncode == 1
    file.write_bytes(file.read_bytes() + b"5,\n")
    assert told() == (0, 1, [])
    assert telemetry("verify", file).returncode == 0
    file.write_bytes(file.read_bytes() + (ROW % (10, 1))[:-1])
    assert told("--final") == (0, 1, [])
    file.write_bytes(file.read_bytes() + b"\n" + (ROW % (11, 1))[:-1])
    os.utime(file, (0, 0))
    assert told() == (0, 1, [])
    begun = tmp_path / "begun.csv"
    begun.write_bytes(HEADER[:-9])
    assert told(file=begun) == (1, 0, [str(begun)])
    begun.write_bytes(HEADER + (ROW % (1, 9))[:-1])
    assert told(file=begun) == (1, 0, [str(begun)])
    assert told(file=begun, TELEMETRY_CLOSE_AFTER_S="0") == (0, 1, [])


SMI = """timestamp, index, name, utilization.gpu [%], power.draw [W], clocks_event_reasons.active
2026/11/05 10:00:00.123, 0, NVIDIA H200, 92 %, 301.22 W, 0x0000000000000024
2026/11/05 10:00:00.124, 1, NVIDIA H200, 0 %, [N/A], 0x0000000000000001
"""


def test_a_log_of_nvidia_smi_is_read_once_its_zone_and_host_are_known(
    start_collector: Callable[[], object], telemetry: Run, engine: Engine, tmp_path: Path
) -> None:
    start_collector()
    log, said = tmp_path / "node-7.csv", tmp_path / "sources.toml"
    log.write_text(SMI)
    done = telemetry("ingest", "--timeout", "60", log)
    assert done.returncode == 1
    assert "it is of nvidia-smi, and its times carry no zone: time_zone, it does not name its host: host" in done.stdout
    said.write_text(f"[[source]]\npath = '{tmp_path}/*.csv'\ntime_zone = 'Asia/Tokyo'\nhost_from_path = '([^/]+).csv'\n")
    done = telemetry("ingest", "--timeout", "60", log, TELEMETRY_SOURCE_SETTINGS=str(said))
    assert (done.returncode, done.stdout.partition(": ")[2]) == (0, "5 new, 0 known, 1 blank, 0 in quarantine\n")
    assert telemetry("verify", log, TELEMETRY_SOURCE_SETTINGS=str(said)).returncode == 0
    assert telemetry("verify", log).returncode == 1
    with engine.begin() as connection:
        rows = connection.execute(
            text(
                "SELECT gpus.identity, gpus.model, metrics.name, samples.ts, samples.value FROM samples "
                "JOIN series ON series.id = series_id JOIN gpus ON gpus.id = gpu_id JOIN metrics ON metrics.id = metric_id "
                "ORDER BY identity, name"
            )
        ).all()
    assert [(row.identity, row.model, row.name, row.value) for row in rows] == [
        ("node-7:0", "NVIDIA H200", "DCGM_FI_DEV_CLOCKS_EVENT_REASONS", 36.0),
        ("node-7:0", "NVIDIA H200", "DCGM_FI_DEV_GPU_UTIL", 92.0),
        ("node-7:0", "NVIDIA H200", "DCGM_FI_DEV_POWER_USAGE", 301.22),
        ("node-7:1", "NVIDIA H200", "DCGM_FI_DEV_CLOCKS_EVENT_REASONS", 1.0),
        ("node-7:1", "NVIDIA H200", "DCGM_FI_DEV_GPU_UTIL", 0.0),
    ]
    assert rows[0].ts.isoformat().startswith("2026-11-05T01:00:00.123")


def test_where_the_database_cannot_be_asked_only_acknowledgements_tell(
    start_collector: Callable[[], object], telemetry: Run, file: Path
) -> None:
    start_collector()
    away = {"TELEMETRY_DATABASE_URL": "postgresql://localhost:1/none"}
    done = telemetry("ingest", "--timeout", "60", file, **away)
    assert (done.returncode, done.stderr) == (0, "")
    assert ": 0 in quarantine\nwhat of them was new, known, in conflict or expired is known at the centre" in done.stdout
    classes = json.loads(telemetry("ingest", "--json", "--timeout", "60", file, **away).stdout)
    assert [classes[name] for name in CLASSES] == [None, None, None, 0, 0, 0]


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
