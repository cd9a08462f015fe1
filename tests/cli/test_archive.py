"""`telemetry archive` writes and verifies, `telemetry ingest --archive` reads back, and each says what is to be done."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from telemetry.cli import main
from telemetry.collector.writer import BatchWriter
from telemetry.settings import Settings, SettingsError
from telemetry.store.upkeep import chores
from telemetry.store.upkeep.chores import USAGE
from tests.batches import batch, readings
from tests.cli.test_retention import day, said
from tests.store.upkeep.test_retention import at

Run = Callable[..., Result]


@pytest.fixture
def run(environ: dict[str, str], settings: Settings, engine: Engine, tmp_path: Path) -> Run:
    """Run a command on a database with two old days, which are sealed, and the present one; the archive is set."""
    BatchWriter(settings, engine).write([batch(readings(at(400), at(399), at(399, 5), at(0)))])
    while chores.run(engine, settings, USAGE, 1000):
        pass
    environ |= {"TELEMETRY_ARCHIVE_URL": str(tmp_path / "archive")}

    def command(*args: str, **more: str) -> Result:
        return CliRunner(env=environ | more).invoke(main, args)

    said(command("db", "seal", "--json"))
    return command


def names(result: Any, *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(one[field] for field in fields) for one in result["days"]]


def test_days_are_written_once_and_verified(run: Run, tmp_path: Path) -> None:
    pending = said(run("archive", "--dry-run", "--json"))
    assert names(pending, "day", "samples", "became") == [(day(400), 1, "pending"), (day(399), 2, "pending")]
    assert not (tmp_path / "archive").exists()
    assert "3 samples would be written" in run("archive", "--dry-run").output
    first = said(run("archive", "--before", day(399), "--json"))
    assert names(first, "day", "became") == [(day(400), "written")]
    assert "2 samples archived in file://" in run("archive").output
    assert said(run("archive", "--json"))["days"] == []
    checked = said(run("archive", "verify", "--json"))
    assert names(checked, "day", "state") == [(day(400), "equal"), (day(399), "equal")]
    assert checked["pending"] == []
    assert "2 days verified" in run("archive", "verify").output
    # Another place has its own.
    other = str(tmp_path / "other")
    assert "2 sealed days to be archived" in run("archive", "verify", "--to", other).output
    assert len(said(run("archive", "--to", other, "--json"))["days"]) == 2


def test_what_is_wrong_is_told_with_its_mend(run: Run, tmp_path: Path) -> None:
    run("archive")
    file = tmp_path / "archive" / "readings" / f"day={day(400)}" / "readings.parquet"
    file.write_bytes(file.read_bytes()[:-50])
    result = run("archive", "verify")
    assert result.exit_code == 1
    assert "damaged" in result.output
    result = run("archive")
    assert result.exit_code == 1
    assert "give it up with --replace" in result.output
    assert "1 day could not be archived" in result.output
    assert run("archive", "--replace").exit_code == 0
    assert run("archive", "verify").exit_code == 0
    assert "--to is missing" in run("archive", TELEMETRY_ARCHIVE_URL="").output
    assert "no place for an archive" in run("archive", "--to", "nonsense://there").output


def test_retention_waits_for_it(run: Run) -> None:
    plan = said(run("db", "retention", "--days", "100", "--archived", "--json"))["plan"]
    assert (plan["not_archived"], plan["samples"]) == (day(400), 0)
    result = run("db", "retention", "--days", "100", "--yes", TELEMETRY_RETENTION_ARCHIVED="true")
    assert result.exit_code == 1
    assert (
        f"from {day(400)} on days are not archived as they are: run telemetry db seal, then telemetry archive" in result.output
    )
    assert "not yet: from" in run("db", "retention", "--days", "100", "--archived").output
    run("archive")
    assert said(run("db", "retention", "--days", "100", "--archived", "--yes", "--json"))["dropped"] == 3


def test_what_was_dropped_comes_back_when_somebody_says_so(run: Run, tmp_path: Path) -> None:
    run("archive")
    run("db", "retention", "--days", "100", "--yes")
    place = str(tmp_path / "archive")
    result = run("ingest", "--archive", place)
    assert result.exit_code == 1
    assert "3 samples are EXPIRED" in result.output
    assert "--store-again" in result.output
    back = ("ingest", "--archive", place, "--since", day(399), "--store-again", "--json")
    once, again = (json.loads(run(*back).stdout) for _ in range(2))
    assert [once[name] for name in ("days", "samples", "new", "known", "expired")] == [1, 2, 2, 0, 0]
    assert [again[name] for name in ("new", "known")] == [0, 2]
    result = run("ingest", "--archive", place, "--until", day(400), "--store-again")
    assert result.exit_code == 0
    assert f"{day(400)}  1 new, 0 known" in result.output


def test_what_retention_will_drop_again_is_told(run: Run, settings: Settings, engine: Engine, tmp_path: Path) -> None:
    run("archive")
    kept = Settings.load({"TELEMETRY_DATABASE_URL": settings.database_url, "TELEMETRY_RETENTION_DAYS": "100"})
    while chores.run(engine, kept, chores.RETENTION, chores.RETENTION.max_rows):
        pass
    result = run("ingest", "--archive", str(tmp_path / "archive"), "--store-again")
    assert result.exit_code == 0
    assert "retention keeps 100 days, and will drop what is older again" in result.output


def test_a_damaged_day_is_left_as_a_whole(run: Run, tmp_path: Path, query: Any) -> None:
    run("archive")
    run("db", "retention", "--days", "100", "--yes")
    file = tmp_path / "archive" / "readings" / f"day={day(399)}" / "readings.parquet"
    file.write_bytes(file.read_bytes()[:-1])
    result = run("ingest", "--archive", str(tmp_path / "archive"), "--store-again", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) | {"seconds": 0} == {
        "days": 2,
        "samples": 1,
        "seconds": 0,
        "new": 1,
        "known": 0,
        "conflict": 0,
        "expired": 0,
        "damaged": [day(399)],
    }


@pytest.mark.parametrize(
    ("args", "said_so"),
    [
        ((), "either files to read, or --archive"),
        (("--since", "2026-01-01", __file__), "are of --archive"),
        (("--archive", "/nowhere", __file__), "either files to read, or --archive"),
        (("--archive", "/nowhere"), "has no day of an archive"),
    ],
)
def test_options_that_do_not_go_together_are_refused(run: Run, args: tuple[str, ...], said_so: str) -> None:
    result = run("ingest", *args)
    assert result.exit_code in {1, 2}
    assert said_so in result.output


def test_a_library_that_is_not_there_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("telemetry.archive", "telemetry.cli.archive"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for args in (("archive",), ("ingest", "--archive", "/nowhere")):
        result = run(*args)
        assert result.exit_code == 1
        assert "install telemetry-pipeline[central]" in result.output


def test_keys_of_an_object_store_are_no_part_of_a_setting() -> None:
    with pytest.raises(SettingsError, match="AWS_ACCESS_KEY_ID") as raised:
        Settings.load({"TELEMETRY_ARCHIVE_URL": "s3://key:hidden@bucket/path"})
    assert "hidden" not in str(raised.value)
    assert Settings.load({"TELEMETRY_ARCHIVE_URL": "abfs://box@there.dfs.core.windows.net/a"}).archive_url
