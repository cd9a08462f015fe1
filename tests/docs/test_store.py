"""The commands and the SQL of the page about the store are tried as they are written, on a database with days to seal."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, inspect, text

from telemetry.cli import main
from telemetry.collector.writer import BatchWriter
from telemetry.settings import Settings
from telemetry.store.read import counted
from tests.batches import batch, key, now_s, readings
from tests.docs.pages import ROOT
from tests.fixtures.services import Query

PAGE = (ROOT / "docs" / "STORE.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The blocks of a language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE)


def test_commands_and_sql_do_what_the_page_says(
    engine: Engine, settings: Settings, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [(key(gpu="GPU-1"), second, 2.5) for second in (0, 86_400, now_s() - 60)]
    BatchWriter(settings, engine).write([batch(readings(*rows))])
    commands = [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) == 14
    for name, *words in commands:
        assert name == "telemetry"
        result = CliRunner(env=environ).invoke(main, words)
        assert result.exit_code == 0, result.output
    with engine.connect() as connection:
        answers = [connection.execute(text(block)).all() for block in blocks("sql")]
        assert answers[0][0][0] > 0
        assert [value for _, value in answers[1]] == [2.5]
        # What was sealed is older than what the page has kept.
        dropped = "SELECT dropped, (SELECT count(*) FROM sealed_spans) FROM retention WHERE level = 'samples'"
        assert connection.execute(text(dropped)).one() == (2, 0)

    answers_of_files: dict[str, Any] = {}
    for block in blocks("python"):
        exec(block, answers_of_files)  # noqa: S102 - what the page says
    assert answers_of_files["used"].collect()["value"].to_list() == [2.5, 2.5]
    if find_spec("duckdb"):
        duckdb = import_module("duckdb")
        assert [duckdb.sql(block).fetchall()[0][2] for block in blocks("duckdb")] == [2.5]


def test_a_sealed_day_is_corrected_as_the_page_says(
    engine: Engine, settings: Settings, environ: dict[str, str], tmp_path: Path, query: Query
) -> None:
    def run(*words: str) -> Result:
        return CliRunner(env=environ).invoke(main, words)

    writer, archive = BatchWriter(settings, engine), str(tmp_path / "archive")
    rows = [
        (key(gpu=gpu), second, 1000.0 + second if second < 3 else 50.0) for gpu in ("GPU-1", "GPU-2") for second in range(5)
    ]
    writer.write([batch(readings(*rows))])
    assert run("db", "seal").exit_code == 0
    # One of them is not merged yet.
    writer.write([batch(readings((key(gpu="GPU-1"), 9, 999.0)), "b2")])
    assert run("archive", "--to", archive).exit_code == 0
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM usage_marks"))
    (correction,) = blocks("postgresql")
    driver_url = settings.database_url.replace("+psycopg", "")
    with psycopg.connect(driver_url, autocommit=True) as session:
        session.execute(correction.encode())
    corrected = {"GPU-1": [100.0] * 3 + [50.0] * 2 + [100.0], "GPU-2": [1000.0, 1001.0, 1002.0, 50.0, 50.0]}
    by_gpu = "SELECT gpu, array_agg(value ORDER BY time) FROM readings GROUP BY gpu"
    assert dict(query(by_gpu)) == corrected
    assert query("SELECT identity, count(*) FROM usage_marks u JOIN gpus g ON g.id = u.gpu_id GROUP BY 1") == [("GPU-1", 1)]
    (outcome,) = writer.write([batch(readings(*rows), "b3")])
    assert (outcome.rows["stored"], outcome.rows["duplicate"], outcome.rows["conflict"]) == (0, 7, 3)
    assert run("db", "seal").exit_code == 0
    assert dict(query(by_gpu)) == corrected
    assert query("SELECT count(*) FROM late") == [(0,)]
    assert run("db", "check").exit_code == 0
    with engine.connect() as connection:
        hours = [hour for one in counted.partitions(connection) for hour in counted.by_hour(connection, one.span).values()]
    assert [(hour.stored, hour.there) for hour in hours] == [(11, 11)]
    assert "differs" in run("archive", "verify", "--to", archive).output
    assert run("archive", "--to", archive, "--replace").exit_code == 0
    assert run("archive", "verify", "--to", archive).exit_code == 0


def test_every_table_of_samples_is_on_the_page(engine: Engine) -> None:
    tables = {name for name in inspect(engine).get_table_names() if re.match("sample|seal|late|partition|archive", name)}
    assert tables <= set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
