"""`telemetry check` says what files would bring; it reads as the streamer does, and needs no server."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from telemetry.cli import main
from telemetry.cli.check import check
from telemetry.settings import Settings
from telemetry.streamer.dry_run import DryRun
from telemetry.verify import files
from telemetry.verify.formats.base import Rules
from tests.formats.test_kept import KEPT
from tests.streamer.edge import HEADER, rows

GOOD = "2025-07-18T00:00:%02dZ,M,0,GPU-1,h,%s\n"
BAD = (
    HEADER
    + GOOD % (0, 1)
    + GOOD % (1, "abc")
    + GOOD.replace("2025-07-18", "x", 1) % (2, 1)
    + "2025-07-18T00:00:03Z,M,0,GPU-1,h\n"
    + "2025-07-18T00:00:03Z,M,0,,,3\n"
    + '2025-07-18T00:00:03Z,M,0,"GPU-1"x,h,3\n'
    + GOOD % (4, "")
    + "2099-07-18T00:00:04Z,M,0,GPU-1,h,7\n"
    + "2025-07-18T00:00:05Z,M,0,GPU-\0,h,7\n"
    + "a,b,time,c\n1,2,3,4\n1,2,3,4"
)


def run(*args: object) -> Result:
    """Call the command without any server in the environment."""
    command: click.Command = main
    assert check.name in main.list_commands(click.Context(main))
    env = {"TELEMETRY_BROKER_URL": None, "TELEMETRY_DATABASE_URL": None}
    return CliRunner().invoke(command, ["check", *map(str, args)], env=env)


def found(*args: object) -> tuple[int, Any]:
    """The exit code and the document."""
    done = run("--json", *args)
    return done.exit_code, json.loads(done.stdout)


def test_a_file_that_would_be_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 35) + rows(35, 36).replace("000035", ""))
    code, told = found(path)
    (file,) = told["files"]
    assert (code, told["would_be_read"], file["readings"], file["blank"], file["records"]) == (0, True, 35, 1, 36)
    assert (file["formats"], file["gpus"], file["metrics"]) == (["dcgm"], ["GPU-1"], ["DCGM_FI_DEV_GPU_UTIL"])
    assert (file["first"], file["last"], file["series"]) == ("2025-07-18T00:00:00Z", "2025-07-18T00:00:34Z", 1)
    text = run(path)
    assert text.exit_code == 0
    assert text.stdout.endswith("everything in 1 file would be read: 35 readings\n")
    assert "blank       1 (the exporter had no value; nothing to store)" in text.stdout


def test_each_problem_has_its_line_its_column_and_its_mend(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(BAD)
    code, told = found(path)
    (file,) = told["files"]
    places = {problem["reason"]: (problem["line"], problem["column_name"]) for problem in file["problems"]}
    assert code == 1
    assert places == {
        "bad_value": (3, "value"),
        "bad_timestamp": (4, "timestamp"),
        "bad_columns": (5, "value"),
        "no_gpu": (6, "uuid"),
        "bad_quotes": (7, "uuid"),
        "too_new": (9, "timestamp"),
        "bad_text": (10, "uuid"),
        "unknown_format": (11, None),
    }
    assert (file["quarantined"], file["unread_lines"], file["last_line_is_torn"]) == (8, 2, True)
    text = run(path)
    assert text.exit_code == 1
    assert "line 3, column 6 (value): its value is no number: 'abc'; write a decimal number" in text.stdout
    assert "8 rows would go to quarantine, and 2 lines would not be read\n" in text.stdout


def test_the_time_is_to_blame_where_no_record_is_good(tmp_path: Path) -> None:
    path = tmp_path / "ahead.csv"
    path.write_text(HEADER + (GOOD % (0, 1) + GOOD % (1, 2)).replace("2025", "2099"))
    _, told = found(path)
    assert [problem["column_name"] for problem in told["files"][0]["problems"]] == ["timestamp", "timestamp"]


def test_a_wide_file_names_the_column_of_the_bad_cell(tmp_path: Path) -> None:
    path = tmp_path / "smi.csv"
    header = "timestamp, uuid, utilization.gpu [%], power.draw [W]\n"
    path.write_text(
        f"{header}2026/11/05 10:00:00.0, GPU-1, 92 %, 301.22 W\n2026/11/05 10:00:01.0, GPU-1, 92 %, much W\n"
        "2026/11/05 10:00:01.0, GPU-1, many, much\n"
    )
    (tmp_path / "settings.toml").write_text('[[source]]\npath = "*.csv"\ntime_zone = "UTC"\n')
    done = CliRunner().invoke(
        main, ["check", "--json", str(path)], env={"TELEMETRY_SOURCE_SETTINGS": str(tmp_path / "settings.toml")}
    )
    file = json.loads(done.stdout)["files"][0]
    assert [(problem["line"], problem["column_name"]) for problem in file["problems"]] == [(3, "power.draw [W]"), (4, None)]
    assert (file["formats"], file["readings"]) == (["nvidia-smi"], 3)


def test_a_foreign_file_says_what_it_is_and_an_empty_one_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time;value\n1;2\n")
    (tmp_path / "b.csv").write_text("")
    (tmp_path / "c.csv").write_text(HEADER)
    code, told = found(tmp_path)
    assert code == 1
    assert [(file["unread_lines"], file["formats"]) for file in told["files"]] == [(2, ["unknown"]), (0, []), (0, [])]
    assert f"{tmp_path / 'b.csv'}: no record in it yet" in run(tmp_path).stdout
    assert found(tmp_path / "b.csv", tmp_path / "c.csv")[0] == 0


def test_problems_are_few_and_the_rest_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text(HEADER + "".join(GOOD % (second, "x") for second in range(60)))
    _, told = found(path)
    assert (len(told["files"][0]["problems"]), told["files"][0]["quarantined"]) == (3, 60)
    assert "… and 57 more rows for the quarantine" in run(path).stdout


def test_what_comes_through_a_pipe_is_read_and_removed() -> None:
    done = CliRunner().invoke(main, ["check", "-"], input=HEADER + rows(0, 3))
    assert (done.exit_code, "3 readings" in done.stdout) == (0, True)


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.csv")), ids=lambda path: path.stem)
def test_it_counts_as_verify_does(path: Path) -> None:
    settings, now = Settings.load({}), datetime(2026, 11, 20, tzinfo=UTC)
    found = DryRun(settings, int(now.timestamp() * 1e6)).read(path)
    other = files.read(path, replace(Rules.of(settings, now), source=settings.of_source(str(path))), files.SeriesNumbers())
    reasons = Counter(files.REASONS[code] for code in other.reasons.tolist())
    assert (found.readings, found.blank) == (reasons.pop("", 0), reasons.pop("blank", 0))
    unread = found.unread + found.quarantined["unknown_format"]
    if not other.is_foreign:
        assert (unread, found.quarantined - Counter(unknown_format=10**9)) == (reasons.pop("unknown_format", 0), reasons)
