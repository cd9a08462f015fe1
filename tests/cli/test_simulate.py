"""`telemetry simulate` as a process of its own."""

from __future__ import annotations

import csv
import io
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from telemetry.readings.dump import HEADER
from tests.waiting import eventually

COMMAND = (sys.executable, "-c", "from telemetry.cli.simulate import simulate; simulate(prog_name='simulate')")
SMALL = ("--hosts", "2", "--gpus", "2")
START = ("--start", "2025-07-18T20:42:34Z")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, timeout=60, check=False)


@contextmanager
def following(path: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [*COMMAND, *SMALL, "--follow", "--interval", "0.1", "-o", str(path), "--json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text()), strict=True))


def live(path: Path, beyond: int) -> int:
    """Lines in the file, 0 while they are no more than `beyond`."""
    lines = path.read_bytes().count(b"\n") if path.exists() else 0
    return lines if lines > beyond else 0


def stop(process: subprocess.Popen[bytes], by: signal.Signals = signal.SIGINT) -> dict[str, int]:
    process.send_signal(by)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")
    summary: dict[str, int] = json.loads(out)
    return summary


def unique(made: list[dict[str, str]]) -> bool:
    return len({(row["timestamp"], row["labels_raw"]) for row in made}) == len(made)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_following_goes_on_until_it_is_stopped(tmp_path: Path, by: signal.Signals) -> None:
    path = tmp_path / "live.csv"
    with following(path, "--duration", "2") as process:
        history = eventually(lambda: live(path, 1), 30)
        eventually(lambda: live(path, history + 500), 30)
        summary = stop(process, by)
    assert path.read_bytes().endswith(b'"\n')
    made = rows(path)
    assert summary["rows"] == len(made)
    assert unique(made)


def test_a_stopped_run_is_continued_without_doubles(tmp_path: Path) -> None:
    path = tmp_path / "live.csv"
    for _ in range(2):
        # What the one before has written must not stand for this one, which may not have begun.
        before = live(path, 0)
        with following(path, "--duration", "1") as process:
            eventually(lambda: live(path, before + 300), 30)  # noqa: B023  # called within the loop
            stop(process)
    made = rows(path)
    assert unique(made)
    assert [row["timestamp"] for row in made] == sorted(row["timestamp"] for row in made)
    energy: dict[str, int] = {}
    for row in made:
        if row["metric_name"] == "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION":
            assert int(row["value"]) >= energy.get(row["uuid"], 0)
            energy[row["uuid"]] = int(row["value"])


def test_the_same_seed_start_and_sizes_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        done = run(*SMALL, *START, "--duration", "600", "-o", tmp_path / name)
        assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_standard_output_carries_only_the_rows(tmp_path: Path) -> None:
    done = run(*SMALL, *START, "--duration", "60", "-o", "-", "--json")
    summary = json.loads(done.stderr)
    assert done.stdout.startswith(HEADER)
    assert summary["rows"] == done.stdout.count(b"\n") - 1
    assert (summary["hosts"], summary["gpus"], summary["path"]) == (2, 4, "-")


def test_an_existing_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"dear\n")
    refused = run(*SMALL, *START, "-o", path)
    assert (refused.returncode, path.read_bytes()) == (2, b"dear\n")
    assert b"--force" in refused.stderr
    done = run(*SMALL, *START, "--duration", "60", "-o", path, "--force")
    assert done.returncode == 0
    assert done.stdout.decode().endswith(" s\n")
    assert path.read_bytes().startswith(HEADER)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--hosts", "0"),
        ("--gpus", "17"),
        ("--interval", "0"),
        ("--interval", "nan"),
        ("--duration", "0"),
        ("--duration", "-1"),
        ("--seed", "-1"),
        ("--start", "2025-07-18T20:42:34"),
        ("--start", "yesterday"),
        ("--start", "2999-01-01T00:00:00Z", "--follow"),
    ],
)
def test_a_bad_option_is_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    refused = run(*arguments, "-o", tmp_path / "a.csv")
    assert refused.returncode == 2
    assert f"Invalid value for '{arguments[0]}'".encode() in refused.stderr
    assert not (tmp_path / "a.csv").exists()


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    with subprocess.Popen([*COMMAND, *START, "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


def test_it_is_quick(tmp_path: Path) -> None:
    before_s = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run("--hosts", "20", "--gpus", "8", "--interval", "10", "--duration", "500", "--json", "-o", tmp_path / "fleet.csv")
    after_s = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent_s = after_s.ru_utime + after_s.ru_stime - before_s.ru_utime - before_s.ru_stime
    # With the interpreter's start and all imports in it; without them it is several times that.
    assert json.loads(done.stdout)["rows"] > 200_000 * spent_s > 0
