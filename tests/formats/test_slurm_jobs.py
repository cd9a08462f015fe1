"""What Slurm says of its jobs: who has which GPUs, since when, and what is never guessed."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from sqlalchemy import Engine

from telemetry.formats.misses import miss
from telemetry.formats.registry import recognise
from telemetry.formats.slurm_nodes import nodes, numbers
from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from telemetry.settings import Settings, sources_file
from telemetry.store.upkeep import joining
from telemetry.verify.formats.slurm_jobs import _unfolded
from tests.examples import examples
from tests.fixtures.services import Query
from tests.formats.both import both
from tests.formats.test_kept import KEPT
from tests.formats.test_stored import stored

COMMAND = "scontrol show job -d -o"
UTC = SourceSettings(time_zone="UTC")
LINES = (KEPT / "slurm-jobs.txt").read_bytes().decode("utf-8", "ignore").splitlines()[1:]


def job(number: int, run: str, gpus: str = "gpu:h100:2(IDX:0-1)", node: str = "n1", **more: str) -> str:
    """A job that began at eight, and has run for so long."""
    fields = {
        "JobId": str(number),
        "JobName": "train",
        "UserId": "ada(1000)",
        "Account": "research",
        "JobState": "RUNNING",
        "RunTime": run,
        "StartTime": "2025-07-18T08:00:00",
        "EndTime": "2025-07-19T08:00:00",
        "SuspendTime": "None",
        "TRES": "node=1,gres/gpu=2",
    }
    return " ".join(f"{name}={value}" for name, value in (fields | more).items()) + f" Nodes={node} CPU_IDs=0 Mem=0 GRES={gpus}"


def told(*lines: str) -> str:
    """A file with its header."""
    return "\n".join((f"# {COMMAND}", *lines, ""))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", ["n1"]),
        ("node[01-04,7]", ["node01", "node02", "node03", "node04", "node7"]),
        ("a,b[1-2]c,d", ["a", "b1c", "b2c", "d"]),
        ("r[0-1]n[08-10]", ["r0n08", "r0n09", "r0n10", "r1n08", "r1n09", "r1n10"]),
        *((text, None) for text in ("", "a,,b", "a[1", "a]", "a[]", "a[2-1]", "a[x]", "a[1-9999999]", "a[0-99]b[0-99]")),
    ],
)
def test_lists_of_nodes_are_written_out(text: str, names: list[str] | None) -> None:
    assert nodes(text, 4096) == names
    assert _unfolded(text) == names


def test_lists_of_indices_are_written_out() -> None:
    assert numbers("0-1,3", 8) == ["0", "1", "3"]
    assert numbers("0-8", 8) is None
    assert numbers("N/A", 8) is None


@pytest.mark.parametrize(
    ("gpus", "indices"),
    [
        ("gpu:h100:2(IDX:0-1)", [0, 1]),
        ("gpu:2(IDX:3,7)", [3, 7]),
        ("gpu(IDX:4-5)", [4, 5]),
        ("gpu:a:0(IDX:),gpu:b:1(IDX:5),shard:2(1/8)", [5]),
    ],
)
def test_the_forms_that_versions_of_slurm_write(tmp_path: Path, gpus: str, indices: list[int]) -> None:
    file = tmp_path / "a.txt"
    file.write_text(told(job(1, "00:10:00", gpus)))
    whole = both(file, UTC)
    assert [(each.gpu, each.value) for each in whole.readings] == [(f"n1:{index}", 600.0) for index in indices]
    (labels,) = {tuple(key.labels.items()) for key in whole.series}
    assert dict(labels) == {"hpc_job": "1", "user": "ada", "account": "research", "told_by": "slurm"}


@pytest.mark.parametrize(
    "line",
    [
        job(1, "00:10:00", "gpu:h100:2"),
        job(1, "00:10:00", "gpu:h100:3(IDX:0-1)"),
        job(1, "00:10:00", "gpu:1g.10gb:2(IDX:0-1)"),
        job(1, "00:10:00", ""),
        job(1, "00:10:00", JobName="x Nodes=n9 CPU_IDs=0 Mem=0 GRES=gpu:1(IDX:5)"),
    ],
)
def test_which_gpus_a_job_has_is_never_guessed(tmp_path: Path, line: str) -> None:
    file = tmp_path / "a.txt"
    file.write_text(told(line))
    whole = both(file, UTC)
    assert (whole.readings, [reason for _, reason in whole.quarantined]) == ([], ["no_gpu"])


def test_a_log_that_is_appended_to_has_its_header_again_and_again(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(told(job(1, "00:10:00")) + told(job(1, "00:11:00")))
    whole = both(file, UTC)
    assert ([each.value for each in whole.readings], whole.quarantined) == ([600.0, 600.0, 660.0, 660.0], [])


def test_the_output_alone_is_read_where_the_settings_have_its_header(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(job(1, "00:10:00") + "\n")
    assert len(both(file, SourceSettings(time_zone="UTC", header=COMMAND)).readings) == 2


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (job(1, "00:10:00"), f'header = "{COMMAND}"'),
        ("JobId=1 JobName=train", "a line a job"),
        ("JobID|JobIDRaw|User|Account|AllocTRES|Start|End|State", "sacct, which does not say which GPUs a job had"),
        (f"# {COMMAND}", "time_zone"),
    ],
)
def test_what_is_not_read_says_what_to_write(head: str, says: str) -> None:
    assert recognise([head.encode()], NO_SETTINGS) is None
    assert says in miss(f"{head}\n".encode(), 0, NO_SETTINGS)


@pytest.mark.parametrize("bad", [{"JobState": "COMPLETED", "EndTime": "2025-07-19T20:3"}, {"SuspendTime": "2025-07"}])
def test_a_time_that_cannot_be_read_is_the_reason_that_is_given(tmp_path: Path, bad: dict[str, str]) -> None:
    file = tmp_path / "a.txt"
    file.write_text(told(job(1, "00:10:00"), job(2, "00:10:00", SecsPreSuspend="0", **bad)))
    assert [reason for _, reason in both(file, UTC).quarantined] == ["bad_timestamp"]


@how(max_examples=examples(150), deadline=None)
@given(
    line=st.sampled_from(LINES),
    cuts=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 6), st.sampled_from(["", " ", "=", "[", "9", "gpu:", "Nodes=", "-"]))
    ),
)
def test_streamer_and_verify_agree_on_lines_of_any_kind(line: str, cuts: list[tuple[float, int, str]]) -> None:
    for where, length, text in cuts:
        at = int(where * len(line))
        line = line[:at] + text + line[at + length :]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.txt"
        file.write_text(told(LINES[0], line.replace("\r", " "), LINES[1]), encoding="utf-8")
        both(file, UTC)


HELD = """
    SELECT g.gpu_index, o.labels ->> 'hpc_job', coalesce(o.labels ->> 'told_by', ''),
           to_char(lower(r) AT TIME ZONE 'UTC', 'HH24:MI'), to_char(upper(r) AT TIME ZONE 'UTC', 'HH24:MI')
    FROM allocations a JOIN gpus g ON g.id = a.gpu_id JOIN owners o ON o.id = a.owner_id, unnest(held) r
    WHERE o.labels <> '{}' ORDER BY 1, 2, 3, 4
"""
READ = """
    SELECT gpu_index, to_char(seen AT TIME ZONE 'UTC', 'HH24:MI') FROM gpus g, LATERAL (
        SELECT max(upper(held)) AS seen FROM allocations a WHERE a.gpu_id = g.id
            AND a.owner_id NOT IN (SELECT id FROM owners WHERE labels ? 'told_by')) s
    ORDER BY 1
"""


def test_jobs_are_allocations_since_they_began_and_are_told_apart_from_what_was_read(
    settings: Settings, redis_client: redis.Redis, engine: Engine, query: Query, tmp_path: Path
) -> None:
    mine = replace(settings, source_settings=(sources_file.Rule("*", time_zone="UTC"),))
    files = {
        "1.txt": told(job(1, "00:10:00")),
        "2.txt": told(job(1, "00:12:30"), job(2, "00:12:30", "gpu:1(IDX:5)", TRES="gres/gpu=1")),
        # The same again.
        "3.txt": told(job(1, "00:12:30")),
    }
    for name, content in files.items():
        path = tmp_path / name
        path.write_text(content)
        _, outcome = stored(path, mine, redis_client, engine)
        assert outcome.owners.minutes
        assert outcome.agrees()
    expected = [
        *((index, "1", "slurm", "08:00", "08:13") for index in (0, 1)),
        (5, "2", "slurm", "08:00", "08:13"),
    ]
    assert query(HELD) == expected
    # What is read off the GPU names another job: both stand there.
    log = tmp_path / "gpu.csv"
    log.write_text("timestamp,metric_name,gpu_id,Hostname,hpc_job,value\n2025-07-18T08:03:10Z,DCGM_FI_DEV_GPU_UTIL,0,n1,9,50\n")
    _, outcome = stored(log, mine, redis_client, engine)
    assert outcome.agrees()
    assert query(HELD) == [expected[0], (0, "9", "", "08:03", "08:04"), *expected[1:]]
    assert query(READ) == [(0, "08:04"), (1, None), (5, None)]
    # A file that names the GPU by its UUID, too: it is the same GPU.
    log = tmp_path / "named.csv"
    log.write_text(
        "timestamp,metric_name,gpu_id,uuid,Hostname,value\n2025-07-18T08:05:10Z,DCGM_FI_DEV_GPU_UTIL,1,GPU-one,n1,50\n"
    )
    stored(log, mine, redis_client, engine)
    with engine.begin() as connection:
        assert joining.join(connection, mine, 10) == 1
    path = tmp_path / "4.txt"
    path.write_text(told(job(1, "00:14:30")))
    _, outcome = stored(path, mine, redis_client, engine)
    assert outcome.agrees()
    assert query("SELECT identity FROM gpus g WHERE EXISTS (SELECT FROM allocations a WHERE a.gpu_id = g.id) ORDER BY 1") == [
        ("GPU-one",),
        ("n1:0",),
        ("n1:5",),
    ]
    assert (1, "1", "slurm", "08:00", "08:15") in query(HELD)
